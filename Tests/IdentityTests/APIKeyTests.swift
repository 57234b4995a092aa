import Testing

@testable import Identity

/// The text of API keys.
struct APIKeyTests {
  /// Keys whose checksums were computed with zlib's crc32 and written in base 62.
  private static let known = [
    "ntl_000000000000_00000000000000000000000000000000000000000000Qsgob",
    "ntl_zzzzzzzzzzzz_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz2XDTib",
    "ntl_abcDEF012345_The0quick1brown2fox3jumps4over5the6lazy7dog3Tn4ZF",
  ]

  @Test("A key carries the CRC-32 that zlib computes, in base 62", arguments: known)
  func checksum(text: String) {
    #expect(APIKey(text)?.text == text)
  }

  @Test("A fresh key has the form that it promises, and reads as itself", arguments: 1...50)
  func random(_: Int) throws {
    let key = APIKey.random()
    let parts = key.text.split(separator: "_", omittingEmptySubsequences: false)
    #expect(parts.map(\.count) == [3, 12, 49])
    #expect(parts.first == "ntl")
    #expect(parts[1] == key.id)
    #expect(parts[1...].allSatisfy { $0.utf8.allSatisfy(Base62.alphabet.contains) })
    let read = try #require(APIKey(key.text))
    #expect(read.text == key.text && read.id == key.id && read.hash == key.hash)
    #expect(key.hash.count == 32)
    #expect(key.shownPrefix == "ntl_\(key.id.prefix(4))…")
  }

  @Test("No two fresh keys are alike")
  func distinct() {
    let keys = (0..<1_000).map { _ in APIKey.random() }
    #expect(Set(keys.map(\.id)).count == keys.count)
    #expect(Set(keys.map(\.hash)).count == keys.count)
  }

  @Test("A key with any one character changed is refused", arguments: known)
  func changed(text: String) {
    let bytes = Array(text.utf8)
    let others = Base62.alphabet + Array("_- .\n\u{0}".utf8)
    for index in bytes.indices {
      for other in others where other != bytes[index] {
        var changed = bytes
        changed[index] = other
        #expect(APIKey(String(decoding: changed, as: UTF8.self)) == nil)
      }
    }
  }

  @Test("A key cut anywhere, or with anything around it, is refused", arguments: known)
  func cut(text: String) {
    for count in 0..<text.count {
      #expect(APIKey(String(text.prefix(count))) == nil)
      #expect(APIKey(String(text.suffix(count))) == nil)
    }
    for other in [text + "0", " " + text, text + "\n", text + text, "x" + text.dropFirst()] {
      #expect(APIKey(other) == nil)
    }
  }

  @Test("A key with two neighbours swapped is refused", arguments: known)
  func swapped(text: String) {
    var bytes = Array(text.utf8)
    for index in 1..<bytes.count where bytes[index] != bytes[index - 1] {
      bytes.swapAt(index, index - 1)
      #expect(APIKey(String(decoding: bytes, as: UTF8.self)) == nil)
      bytes.swapAt(index, index - 1)
    }
  }

  @Test("Characters beyond ASCII make no key, also where the length in bytes fits")
  func beyondASCII() {
    for text in Self.known {
      for character in ["\u{FF10}", "\u{430}", "é", "🔑", "e\u{301}"] {
        let rest = text.dropFirst(4 + character.utf8.count)
        #expect(APIKey("ntl_" + character + rest) == nil)
      }
    }
  }

  @Test("The alphabet is the digits, capitals and small letters, each once")
  func alphabet() {
    #expect(Set(Base62.alphabet).count == 62)
    #expect(Base62.alphabet == Base62.alphabet.sorted())
    for byte in UInt8.min...UInt8.max {
      #expect(Base62.isDigit(byte) == Base62.alphabet.contains(byte))
    }
  }

  @Test(
    "A number is written with its lowest digits, the most significant first",
    arguments: [
      ([], 3, "000"), ([0], 1, "0"), ([61], 1, "z"), ([62], 2, "10"), ([61], 3, "00z"),
      ([62], 1, "0"), ([1, 0], 2, "48"), ([0xFF, 0xFF, 0xFF, 0xFF], 6, "4gfFC3"),
      ([0xFF, 0xFF, 0xFF, 0xFF], 2, "C3"),
    ] as [([UInt8], Int, String)])
  func base62(number: [UInt8], characters: Int, text: String) {
    #expect(Base62.text(number, characters: characters) == text)
  }
}
