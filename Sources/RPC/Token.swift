internal import TLS

/// Opaque texts that a caller hands back: page tokens and resume tokens.
///
/// A token is bound to what it was made for by a digest, so that one of another listing, or a
/// damaged one, is refused instead of misread. It grants nothing: the caller's tenant bounds every
/// read.
public enum Token {
  private static let digestBytes = 8

  /// Makes the token that says `content` and is only good for `purpose`.
  public static func make(_ content: [UInt8], for purpose: String) -> String {
    Base64.encode(digest(content, purpose) + content)
  }

  /// What the token says, or nil when it was not made for `purpose`.
  public static func read(_ token: String, for purpose: String) -> [UInt8]? {
    guard let bytes = Base64.decode(token), bytes.count >= digestBytes else { return nil }
    let content = Array(bytes[digestBytes...])
    return Array(bytes[..<digestBytes]) == digest(content, purpose) ? content : nil
  }

  /// The same as text that the database takes: a digest can be computed by anybody.
  public static func readText(_ token: String, for purpose: String) -> String? {
    guard let content = read(token, for: purpose), !content.contains(0) else { return nil }
    return String(validating: content, as: UTF8.self)
  }

  private static func digest(_ content: [UInt8], _ purpose: String) -> [UInt8] {
    Array(Digest.sha256(Array(purpose.utf8) + [0] + content)[..<digestBytes])
  }
}

/// Base 64 with the alphabet for URLs, without padding.
enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count * 4 + 2) / 3)
    var bits: UInt32 = 0
    var count = 0
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      count += 8
      while count >= 6 {
        count -= 6
        text.append(alphabet[Int(bits >> UInt32(count) & 63)])
      }
    }
    if count > 0 { text.append(alphabet[Int(bits << UInt32(6 - count) & 63)]) }
    return String(decoding: text, as: UTF8.self)
  }

  static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for character in text.utf8 {
      guard let value = value(of: character) else { return nil }
      bits = bits << 6 | value
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    return count == 6 || bits & ((1 << UInt32(count)) - 1) != 0 ? nil : bytes
  }

  private static func value(of character: UInt8) -> UInt32? {
    switch character {
    case 65...90: UInt32(character - 65)
    case 97...122: UInt32(character - 71)
    case 48...57: UInt32(character + 4)
    case UInt8(ascii: "-"): 62
    case UInt8(ascii: "_"): 63
    default: nil
    }
  }
}
