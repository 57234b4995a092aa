internal import TLS

/// The text of an API key: `ntl_<id>_<secret><checksum>`.
///
/// The checksum tells a typing error, and a scanner of leaked secrets a find, without asking a
/// server.
public struct APIKey: Sendable {
  /// What every key begins with.
  public static let prefix = "ntl_"
  /// Characters of the public part.
  public static let idCharacters = 12
  /// Characters of the secret: 256 bits in base 62.
  public static let secretCharacters = 43
  /// Characters of the checksum: a CRC-32 in base 62.
  public static let checksumCharacters = 6

  /// The public part, by which the key is found.
  public let id: String
  /// The whole key; show it once and never log it.
  public let text: String

  /// What may be shown of the key.
  public var shownPrefix: String { "\(APIKey.prefix)\(id.prefix(4))…" }

  /// The SHA-256 of the whole key, which is all that is stored of it.
  public var hash: [UInt8] { Digest.sha256(Array(text.utf8)) }

  /// Makes a key of fresh randomness.
  public static func random() -> APIKey {
    let id = Base62.text(randomBytes(count: 16), characters: idCharacters)
    let secret = Base62.text(randomBytes(count: 32), characters: secretCharacters)
    let body = "\(prefix)\(id)_\(secret)"
    return APIKey(id: id, text: body + Base62.checksum(body, characters: checksumCharacters))
  }

  /// Reads a key; nil when its form or its checksum is wrong.
  public init?(_ text: String) {
    let bytes = Array(text.utf8)
    let start = APIKey.prefix.utf8.count
    let end = start + APIKey.idCharacters
    let length = end + 1 + APIKey.secretCharacters + APIKey.checksumCharacters
    guard bytes.count == length, text.hasPrefix(APIKey.prefix), bytes[end] == UInt8(ascii: "_"),
      bytes[start..<end].allSatisfy(Base62.isDigit), bytes[(end + 1)...].allSatisfy(Base62.isDigit)
    else { return nil }
    let body = String(decoding: bytes[..<(length - APIKey.checksumCharacters)], as: UTF8.self)
    guard text == body + Base62.checksum(body, characters: APIKey.checksumCharacters) else {
      return nil
    }
    id = String(decoding: bytes[start..<end], as: UTF8.self)
    self.text = text
  }

  private init(id: String, text: String) {
    self.id = id
    self.text = text
  }

}

/// Digits, capitals and small letters.
enum Base62 {
  static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

  static func isDigit(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
  }

  /// The CRC-32 of a text, most significant digit first.
  static func checksum(_ text: String, characters: Int) -> String {
    var crc: UInt32 = .max
    for byte in text.utf8 {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    var rest = ~crc
    var digits: [UInt8] = []
    for _ in 0..<characters {
      digits.append(alphabet[Int(rest % 62)])
      rest /= 62
    }
    return String(decoding: digits.reversed(), as: UTF8.self)
  }

  /// The lowest `characters` digits of a big-endian number, most significant first.
  static func text(_ number: [UInt8], characters: Int) -> String {
    var number = number
    var digits: [UInt8] = []
    for _ in 0..<characters {
      var remainder = 0
      for index in number.indices {
        let value = remainder << 8 | Int(number[index])
        number[index] = UInt8(value / 62)
        remainder = value % 62
      }
      digits.append(alphabet[remainder])
    }
    return String(decoding: digits.reversed(), as: UTF8.self)
  }
}
