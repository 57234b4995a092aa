import TestSupport
import Testing

@testable import RPC

/// Base 64 for URLs, and the tokens made with it.
struct TokenTests {
  @Test(
    "Bytes are written in the alphabet for URLs, without padding",
    arguments: [
      ([], ""), ([0], "AA"), ([0xFF], "_w"), ([0xFB, 0xFF], "-_8"), (Array("f".utf8), "Zg"),
      (Array("fo".utf8), "Zm8"),  // codespell:ignore fo
      (Array("foo".utf8), "Zm9v"), (Array("foob".utf8), "Zm9vYg"),
      (Array("fooba".utf8), "Zm9vYmE"), (Array("foobar".utf8), "Zm9vYmFy"),
    ] as [([UInt8], String)])
  func known(bytes: [UInt8], text: String) {
    #expect(Base64.encode(bytes) == text)
    #expect(Base64.decode(text) == bytes)
  }

  @Test(
    "Only the one text of some bytes is read",
    arguments: [
      "A", "AAAAA", "Zg==", "Zg=", "Z g", "Zm+v", "Zm/v", "Zm9v\n", "é", "Zh", "Zn", "AB", "Zm9",
    ])
  func refused(text: String) {
    #expect(Base64.decode(text) == nil)
  }

  @Test("Random bytes of every length come back", arguments: 0...64)
  func roundTrip(count: Int) {
    var random = SplitMix(seed: UInt64(count))
    for _ in 0..<20 {
      let bytes = Self.bytes(count, &random)
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
      let token = Token.make(bytes, for: "purpose")
      #expect(Token.read(token, for: "purpose") == bytes)
      #expect(token.utf8.allSatisfy { $0 != UInt8(ascii: "=") })
    }
  }

  @Test("A token is good for its own purpose alone")
  func purpose() {
    let token = Token.make([1, 2, 3], for: "runs")
    for other in ["", "run", "runs ", "Runs", "runs\u{0}"] {
      #expect(Token.read(token, for: other) == nil)
    }
    // The border between purpose and content cannot be moved.
    #expect(Token.read(Token.make([65], for: "run"), for: "runA") == nil)
    #expect(Token.make([65, 66], for: "x") != Token.make([66], for: "x\u{0}A"))
  }

  @Test("A token's text is one that the database takes")
  func text() {
    #expect(Token.readText(Token.make(Array("é x".utf8), for: "runs"), for: "runs") == "é x")
    for bytes: [UInt8] in [[97, 0, 98], [0], [0xff], [0xc3]] {
      #expect(Token.readText(Token.make(bytes, for: "runs"), for: "runs") == nil)
    }
  }

  @Test("A token with any bit changed, and any piece of one, is refused")
  func damage() {
    let bytes = Base64.decode(Token.make([1, 2, 3, 4, 5], for: "runs")) ?? []
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << UInt8(bit)
        #expect(Token.read(Base64.encode(changed), for: "runs") == nil)
      }
      #expect(Token.read(Base64.encode(Array(bytes[..<index])), for: "runs") == nil)
    }
    #expect(Token.read(Base64.encode(bytes + [0]), for: "runs") == nil)
    #expect(Token.read("", for: "runs") == nil)
    #expect(Token.read("no token", for: "runs") == nil)
  }

  private static func bytes(_ count: Int, _ random: inout SplitMix) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }
}
