internal import EventLoop
internal import Postgres
internal import Wire

extension Session {
  /// Finds out whom the key belongs to, then greets; frames wait meanwhile.
  func authenticate(_ hello: Hello) {
    client = String(hello.client.prefix(Session.clientCharactersMax))
    let deadline = begunAt.advanced(by: settings.wire.helloTimeout)
    loop.spawn { [self] in
      do throws(CallError) {
        let principal = try await server.state.authenticator.authenticate(
          hello.apiKey, from: peer, database: server.database, deadline: deadline)
        welcome(principal)
      } catch {
        server.metrics.helloRefused &+= 1
        end(error.status, "Hello was refused: \(error.status.reason)")
      }
    }
  }

  /// What is kept of a client's name.
  static let clientCharactersMax = 200

  private func welcome(_ principal: Principal) {
    guard phase == .serving else { return }
    self.principal = principal
    allowed = server.state.router.allowed(by: principal.permissions)
    server.keys.join(self, principal)
    machine.welcome(now: loop.now.nanoseconds)
    output.welcome(
      Welcome(
        server: settings.software, organizationID: principal.organizationID.description,
        userID: principal.id.description, apiKeyID: principal.apiKeyID.description,
        connectionID: connectionID.description, limits: machine.limits.announced))
    scheduleFlush()
    // What came right behind Hello has waited for this.
    loop.atEndOfTurn(ReadAgain(self))
  }
}
