import TLS
import Testing

@Suite("Session tickets")
struct ResumptionTests {
  /// Connects once and takes the session along.
  private func session(_ client: TLSContext, _ server: TLSContext) throws -> TLSSession {
    let pair = try MemoryPair(client: client, server: server)
    try pair.shakeHands()
    #expect(try pair.client.read().result == .wantRead)
    guard let session = pair.client.connection.session else { throw NoTicket() }
    return session
  }

  private func isResumed(
    _ session: borrowing TLSSession, _ client: TLSContext, _ server: TLSContext
  ) throws -> Bool {
    let pair = try MemoryPair(client: client, server: server)
    pair.client.connection.resume(session)
    try pair.shakeHands()
    #expect(pair.isDone)
    #expect(pair.client.isResumed == pair.server.isResumed)
    #expect(pair.server.applicationProtocol == "needletail/1")
    return pair.server.isResumed
  }

  @Test(
    "of one context are taken by another that shares its keys",
    arguments: [TLSVersion.tls12, .tls13])
  func sharedKeys(version: TLSVersion) throws {
    let authority = try TestAuthority()
    let keys = TicketKeys.random()
    let client = try authority.client {
      $0.minimumVersion = version
      $0.maximumVersion = version
    }
    let contexts = try (0..<2).map { _ in
      try authority.server {
        $0.minimumVersion = version
        $0.ticketKeys = keys
      }
    }
    let session = try session(client, contexts[0])
    #expect(try isResumed(session, client, contexts[1]))
  }

  @Test("of other keys lead to a full handshake")
  func otherKeys() throws {
    let authority = try TestAuthority()
    let (client, first, second) = (
      try authority.client(), try authority.server(), try authority.server()
    )
    let session = try session(client, first)
    #expect(try !isResumed(session, client, second))
  }

  @Test("outlive one rotation of the keys, and no second")
  func rotation() throws {
    let authority = try TestAuthority()
    var keys = TicketKeys.random()
    let (client, server) = (try authority.client(), try authority.server { $0.ticketKeys = keys })
    let session = try session(client, server)
    keys = keys.rotated()
    try server.setTicketKeys(keys)
    #expect(try isResumed(session, client, server))
    try server.setTicketKeys(keys.rotated())
    #expect(try !isResumed(session, client, server))
  }

  @Test("are not issued without keys")
  func none() throws {
    let authority = try TestAuthority()
    let pair = try MemoryPair(
      client: authority.client(), server: authority.server { $0.ticketKeys = nil })
    try pair.shakeHands()
    #expect(try pair.client.read().result == .wantRead)
    if pair.client.connection.session != nil { Issue.record("a ticket arrived") }
  }

  @Test(
    "are sealed by keys of the right size only", arguments: [[], [79], [80, 81], [80, 80, 80]])
  func keySizes(sizes: [Int]) {
    #expect(throws: TLSError(.settingInvalid, "ticket keys are one or two secrets of 80 bytes")) {

      _ = try TicketKeys(newestFirst: sizes.map { [UInt8](repeating: 1, count: $0) })
    }
  }
}

private struct NoTicket: Error {}
