import TLS
import Testing

@Suite("The handshake")
struct HandshakeTests {
  @Test("agrees on TLS 1.3, the protocol and the certificate")
  func agrees() throws {
    let authority = try TestAuthority()
    let pair = try MemoryPair(client: authority.client(), server: authority.server())
    try pair.shakeHands()
    try #require(pair.isDone)
    #expect(pair.server.version == .tls13)
    #expect(pair.server.applicationProtocol == "needletail/1")
    #expect(pair.client.applicationProtocol == "needletail/1")
    #expect(pair.server.cipherSuite == "TLS_AES_256_GCM_SHA384")
    let certificate = try #require(pair.client.certificate)
    #expect(certificate.subject == "CN = needletail server")
    #expect(certificate.alternativeNames == ["DNS:localhost", "IP:127.0.0.1", "IP:::1"])
    #expect(certificate.fingerprint.count == 32)
    #expect(pair.server.certificate == nil)
    #expect(!pair.server.isResumed)
    #expect(pair.server.keyUpdateCount == 0)
  }

  @Test("survives one byte at a time")
  func byteAtATime() throws {
    let authority = try TestAuthority()
    let pair = try MemoryPair(client: authority.client(), server: authority.server())
    try pair.shakeHands(bytesAtATime: 1)
    #expect(pair.isDone)
  }

  @Test(
    "takes an address of the certificate", arguments: ["127.0.0.1", "::1", "[::1]", "localhost"])
  func names(name: String) throws {
    let authority = try TestAuthority()
    let pair = try MemoryPair(
      client: authority.client(), server: authority.server(), name: PeerName(name))
    try pair.shakeHands()
    #expect(pair.isDone)
  }

  @Test("fails on a name that the certificate lacks", arguments: ["example.org", "10.0.0.1"])
  func wrongName(name: String) throws {
    let authority = try TestAuthority()
    let pair = try MemoryPair(
      client: authority.client(), server: authority.server(), name: PeerName(name))
    try pair.shakeHands()
    #expect(pair.client.error?.reason == .peerUnverified)
    #expect(pair.client.error?.detail.contains("mismatch") == true)
    #expect(pair.client.alertSent == "bad certificate")
    #expect(
      pair.server.error
        == TLSError(.peerRefused, "the peer refused the handshake with the alert bad certificate"))
  }

  @Test("fails on a certificate of another authority")
  func wrongIssuer() throws {
    let authority = try TestAuthority()
    let other = try TestAuthority()
    let pair = try MemoryPair(client: other.client(), server: authority.server())
    try pair.shakeHands()
    #expect(pair.client.error?.reason == .peerUnverified)
    #expect(pair.client.alertSent == "unknown CA" || pair.client.alertSent == "decrypt error")
  }

  @Test("fails on an expired certificate")
  func expired() throws {
    let authority = try TestAuthority()
    // A server refuses to load one, so the client's authority is the one that has expired.
    let old = try DevelopmentAuthority(
      name: "old", validity: CertificateValidity(beginSeconds: -7200, endSeconds: -3600))
    let identity = try old.serverIdentity(hosts: ["localhost"], validity: .days(1))
    let server = try TLSContext(
      server: identity, settings: TLSSettings(applicationProtocols: ["needletail/1"]))
    let client = try authority.client { $0.trust = .authority(pem: old.certificatePEM) }
    let pair = try MemoryPair(client: client, server: server)
    try pair.shakeHands()
    #expect(pair.client.error?.reason == .peerUnverified)
    #expect(pair.client.error?.detail.contains("expired") == true)
    #expect(pair.client.alertSent == "certificate expired")
  }

  @Test("speaks TLS 1.2 only when the setting says so", arguments: [TLSVersion.tls12, .tls13])
  func oldVersion(minimum: TLSVersion) throws {
    let authority = try TestAuthority()
    let client = try authority.client {
      $0.minimumVersion = .tls12
      $0.maximumVersion = .tls12
    }
    let server = try authority.server { $0.minimumVersion = minimum }
    let pair = try MemoryPair(client: client, server: server)
    try pair.shakeHands()
    #expect(pair.isDone == (minimum == .tls12))
    guard minimum == .tls13 else {
      #expect(pair.server.version == .tls12)
      return
    }
    #expect(pair.server.error?.reason == .versionUnsupported)
    #expect(pair.client.error?.reason == .peerRefused)
    #expect(pair.client.alertReceived == "protocol version")
  }

  @Test("refuses whoever does not offer the protocol", arguments: [["h2", "http/1.1"], []])
  func wrongProtocol(offered: [String]) throws {
    let authority = try TestAuthority()
    let client = try authority.client { $0.applicationProtocols = offered }
    let pair = try MemoryPair(client: client, server: authority.server())
    try pair.shakeHands()
    #expect(pair.server.error?.reason == .protocolNotOffered)
    #expect(pair.server.alertSent == "no application protocol")
    #expect(pair.client.error?.reason == .peerRefused)
    #expect(pair.client.error?.detail.contains("no application protocol") == true)
  }

  @Test("finds the protocol among others that are offered")
  func protocolAmongOthers() throws {
    let authority = try TestAuthority()
    let client = try authority.client { $0.applicationProtocols = ["h2", "needletail/1"] }
    let pair = try MemoryPair(client: client, server: authority.server())
    try pair.shakeHands()
    #expect(pair.server.applicationProtocol == "needletail/1")
  }

  @Test(
    "agrees on the configured groups and on no other",
    arguments: [
      ("X25519", true), ("P-256", true), ("P-384", true), ("P-521:X25519", true),
      ("P-521", false), ("X448", false), ("ffdhe2048", false),
    ])
  func groups(offered: String, isAccepted: Bool) throws {
    let authority = try TestAuthority()
    let client = try authority.client { $0.groups = offered }
    let pair = try MemoryPair(client: client, server: authority.server())
    try pair.shakeHands()
    #expect(pair.isDone == isAccepted)
    if !isAccepted { #expect(pair.server.alertSent == "handshake failure") }
  }

  @Test(
    "refuses what is not TLS",
    arguments: ["GET / HTTP/1.1\r\n\r\n", "\u{0}\u{0}\u{0}\u{10}needletail hello", "SSH-2.0-x\r\n"])
  func garbage(text: String) throws {
    let authority = try TestAuthority()
    let server = Peer(try .acceptingInMemory(context: authority.server()))
    try server.receive(Array(text.utf8))
    let error = #expect(throws: TLSError.self) { _ = try server.connection.handshake() }
    #expect([.protocolViolation, .versionUnsupported].contains(error?.reason))
    #expect(try server.shutdown() == .done)
  }

  @Test("reports a peer that leaves in the middle")
  func closedInHandshake() throws {
    let authority = try TestAuthority()
    let server = Peer(try .acceptingInMemory(context: authority.server()))
    #expect(try server.connection.handshake() == .wantRead)
    server.receiveEnd()
    let error = #expect(throws: TLSError.self) { _ = try server.connection.handshake() }
    #expect(error?.reason == .closedInHandshake)
  }

  @Test("leaves nothing in the error queue for the next connection")
  func errorQueue() throws {
    let authority = try TestAuthority()
    let (client, server) = (try authority.client(), try authority.server())
    let broken = Peer(try .acceptingInMemory(context: server))
    try broken.receive([UInt8](repeating: 0x41, count: 100))
    #expect(throws: TLSError.self) { _ = try broken.connection.handshake() }
    let pair = try MemoryPair(client: client, server: server)
    try pair.shakeHands()
    #expect(pair.isDone)
    #expect(try pair.server.read().result == .wantRead)
  }
}
