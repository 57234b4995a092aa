internal import TLS

/// The text of an invitation's token: `nti_<secret><checksum>`, of the same parts as an API key.
struct InvitationToken {
  /// What every token begins with.
  static let prefix = "nti_"
  /// The longest text that is looked at, in bytes.
  static let textBytesMax = 100

  /// The whole token; show it once and never log it.
  let text: String

  /// The SHA-256 of the whole token, which is all that is stored of it.
  var hash: [UInt8] { Digest.sha256(Array(text.utf8)) }

  /// Makes a token of fresh randomness.
  static func random() -> InvitationToken {
    let secret = Base62.text(randomBytes(count: 32), characters: APIKey.secretCharacters)
    let body = prefix + secret
    return InvitationToken(
      trusted: body + Base62.checksum(body, characters: APIKey.checksumCharacters))
  }

  /// Reads a token; nil when its form or its checksum is wrong.
  init?(_ text: String) {
    let bytes = Array(text.utf8)
    let start = InvitationToken.prefix.utf8.count
    let end = start + APIKey.secretCharacters
    guard bytes.count == end + APIKey.checksumCharacters, text.hasPrefix(InvitationToken.prefix),
      bytes[start...].allSatisfy(Base62.isDigit)
    else { return nil }
    let body = String(decoding: bytes[..<end], as: UTF8.self)
    guard text == body + Base62.checksum(body, characters: APIKey.checksumCharacters) else {
      return nil
    }
    self.text = text
  }

  private init(trusted text: String) { self.text = text }
}
