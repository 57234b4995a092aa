internal import COpenSSL

/// A password as it is stored: scrypt (RFC 7914) over a salt of its own.
///
/// The text form is `$scrypt$ln=17,r=8,p=1$<salt>$<hash>`, both parts in Base64 without padding.
/// One hash takes 128 MiB and a good part of a second: it never runs on a loop.
public struct PasswordHash: Sendable, Equatable {
  /// The binary logarithm of scrypt's cost N.
  public let cost: Int
  private let salt: [UInt8]
  private let hash: [UInt8]

  /// What can be asked for: less is too easy to guess, more takes above 1 GiB.
  public static let costs = 12...20

  private static let blockSize: UInt64 = 8
  private static let parallelism: UInt64 = 1
  private static let saltBytes = 16
  private static let hashBytes = 32

  /// Hashes a password over a fresh salt; nil = there is no memory for it.
  public init?(_ password: String, cost: Int) {
    let salt = randomBytes(count: PasswordHash.saltBytes)
    guard let hash = PasswordHash.derive(password, salt, cost) else { return nil }
    self.cost = cost
    self.salt = salt
    self.hash = hash
  }

  /// Reads the stored form; nil where it is not one.
  public init?(stored text: String) {
    let parts = text.split(separator: "$", omittingEmptySubsequences: false)
    guard parts.count == 5, parts[0].isEmpty, parts[1] == "scrypt",
      parts[2].hasPrefix("ln="), parts[2].hasSuffix(",r=8,p=1"),
      let cost = Int(parts[2].dropFirst(3).dropLast(8)), PasswordHash.costs.contains(cost),
      let salt = PasswordHash.bytes(parts[3]), salt.count == PasswordHash.saltBytes,
      let hash = PasswordHash.bytes(parts[4]), hash.count == PasswordHash.hashBytes
    else { return nil }
    self.cost = cost
    self.salt = salt
    self.hash = hash
  }

  /// The stored form.
  public var stored: String {
    "$scrypt$ln=\(cost),r=8,p=1$\(PasswordHash.text(salt))$\(PasswordHash.text(hash))"
  }

  /// A hash that no password has, and that costs the same to try.
  public static func impossible(cost: Int) -> PasswordHash {
    PasswordHash(
      cost: cost, salt: [UInt8](repeating: 0, count: saltBytes),
      hash: [UInt8](repeating: 0, count: hashBytes))
  }

  private init(cost: Int, salt: [UInt8], hash: [UInt8]) {
    self.cost = cost
    self.salt = salt
    self.hash = hash
  }

  /// Whether a password is the one that was hashed; nil = there is no memory for it.
  public func matches(_ password: String) -> Bool? {
    guard let given = PasswordHash.derive(password, salt, cost) else { return nil }
    return unsafe constantTimeEquals(given.span.bytes, hash.span.bytes)
  }

  private static func derive(_ password: String, _ salt: [UInt8], _ cost: Int) -> [UInt8]? {
    let n = UInt64(1) << UInt64(cost)
    // What OpenSSL counts: 128 N r for the table, and the blocks.
    let memoryMax = 128 * blockSize * (n + parallelism + 2)
    var key = [UInt8](repeating: 0, count: hashBytes)
    var password = password
    let isDone = password.withUTF8 { password in
      unsafe salt.withUnsafeBytes { salt in
        unsafe key.withUnsafeMutableBytes { key in
          unsafe ntl_scrypt(
            password.baseAddress, password.count, salt.baseAddress, salt.count, n, blockSize,
            parallelism, memoryMax, key.baseAddress, key.count)
        }
      }
    }
    return isDone == 1 ? key : nil
  }

  // MARK: Base64 without padding

  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  private static func text(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    var (bits, count) = (UInt32(0), 0)
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

  private static func bytes(_ text: Substring) -> [UInt8]? {
    var bytes: [UInt8] = []
    var (bits, count) = (UInt32(0), 0)
    for character in text.utf8 {
      guard let value = alphabet.firstIndex(of: character) else { return nil }
      bits = bits << 6 | UInt32(value)
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    return bytes
  }
}
