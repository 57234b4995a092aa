import TLS
import Testing

@Suite("Digests and randomness")
struct DigestTests {
  private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { (($0 < 16) ? "0" : "") + String($0, radix: 16) }.joined()
  }

  @Test(
    "SHA-256 gives the published values",
    arguments: [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ])
  func sha256(text: String, expected: String) {
    // Twice: the context is used again.
    #expect(hexadecimal(Digest.sha256(Array(text.utf8))) == expected)
    #expect(hexadecimal(Digest.sha256(Array(text.utf8))) == expected)
  }

  @Test("HMAC-SHA-256 gives the value of RFC 4231, case 2")
  func hmac() {
    let (key, text) = (Array("Jefe".utf8), Array("what do ya want for nothing?".utf8))
    let code = unsafe Digest.authenticationCode(of: text.span.bytes, key: key.span.bytes)
    #expect(
      hexadecimal(code) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
  }

  @Test(
    "equality in constant time is equality",
    arguments: [("", ""), ("a", "b"), ("ab", "a"), ("ab", "ab")])
  func equality(left: String, right: String) {
    let (a, b) = (Array(left.utf8), Array(right.utf8))
    let isEqual = unsafe constantTimeEquals(a.span.bytes, b.span.bytes)
    #expect(isEqual == (left == right))
  }

  @Test("random bytes come in the number asked for, and differ")
  func randomness() {
    #expect(randomBytes(count: 0).isEmpty)
    #expect(randomBytes(count: 33).count == 33)
    #expect(randomBytes(count: 16) != randomBytes(count: 16))
    var bytes = [UInt8](repeating: 0, count: 32)
    var span = bytes.mutableSpan
    var buffer = unsafe span.mutableBytes
    fillWithRandomness(&buffer)
    #expect(bytes != [UInt8](repeating: 0, count: 32))
  }
}
