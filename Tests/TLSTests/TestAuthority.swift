import TLS

/// An authority made for a test, with what it signs.
final class TestAuthority {
  let authority: DevelopmentAuthority

  init() throws(TLSError) {
    authority = try DevelopmentAuthority(name: "test authority", validity: .days(1))
  }

  var pem: [UInt8] { authority.certificatePEM }

  func identity(
    hosts: [String] = ["localhost", "127.0.0.1", "::1"],
    validity: CertificateValidity = .days(1)
  ) throws(TLSError) -> ServerIdentity {
    try authority.serverIdentity(hosts: hosts, validity: validity)
  }

  func server(_ change: (inout TLSSettings) -> Void = { _ in }) throws(TLSError) -> TLSContext {
    var settings = TLSSettings(applicationProtocols: ["needletail/1"])
    settings.ticketKeys = .random()
    change(&settings)
    return try TLSContext(server: identity(), settings: settings)
  }

  func client(
    _ change: (inout TLSClientSettings) -> Void = { _ in }
  ) throws(TLSError) -> TLSContext {
    var settings = TLSClientSettings(
      trust: .authority(pem: pem), applicationProtocols: ["needletail/1"])
    change(&settings)
    return try TLSContext(client: settings)
  }
}

let localhost = PeerName.host("localhost")

/// One end of a connection, with what its handshake came to; a class, so that expectations take it.
final class Peer {
  var connection: TLSConnection
  private(set) var outcome = Result<TLSProgress, TLSError>.success(.wantRead)

  init(_ connection: consuming TLSConnection) { self.connection = connection }

  /// Goes on with the handshake unless it has ended.
  func shakeHands() {
    guard case .success(let progress) = outcome, progress != .done else { return }
    do { outcome = .success(try connection.handshake()) } catch { outcome = .failure(error) }
  }

  /// Reads once, at most so many bytes.
  func read(max: Int = 65_536) throws(TLSError) -> (result: TLSTransfer, bytes: [UInt8]) {
    var bytes = [UInt8](repeating: 0, count: max)
    var span = bytes.mutableSpan
    var buffer = unsafe span.mutableBytes
    let transfer = try connection.read(into: &buffer)
    guard case .bytes(let count) = transfer else { return (transfer, []) }
    return (transfer, Array(bytes[..<count]))
  }

  func write(_ bytes: [UInt8]) throws(TLSError) -> TLSTransfer {
    try connection.write(unsafe bytes.span.bytes)
  }

  func receive(_ bytes: [UInt8]) throws(TLSError) {
    try connection.receive(unsafe bytes.span.bytes)
  }

  func receiveEnd() { connection.receiveEnd() }
  func takeOutput() -> [UInt8] { connection.takeOutput() }
  func shutdown() throws(TLSError) -> TLSProgress { try connection.shutdown() }

  var isDone: Bool { outcome == .success(.done) }
  var error: TLSError? { if case .failure(let error) = outcome { error } else { nil } }
  var version: TLSVersion? { connection.version }
  var cipherSuite: String? { connection.cipherSuite }
  var applicationProtocol: String? { connection.applicationProtocol }
  var certificate: PeerCertificate? { connection.peerCertificate }
  var isResumed: Bool { connection.isResumed }
  var keyUpdateCount: Int { connection.keyUpdateCount }
  var alertSent: String? { connection.alertSent }
  var alertReceived: String? { connection.alertReceived }
  var hasBufferedInput: Bool { connection.hasBufferedInput }
}

/// Client and server joined by memory.
final class MemoryPair {
  let client: Peer
  let server: Peer

  init(
    client: TLSContext, server: TLSContext, name: PeerName = localhost
  ) throws(TLSError) {
    self.client = Peer(try .connectingInMemory(to: name, context: client))
    self.server = Peer(try .acceptingInMemory(context: server))
  }

  /// Whether both handshakes succeeded.
  var isDone: Bool { client.isDone && server.isDone }

  /// Runs both handshakes until neither goes on, handing over so many bytes at a time.
  func shakeHands(bytesAtATime: Int = .max) throws(TLSError) {
    client.shakeHands()
    var hasMoved = true
    while hasMoved {
      hasMoved = try deliver(client, server, bytesAtATime)
      if try deliver(server, client, bytesAtATime) { hasMoved = true }
    }
  }

  private func deliver(_ sender: Peer, _ receiver: Peer, _ size: Int) throws(TLSError) -> Bool {
    var bytes = sender.takeOutput()[...]
    guard !bytes.isEmpty else { return false }
    while !bytes.isEmpty {
      try receiver.receive(Array(bytes.prefix(size)))
      bytes = bytes.dropFirst(size)
      receiver.shakeHands()
    }
    return true
  }

  /// Carries what each has to send to the other.
  func carry() throws(TLSError) {
    try server.receive(client.takeOutput())
    try client.receive(server.takeOutput())
  }
}
