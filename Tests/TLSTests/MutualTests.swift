import TLS
import Testing

@Suite("Mutual TLS")
struct MutualTests {
  @Test("takes a client's certificate of the configured authority")
  func accepts() throws {
    let authority = try TestAuthority()
    let clients = try TestAuthority()
    let identity = try clients.authority.clientIdentity(name: "trainer", validity: .days(1))
    let server = try authority.server { $0.clientAuthorityPEM = clients.pem }
    let pair = try MemoryPair(
      client: authority.client { $0.identity = identity }, server: server)
    try pair.shakeHands()
    try #require(pair.isDone)
    let certificate = try #require(pair.server.certificate)
    #expect(certificate.subject == "CN = trainer")
    #expect(certificate.alternativeNames.isEmpty)
  }

  @Test("refuses a client without a certificate")
  func missing() throws {
    let authority = try TestAuthority()
    let clients = try TestAuthority()
    let server = try authority.server { $0.clientAuthorityPEM = clients.pem }
    let pair = try MemoryPair(client: authority.client(), server: server)
    try pair.shakeHands()
    #expect(pair.server.error?.reason == .peerUnverified)
    #expect(pair.server.error?.detail == "the peer gave no certificate, and one is required")
    #expect(
      throws: TLSError(
        .peerRefused, "the peer ended the connection with the alert certificate required")
    ) { _ = try pair.client.read() }
  }

  @Test("refuses a client's certificate of another authority, or one for servers")
  func wrongAuthority() throws {
    let authority = try TestAuthority()
    let clients = try TestAuthority()
    let other = try TestAuthority()
    let server = try authority.server { $0.clientAuthorityPEM = clients.pem }
    let wrong = [
      try other.authority.clientIdentity(name: "x", validity: .days(1)),
      try clients.authority.serverIdentity(hosts: ["x"], validity: .days(1)),
    ]
    for identity in wrong {
      let pair = try MemoryPair(client: authority.client { $0.identity = identity }, server: server)
      try pair.shakeHands()
      #expect(pair.server.error?.reason == .peerUnverified)
      #expect(pair.server.certificate == nil)
    }
  }

  @Test("does not resume a session of another client authority")
  func resumptionIsScoped() throws {
    let authority = try TestAuthority()
    let clients = try TestAuthority()
    let other = try TestAuthority()
    let keys = TicketKeys.random()
    let identity = try clients.authority.clientIdentity(name: "trainer", validity: .days(1))
    let client = try authority.client { $0.identity = identity }
    let before = try authority.server {
      $0.clientAuthorityPEM = clients.pem
      $0.ticketKeys = keys
    }
    let first = try MemoryPair(client: client, server: before)
    try first.shakeHands()
    #expect(try first.client.read().result == .wantRead)
    guard let session = first.client.connection.session else {
      Issue.record("no ticket arrived")
      return
    }
    let after = try authority.server {
      $0.clientAuthorityPEM = other.pem
      $0.ticketKeys = keys
    }
    let second = try MemoryPair(client: client, server: after)
    second.client.connection.resume(session)
    try second.shakeHands()
    #expect(!second.server.isResumed)
    #expect(second.server.error?.reason == .peerUnverified)
  }
}
