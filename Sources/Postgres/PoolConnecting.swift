internal import EventLoop

/// How the pool makes its connections.
extension Pool {
  var baseCount: Int { connections.count { !$0.isOverflow } + connecting }

  func grow() {
    guard !isClosed, pause == nil, connecting < max(1, min(leases.count, 4)), baseCount < limit
    else { return }
    connect(isOverflow: false)
  }

  func growOverflow() {
    guard !isClosed, pause == nil, connectingOverflow < 4, baseCount >= limit else { return }
    if shared.takeOverflow() { connect(isOverflow: true) }
  }

  func connect(isOverflow: Bool) {
    if isOverflow { connectingOverflow += 1 } else { connecting += 1 }
    loop.spawn { [self] in
      do throws(PostgresError) {
        let link = try await Link.open(
          string, turn: failures, on: loop, timeout: settings.connectTimeout)
        try await setUp(link, isOverflow)
        if isOverflow { connectingOverflow -= 1 } else { connecting -= 1 }
        connected()
      } catch {
        if isOverflow { connectingOverflow -= 1 } else { connecting -= 1 }
        connectFailed(error, isOverflow)
      }
    }
  }

  /// Takes the link in; the connection is counted twice, as connecting too, until its role is set.
  func setUp(_ link: Link, _ isOverflow: Bool) async throws(PostgresError) {
    if isClosed {
      link.close()
      throw .away("the database is closed")
    }
    guard link.isOpen else { throw .away("the server closed the connection at once") }
    let connection = Connection(
      link, settings, generation: generation, isOverflow: isOverflow, owner: self)
    connections.append(connection)
    guard settings.preparesStatements, let role = settings.role else { return }
    var parameters = Parameters()
    parameters.append(text: role)
    let work = Work(
      scope: .none, deadline: loop.now.advanced(by: settings.connectTimeout), cancellation: nil)
    let unit = Unit(
      work, [Step(Preamble.role, parameters)], opening: .nothing, closing: .nothing,
      isChange: false)
    connection.isSettingUp = true
    startSweep()
    connection.submit(unit)
    do {
      try await unit.wait()
    } catch {
      connections.removeAll { $0 === connection }
      connection.close("the role is refused")
      if let words = error.serverError?.message {
        isRoleRefused = true
        throw .away(words)
      }
      throw error
    }
    connection.isSettingUp = false
    isRoleRefused = false
  }

  func connected() {
    metrics.connects += 1
    failures = 0
    awaySince = nil
    announceReady()
    dispatch()
  }

  func announceReady() {
    let waiters = onReady
    onReady = []
    for waiter in waiters { waiter.resume() }
  }

  func connectFailed(_ error: PostgresError, _ isOverflow: Bool) {
    if isOverflow { shared.returnOverflow() }
    guard !isClosed else { return }
    metrics.connectFailures += 1
    failures += 1
    lastError = error.words
    if !isStanding { awaySince = awaySince ?? loop.now }
    if pause == nil { pauseBeforeConnecting() }
  }

  var isStanding: Bool { connections.contains { $0.isOpen && !$0.isSettingUp } }

  func pauseBeforeConnecting() {
    let delay = settings.pause(afterFailures: failures)
    pause = loop.schedule(after: delay) { [self] in
      pause = nil
      if !isStanding || !units.isEmpty || !leases.isEmpty { grow() }
    }
  }
}
