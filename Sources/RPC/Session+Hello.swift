internal import EventLoop
internal import Messages
internal import Postgres
internal import Wire

extension Session {
  /// Finds out whom the key belongs to, then greets; frames wait meanwhile.
  func authenticate(_ hello: Hello) {
    client = String(hello.client.prefix(Session.clientCharactersMax))
    let isLate = server.state.isSuspect(permit.block, now: loop.now)
    loop.spawn { [self] in
      var deadline = begunAt.advanced(by: settings.wire.helloTimeout)
      if isLate {
        // Good keys wait, too: how long an answer takes says nothing about the key.
        server.metrics.helloDelayed &+= 1
        await loop.pause(settings.failedHelloDelay)
        guard phase == .serving else { return }
        deadline = deadline.advanced(by: settings.failedHelloDelay)
      }
      if hello.apiKey.isEmpty { return welcomeAnonymously() }
      do throws(CallError) {
        let principal = try await server.state.authenticator.authenticate(
          hello.apiKey, from: peer, database: server.database, deadline: deadline)
        welcome(principal)
      } catch {
        server.metrics.helloRefused &+= 1
        if error.status.code == .unauthenticated {
          server.state.suspect(permit.block, now: loop.now)
        }
        end(error.status, "Hello was refused: \(error.status.reason)")
      }
    }
  }

  /// What is kept of a client's name.
  static let clientCharactersMax = 200

  private func welcome(_ principal: Principal) {
    guard phase == .serving else { return }
    if let limit = permit.join(principal) {
      server.metrics.helloRefused &+= 1
      return end(
        tooManyConnections(limit).status, "Hello was refused: too many connections (\(limit.name))")
    }
    self.principal = principal
    rate = server.share(of: principal.apiKeyID)
    allowed = server.state.router.allowed(by: principal.permissions)
    server.keys.join(self, principal)
    greet(
      organizationID: principal.organizationID.description, userID: principal.id.description,
      apiKeyID: principal.apiKeyID.description)
  }

  /// Greets a connection without a key, which stays among those that are not authenticated: it may
  /// log in and little else, and not for long.
  private func welcomeAnonymously() {
    guard phase == .serving else { return }
    principal = .anonymous
    allowed = server.state.router.allowedAnonymously()
    greet(organizationID: "", userID: "", apiKeyID: "")
  }

  private func greet(organizationID: String, userID: String, apiKeyID: String) {
    machine.welcome(now: loop.now.nanoseconds)
    output.welcome(
      Welcome(
        server: settings.software, organizationID: organizationID, userID: userID,
        apiKeyID: apiKeyID, connectionID: connectionID.description,
        limits: machine.limits.announced))
    scheduleFlush()
    // What came right behind Hello has waited for this.
    loop.atEndOfTurn(ReadAgain(self))
  }

  /// Ends a connection without a key that has stayed too long; one that waits for an answer still
  /// gets it, and is taken no more calls from.
  func expireAnonymity(_ now: Instant) {
    guard phase == .serving, principal?.isAnonymous == true,
      now.since(begunAt) >= settings.anonymousTimeout
    else { return }
    guard calls.isEmpty else { return drain() }
    let error = CallError(
      RpcErrorReason.apiKeyNeeded,
      "A connection without an API key ends after \(settings.anonymousTimeout); connect with one.")
    end(error.status, "no API key for too long")
  }

  private func tooManyConnections(_ limit: ConnectionLimit) -> CallError {
    let (whose, max) =
      limit == .key
      ? ("API key", settings.connectionsPerKeyMax)
      : ("organization", settings.connectionsPerOrganizationMax)
    return CallError(
      RpcErrorReason.tooManyConnections,
      "This \(whose) has \(max) connections open, which is all it may; close one first.",
      details: ["limit": limit.name, "max": "\(max)"], retryAfter: .seconds(1))
  }
}
