internal import COpenSSL
internal import Glibc

/// What came of a step of the handshake or of closing.
public enum TLSProgress: Sendable, Equatable {
  /// The step is complete.
  case done
  /// Call again when the socket can be read.
  case wantRead
  /// Call again when the socket can be written.
  case wantWrite
}

/// What came of reading or writing.
public enum TLSTransfer: Sendable, Equatable {
  /// So many bytes were taken or given; at least one, unless none were asked for.
  case bytes(Int)
  /// Call again when the socket can be read.
  case wantRead
  /// Call again when the socket can be written.
  case wantWrite
  /// The peer closed; clean when it said close_notify, otherwise the stream may be cut short.
  case closed(clean: Bool)
}

/// One TLS connection over a socket that somebody else owns.
///
/// Nothing blocks when the socket does not. Values are freed in place; the socket is not closed.
/// An idle connection holds no record buffers.
@safe public struct TLSConnection: ~Copyable {
  let raw: OpaquePointer
  let facts: UnsafeMutablePointer<ntl_facts>
  private let isMemory: Bool

  /// Accepts a client on a connected socket.
  public static func accepting(
    on descriptor: Int32, context: TLSContext
  ) throws(TLSError) -> TLSConnection {
    precondition(context.role == .server, "a client's context cannot accept")
    let connection = try TLSConnection(context: context, descriptor: descriptor)
    unsafe SSL_set_accept_state(connection.raw)
    return connection
  }

  /// Connects to a server on a connected socket; its certificate must speak for the name.
  public static func connecting(
    on descriptor: Int32, to name: PeerName, context: TLSContext
  ) throws(TLSError) -> TLSConnection {
    let connection = try TLSConnection(context: context, descriptor: descriptor)
    try connection.expect(name, context: context)
    return connection
  }

  /// Accepts a client whose bytes come and go by ``receive(_:)`` and ``takeOutput()``.
  public static func acceptingInMemory(context: TLSContext) throws(TLSError) -> TLSConnection {
    precondition(context.role == .server, "a client's context cannot accept")
    let connection = try TLSConnection(context: context, descriptor: nil)
    unsafe SSL_set_accept_state(connection.raw)
    return connection
  }

  /// Connects to a server whose bytes come and go by ``receive(_:)`` and ``takeOutput()``.
  public static func connectingInMemory(
    to name: PeerName, context: TLSContext
  ) throws(TLSError) -> TLSConnection {
    let connection = try TLSConnection(context: context, descriptor: nil)
    try connection.expect(name, context: context)
    return connection
  }

  private init(context: TLSContext, descriptor: Int32?) throws(TLSError) {
    ERR_clear_error()
    let facts = UnsafeMutablePointer<ntl_facts>.allocate(capacity: 1)
    unsafe facts.initialize(to: ntl_facts())
    guard let raw = unsafe ntl_connection_new(context.raw, descriptor ?? -1, facts) else {
      unsafe facts.deallocate()
      throw TLSError(.libraryFailed, LibraryErrors.collect().text(or: "no TLS connection"))
    }
    unsafe self.raw = raw
    unsafe self.facts = facts
    isMemory = descriptor == nil
  }

  deinit {
    unsafe SSL_free(raw)
    unsafe facts.deallocate()
  }

  private func expect(_ name: PeerName, context: TLSContext) throws(TLSError) {
    precondition(context.role == .client, "a server's context cannot connect")
    let result =
      switch name {
      case .host(let host): unsafe ntl_connection_expect_host(raw, host)
      case .address(let address): unsafe ntl_connection_expect_address(raw, address)
      }
    guard result == 1 else {
      throw TLSError(.settingInvalid, "\"\(name)\" is not a host name or an address")
    }
    unsafe SSL_set_connect_state(raw)
  }

  /// Offers to resume a session of an earlier connection; call it before the handshake.
  public func resume(_ session: borrowing TLSSession) {
    unsafe SSL_set_session(raw, session.raw)
    ERR_clear_error()
  }

  /// Goes on with the handshake.
  ///
  /// - Throws: ``TLSError`` that says which side refused what. An alert for the peer may still be
  ///   on its way, so shut down the sending side of the socket before closing it.
  public mutating func handshake() throws(TLSError) -> TLSProgress {
    switch unsafe ntl_handshake(raw, facts) {
    case NTL_DONE: return .done
    case NTL_WANT_READ: return .wantRead
    case NTL_WANT_WRITE: return .wantWrite
    case let step: throw handshakeError(step)
    }
  }

  /// Reads decrypted bytes into the beginning of a buffer that is not empty.
  ///
  /// Fewer than asked for do not mean that no more are there: ask ``hasBufferedInput``.
  public mutating func read(into buffer: inout MutableRawSpan) throws(TLSError) -> TLSTransfer {
    var count = 0
    let step = unsafe buffer.withUnsafeMutableBytes {
      unsafe ntl_read(raw, facts, $0.baseAddress, $0.count, &count)
    }
    return try transfer(step, count)
  }

  /// Encrypts and sends as many bytes as the socket takes.
  ///
  /// After ``TLSTransfer/wantWrite`` or ``TLSTransfer/wantRead``, the next call must begin with the
  /// same bytes (they may have moved, and more may follow): some are already encrypted.
  public mutating func write(_ bytes: RawSpan) throws(TLSError) -> TLSTransfer {
    var count = 0
    let step = unsafe bytes.withUnsafeBytes {
      unsafe ntl_write(raw, facts, $0.baseAddress, $0.count, &count)
    }
    return try transfer(step, count)
  }

  /// Says close_notify.
  ///
  /// It is `done` once the socket has it; the peer's own comes by reading on.
  /// Call it after everything written was taken. There is nothing to say before the handshake's end
  /// and after a failure; that is `done` as well.
  public mutating func shutdown() throws(TLSError) -> TLSProgress {
    switch unsafe ntl_shutdown(raw, facts) {
    case NTL_DONE: return .done
    case NTL_WANT_READ: return .wantRead
    case NTL_WANT_WRITE: return .wantWrite
    default: throw transferError()
    }
  }

  /// Whether bytes were fetched from the socket that ``read(into:)`` has not yet given.
  ///
  /// The socket does not become readable for them, so a reader that pauses asks before it waits.
  public var hasBufferedInput: Bool { unsafe SSL_has_pending(raw) == 1 }

  private func transfer(_ step: ntl_step, _ count: Int) throws(TLSError) -> TLSTransfer {
    switch step {
    case NTL_DONE: return .bytes(count)
    case NTL_WANT_READ: return .wantRead
    case NTL_WANT_WRITE: return .wantWrite
    case NTL_CLOSED: return .closed(clean: true)
    case NTL_TRUNCATED:
      ERR_clear_error()
      return .closed(clean: false)
    default: throw transferError()
    }
  }
}

/// Connections without a socket, for tests and simulation.
extension TLSConnection {
  /// Hands over bytes that the peer sent.
  public mutating func receive(_ bytes: RawSpan) throws(TLSError) {
    precondition(isMemory, "this connection has a socket")
    let result = unsafe bytes.withUnsafeBytes {
      unsafe ntl_memory_receive(raw, $0.baseAddress, $0.count)
    }
    guard result == 1 || bytes.isEmpty else {
      throw TLSError(.libraryFailed, "no memory for what arrived")
    }
  }

  /// Says that the peer sends no more.
  public mutating func receiveEnd() {
    precondition(isMemory, "this connection has a socket")
    unsafe ntl_memory_receive_end(raw)
  }

  /// Takes the bytes that are to be sent to the peer.
  public mutating func takeOutput() -> [UInt8] {
    precondition(isMemory, "this connection has a socket")
    let pending = unsafe ntl_memory_pending(raw)
    return unsafe [UInt8](unsafeUninitializedCapacity: pending) { buffer, count in
      count = unsafe ntl_memory_take(raw, buffer.baseAddress, buffer.count)
    }
  }
}
