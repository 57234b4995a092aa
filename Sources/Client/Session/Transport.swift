internal import EventLoop
internal import TLS

/// A connected socket and the TLS over it, closed with the value.
struct Transport: ~Copyable {
  private let descriptor: Descriptor
  private var tls: TLSConnection

  /// Begins TLS on a socket that is connected.
  init(
    _ descriptor: consuming Descriptor, to name: PeerName, context: TLSContext
  ) throws(TLSError) {
    descriptor.disableDelay()
    tls = try .connecting(on: descriptor.number, to: name, context: context)
    self.descriptor = descriptor
  }

  /// The socket's number.
  var number: Int32 { descriptor.number }

  /// Whether bytes were fetched from the socket that were not yet read.
  var hasBufferedInput: Bool { tls.hasBufferedInput }

  mutating func handshake() throws(TLSError) -> TLSProgress { try tls.handshake() }

  /// Reads into the beginning of `buffer`.
  mutating func read(into buffer: inout [UInt8]) throws(TLSError) -> TLSTransfer {
    var span = buffer.mutableSpan
    var bytes = unsafe span.mutableBytes
    return try tls.read(into: &bytes)
  }

  /// Writes `bytes` from `offset` on.
  mutating func write(_ bytes: borrowing [UInt8], from offset: Int) throws(TLSError)
    -> TLSTransfer
  {
    let all = unsafe bytes.span.bytes
    return try tls.write(all.extracting(offset...))
  }

  /// Says close_notify, if the socket takes it at once.
  mutating func farewell() {
    // The connection ends either way; a server that does not hear of it sees the socket close.
    _ = try? tls.shutdown()
  }
}
