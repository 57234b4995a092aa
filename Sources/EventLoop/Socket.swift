internal import CLinux
internal import Glibc

/// A numeric internet address with its port.
public struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
  /// "127.0.0.1" or "::1".
  public let host: String
  /// 0 to 65535.
  public let port: UInt16

  /// Makes an address from its parts.
  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// "127.0.0.1:7443" or "[::1]:7443".
  public var description: String {
    host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  init(_ storage: sockaddr_storage, _ length: socklen_t) {
    var storage = storage
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
    let result = unsafe withUnsafePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe getnameinfo(
          address, length, &host, socklen_t(host.count), &service, socklen_t(service.count),
          NI_NUMERICHOST | NI_NUMERICSERV)
      }
    }
    self.host = result == 0 ? text(host) : ""
    port = result == 0 ? UInt16(text(service)) ?? 0 : 0
  }
}

private func text(_ characters: [CChar]) -> String {
  String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// What an attempt to accept brought.
public enum Accepted: ~Copyable {
  /// A connection and where it comes from.
  case connection(Descriptor, SocketAddress)
  /// Nobody waits.
  case none
  /// No descriptor is left: pause, and try again when one was closed.
  case descriptorLimit
  /// The peer has gone again.
  case aborted
}

/// A socket that takes connections.
public struct ListeningSocket: ~Copyable, Sendable {
  /// The socket itself.
  public let descriptor: Descriptor
  /// Where it listens, with the port that the system chose for port 0.
  public let address: SocketAddress

  /// How many connections the kernel keeps until they are accepted.
  public static let backlog: Int32 = 4_096

  /// Listens on `host`, a numeric address or a name that resolves to one, and `port`; blocks for
  /// names.
  ///
  /// - Throws: ``SystemError``; see ``SystemError/isAddressInUse``.
  public init(host: String, port: UInt16) throws(SystemError) {
    var found: ListeningSocket?
    var failure = SystemError(call: "getaddrinfo", code: EADDRNOTAVAIL)
    try unsafe forEachAddress(host: host, port: port, isPassive: true) { address, length, family in
      let number = socket(family, streamType, 0)
      if number < 0 {
        failure = .last("socket")
        return false
      }
      let descriptor = Descriptor(adopting: number)
      var yes: Int32 = 1
      _ = unsafe setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(4))
      if unsafe bind(number, address, length) != 0 {
        failure = .last("bind")
        return false
      }
      if listen(number, ListeningSocket.backlog) != 0 {
        failure = .last("listen")
        return false
      }
      found = ListeningSocket(adopting: descriptor)
      return true
    }
    guard let opened = found.take() else { throw failure }
    self = opened
  }

  private init(adopting descriptor: consuming Descriptor) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let number = descriptor.number
    _ = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(number, $0, &length)
      }
    }
    self.descriptor = descriptor
    address = SocketAddress(storage, length)
  }

  /// Takes one waiting connection, non-blocking and closed on exec.
  public func accept() -> Accepted {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let number = unsafe needletail_accept(descriptor.number, &storage, &length)
    if number >= 0 {
      return .connection(Descriptor(adopting: number), SocketAddress(storage, length))
    }
    let error = SystemError.last("accept")
    if error.isWouldBlock { return .none }
    // The kernel is out of memory for sockets: the same remedy as for descriptors.
    if error.isDescriptorLimit || error.code == ENOBUFS || error.code == ENOMEM {
      return .descriptorLimit
    }
    return .aborted
  }
}

/// A connection attempt that has begun.
public enum Connecting {
  /// Begins to connect to `host` and `port`, non-blocking; the descriptor becomes writable when the
  /// attempt has ended, and ``Descriptor/takeError()`` tells how.
  ///
  /// Blocks to resolve names.
  ///
  /// - Throws: ``SystemError``.
  public static func begin(host: String, port: UInt16) throws(SystemError) -> Descriptor {
    var found: Descriptor?
    var failure = SystemError(call: "getaddrinfo", code: EADDRNOTAVAIL)
    try unsafe forEachAddress(host: host, port: port, isPassive: false) { address, length, family in
      let number = socket(family, streamType, 0)
      if number < 0 {
        failure = .last("socket")
        return false
      }
      let descriptor = Descriptor(adopting: number)
      if unsafe connect(number, address, length) != 0 {
        let error = SystemError.last("connect")
        if error.code != EINPROGRESS {
          failure = error
          return false
        }
      }
      found = consume descriptor
      return true
    }
    guard let begun = found.take() else { throw failure }
    return begun
  }
}

/// Calls `body` with every address of `host` until one returns true.
private func forEachAddress(
  host: String, port: UInt16, isPassive: Bool,
  _ body: (UnsafePointer<sockaddr>, socklen_t, Int32) -> Bool
) throws(SystemError) {
  var hints = unsafe addrinfo()
  unsafe hints.ai_family = AF_UNSPEC
  unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
  unsafe hints.ai_flags = AI_NUMERICSERV | (isPassive ? AI_PASSIVE : 0)
  var list: UnsafeMutablePointer<addrinfo>?
  let result = unsafe getaddrinfo(host, String(port), &hints, &list)
  if result != 0 {
    throw SystemError(
      call: "getaddrinfo \(host)", code: result == EAI_SYSTEM ? needletail_errno() : EADDRNOTAVAIL)
  }
  defer { unsafe freeaddrinfo(list) }
  var next = unsafe list
  while let info = unsafe next {
    if let address = unsafe info.pointee.ai_addr,
      unsafe body(address, info.pointee.ai_addrlen, info.pointee.ai_family)
    {
      return
    }
    unsafe next = info.pointee.ai_next
  }
}

private let streamType =
  Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
