public import EventLoop
internal import Glibc

/// Whom an address stands for where addresses are counted.
///
/// That is an IPv4 address, or the first half of an IPv6 address: whoever has one of the second
/// halves has them all.
public struct AddressBlock: Hashable, Sendable {
  private let bits: UInt64
  private let isIPv6: Bool

  /// The block of a numeric address; all that is not numeric is one block.
  public init(_ address: SocketAddress) {
    let host = String(address.host.prefix { $0 != "%" })
    var bytes = [UInt8](repeating: 0, count: 16)
    if unsafe inet_pton(AF_INET6, host, &bytes) == 1 {
      let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
      isIPv6 = !isMapped
      bits = AddressBlock.number(isMapped ? bytes[12...] : bytes[..<8])
    } else {
      isIPv6 = false
      bits = unsafe inet_pton(AF_INET, host, &bytes) == 1 ? AddressBlock.number(bytes[..<4]) : 0
    }
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }
}
