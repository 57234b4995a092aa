/// A range of addresses in CIDR form: "10.0.0.0/8", "2001:db8::/32", or one address.
///
/// An IPv4 address inside of IPv6 ("::ffff:10.1.2.3") is the IPv4 address that it holds.
struct AddressRange: Sendable, Equatable {
  /// Four or sixteen bytes.
  private let bytes: [UInt8]
  /// Leading bits that an address shares with the range.
  private let bits: Int

  /// Reads a range; nil when it is none, or when bits are set beyond its length, as PostgreSQL's
  /// `cidr` refuses it too.
  init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = AddressRange.address(parts[0]) else { return nil }
    var bits = address.count * 8
    if parts.count == 2 {
      guard let length = AddressRange.number(parts[1].utf8, max: bits) else { return nil }
      bits = length
    }
    for bit in bits..<(address.count * 8) where address[bit / 8] >> (7 - UInt8(bit % 8)) & 1 == 1 {
      return nil
    }
    if bits >= 96, let inner = AddressRange.mapped(address) {
      bytes = inner
      self.bits = bits - 96
    } else {
      bytes = address
      self.bits = bits
    }
  }

  /// Whether an address, as a socket gives it, lies in the range.
  func contains(_ host: String) -> Bool {
    // A link-local address names its interface: "fe80::1%eth0".
    let text = host.prefix { $0 != "%" }
    guard let read = AddressRange.address(text) else { return false }
    let address = AddressRange.mapped(read) ?? read
    guard address.count == bytes.count else { return false }
    let whole = bits / 8
    guard address[..<whole] == bytes[..<whole] else { return false }
    let rest = UInt8(bits % 8)
    return rest == 0 || (address[whole] ^ bytes[whole]) >> (8 - rest) == 0
  }

  // MARK: Addresses

  /// The IPv4 address that an IPv6 address holds.
  private static func mapped(_ address: [UInt8]) -> [UInt8]? {
    guard address.count == 16, address[..<10].allSatisfy({ $0 == 0 }), address[10] == 0xFF,
      address[11] == 0xFF
    else { return nil }
    return Array(address[12...])
  }

  private static func address(_ text: Substring) -> [UInt8]? {
    text.utf8.contains(UInt8(ascii: ":")) ? version6(text) : version4(text)
  }

  private static func version4(_ text: Substring) -> [UInt8]? {
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    let bytes = parts.compactMap { number($0, max: 255) }
    return parts.count == 4 && bytes.count == 4 ? bytes.map { UInt8($0) } : nil
  }

  private static func version6(_ text: Substring) -> [UInt8]? {
    guard let gap = text.firstRange(of: "::") else {
      guard let bytes = groups(text), bytes.count == 16 else { return nil }
      return bytes
    }
    guard let head = groups(text[..<gap.lowerBound]), let tail = groups(text[gap.upperBound...]),
      head.count + tail.count <= 14, head.isEmpty || !text[..<gap.lowerBound].contains(".")
    else { return nil }
    return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
  }

  /// Groups of four hexadecimal digits; the last may be an IPv4 address.
  private static func groups(_ text: Substring) -> [UInt8]? {
    if text.isEmpty { return [] }
    var bytes: [UInt8] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if index == parts.count - 1, let inner = version4(part) {
        bytes += inner
      } else {
        guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy(isHexadecimal),
          let group = UInt16(part, radix: 16)
        else { return nil }
        bytes += [UInt8(group >> 8), UInt8(group & 0xFF)]
      }
    }
    return bytes
  }

  private static func isHexadecimal(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...70).contains(byte) || (97...102).contains(byte)
  }

  /// A decimal number without leading zeros, which some would read as octal.
  private static func number(_ digits: Substring.UTF8View, max: Int) -> Int? {
    guard (1...3).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }),
      digits.count == 1 || digits.first != UInt8(ascii: "0")
    else { return nil }
    let number = digits.reduce(0) { $0 * 10 + Int($1) - 48 }
    return number <= max ? number : nil
  }
}
