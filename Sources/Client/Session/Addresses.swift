internal import Glibc

/// The numeric addresses of a host, in the order in which to try them; empty for none.
///
/// Blocks.
func resolveAddresses(of host: String) -> [String] {
  var hints = unsafe addrinfo()
  unsafe hints.ai_family = AF_UNSPEC
  unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
  var list: UnsafeMutablePointer<addrinfo>?
  guard unsafe getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
  defer { unsafe freeaddrinfo(list) }
  var addresses: [String] = []
  var next = unsafe list
  while let info = unsafe next {
    var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let result = unsafe getnameinfo(
      info.pointee.ai_addr, info.pointee.ai_addrlen, &name, socklen_t(name.count), nil, 0,
      NI_NUMERICHOST)
    let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let address = String(decoding: bytes, as: UTF8.self)
    if result == 0, !addresses.contains(address) { addresses.append(address) }
    unsafe next = info.pointee.ai_next
  }
  return addresses
}
