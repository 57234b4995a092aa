internal import EventLoop

/// The connections of one loop, and those who wait for them.
///
/// Units share connections: each goes to the one with the least under way. A lease waits for one of
/// its own; leases leave at least one connection to the units.
final class Pool: ConnectionOwner {
  let loop: Loop
  let settings: DatabaseSettings
  let shared: DatabaseShared
  /// How many connections this loop may have, overflow apart.
  let limit: Int
  var metrics = DatabaseMetrics()
  var onSlowStatement: ((String, Duration) -> Void)?
  /// Told when a connection stands after a time without.
  var onReady: [Waiter] = []

  let string: ConnectionString
  var connections: [Connection] = []
  var units = Ring<Unit>()
  var leases = Ring<Lease>()
  var connecting = 0
  var connectingOverflow = 0
  var isClosed = false
  var awaySince: Instant?
  var lastError = ""
  /// Whether that was the role, which waiting does not change.
  var isRoleRefused = false
  var failures = 0
  var pause: Timer?
  private var sweep: Timer?
  private var housekeeping: Timer?
  /// Raised when connections hold plans for tables that have changed since.
  var generation = 0

  /// What statements have cost lately.
  private var costs = StatementCosts()

  /// How many quick units one connection takes before the next one is used as well.
  static let unitsPerLane = 32

  /// How often deadlines and cancellations are looked at.
  static let sweepInterval = Duration.milliseconds(10)

  init(_ loop: Loop, _ settings: DatabaseSettings, _ shared: DatabaseShared) throws(PostgresError) {
    self.loop = loop
    self.settings = settings
    self.shared = shared
    limit = max(1, (settings.poolSize + shared.loops - 1) / shared.loops)
    string = try ConnectionString(settings.connection, applicationName: settings.applicationName)
  }

  func start() {
    guard housekeeping == nil, !isClosed else { return }
    keepHouse()
    connect(isOverflow: false)
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    for timer in [pause, sweep, housekeeping] {
      if let timer { loop.cancel(timer) }
    }
    (pause, sweep, housekeeping) = (nil, nil, nil)
    let closed = PostgresError.away("the database is closed")
    while let unit = units.popFirst() { unit.finish(closed) }
    while let lease = leases.popFirst() { lease.finish(nil, closed) }
    for connection in connections { retire(connection) }
    announceReady()
  }

  // MARK: Units

  /// Runs a unit to its end, once more when it certainly did not run the first time.
  func perform(_ unit: Unit) async throws(PostgresError) {
    enqueue(unit)
    do {
      try await unit.wait()
    } catch {
      guard mayRetry(unit, error) else { throw error }
      unit.reset()
      enqueue(unit)
      try await unit.wait()
    }
  }

  private func mayRetry(_ unit: Unit, _ error: PostgresError) -> Bool {
    if unit.isStale {
      if unit.generation == generation { generation += 1 }
      retireStale()
      return true
    }
    guard case .connectionLost(outcomeUnknown: false, _) = error else { return false }
    // A change that was running may be what ended the session.
    return !isClosed && !(unit.isChange && unit.wasRunning)
  }

  private func enqueue(_ unit: Unit) {
    if let failure = unit.work.failure(at: loop.now) { return unit.finish(failure) }
    if isClosed { return unit.finish(.away("the database is closed")) }
    unit.queuedAt = loop.now
    startSweep()
    if units.isEmpty, let connection = pick(for: unit) { return connection.submit(unit) }
    if let failure = refusal() { return unit.finish(failure) }
    units.append(unit)
    grow()
  }

  /// Why nobody may queue now.
  private func refusal() -> PostgresError? {
    if units.count + leases.count >= settings.waitersMax { return .busy }
    if let awaySince, loop.now.since(awaySince) > settings.awayPatience {
      return .away(lastError)
    }
    return nil
  }

  /// The connection for one more unit, if there is one.
  ///
  /// Quick units are kept together on as few connections as carry them well: a server process that
  /// finds its next statement waiting goes on without being put to sleep and woken. Others go where
  /// nobody waits behind them.
  private func pick(for unit: Unit) -> Connection? {
    unit.isQuick = unit.steps.allSatisfy { costs.isQuick($0.statement) }
    let best = unit.isQuick ? pickLane() ?? pickLeast() : pickLeast()
    guard let best, best.load < settings.inFlightMax else { return nil }
    return best
  }

  private func pickLane() -> Connection? {
    let now = loop.now
    var load = 0
    for connection in connections { load += connection.inFlight }
    var lanes = 1 + load / Pool.unitsPerLane
    var best: Connection?
    var least = Int.max
    for connection in connections
    where mayCarryUnits(connection) && !connection.isSlow(at: now) && !provesFirst(connection) {
      if connection.load < least { (best, least) = (connection, connection.load) }
      lanes -= 1
      if lanes == 0 { return best }
    }
    grow()
    return best
  }

  /// The last of the connections with the least under way.
  private func pickLeast() -> Connection? {
    var best: Connection?
    var least = Int.max
    for connection in connections.reversed()
    where mayCarryUnits(connection) && connection.load < least && !provesFirst(connection) {
      (best, least) = (connection, connection.load)
      if least == 0 { return best }
    }
    grow()
    return best
  }

  private func mayCarryUnits(_ connection: Connection) -> Bool {
    connection.isOpen && !connection.isLeased && !connection.isReserved && !connection.isProving
      && !connection.isSettingUp && isFresh(connection)
  }

  private func isFresh(_ connection: Connection) -> Bool {
    connection.generation == generation && loop.now < connection.expiresAt
  }

  /// Whether the connection has idled for so long that it has to prove itself, and now does so.
  private func provesFirst(_ connection: Connection) -> Bool {
    guard connection.inFlight == 0, connection.proveAt < loop.now else { return false }
    connection.prove()
    return true
  }

  // MARK: Leases

  /// Gives a call a connection of its own; give it back with ``release(_:)``.
  func lease(_ work: Work) async throws(PostgresError) -> Connection {
    if let failure = work.failure(at: loop.now) { throw failure }
    if isClosed { throw .away("the database is closed") }
    let lease = Lease(work, at: loop.now)
    if let failure = refusal() { throw failure }
    leases.append(lease)
    startSweep()
    dispatch()
    await lease.wait()
    guard let connection = lease.connection else { throw lease.error ?? .busy }
    return connection
  }

  func release(_ connection: Connection) {
    connection.isLeased = false
    guard connection.isOpen else { return }
    if !connection.isBetweenTransactions || !isFresh(connection) { retire(connection) }
    dispatch()
  }

  var leasesMax: Int { max(1, limit - 1) }

  /// An idle connection for a lease; failing that, one is set aside or made.
  private func pickIdle() -> Connection? {
    var taken = 0
    var best: Connection?
    for connection in connections where !connection.isOverflow {
      if connection.isLeased { taken += 1 }
    }
    for connection in connections
    where connection.isOpen && !connection.isLeased && !connection.isProving
      && !connection.isSettingUp && isFresh(connection)
    {
      guard connection.isOverflow || taken < leasesMax else { continue }
      if connection.inFlight == 0 {
        if !provesFirst(connection) { return connection }
      } else if !connection.isReserved, connection.inFlight < best?.inFlight ?? .max {
        best = connection
      }
    }
    grow()
    let reserved = connections.count { $0.isReserved }
    if reserved < leases.count, taken + reserved < leasesMax {
      best?.isReserved = true
    } else if reserved + connecting + connectingOverflow < leases.count {
      growOverflow()
    }
    return nil
  }

  // MARK: Handing out

  func dispatch() {
    while let lease = leases.first {
      if lease.isOver {
        leases.popFirst()
        continue
      }
      guard let connection = pickIdle() else { break }
      leases.popFirst()
      connection.isLeased = true
      connection.isReserved = false
      recordWait(since: lease.queuedAt)
      lease.finish(connection, nil)
    }
    if leases.isEmpty {
      for connection in connections { connection.isReserved = false }
    }
    while let unit = units.first {
      if unit.isFinished {
        units.popFirst()
        continue
      }
      guard let connection = pick(for: unit) else { break }
      units.popFirst()
      recordWait(since: unit.queuedAt)
      connection.submit(unit)
    }
  }

  private func recordWait(since start: Instant) {
    let wait = loop.now.since(start)
    metrics.waits += 1
    metrics.waitTotal += wait
    metrics.waitMax = max(metrics.waitMax, wait)
  }

  // MARK: Events of connections

  func connectionAdvanced(_ connection: Connection) {
    if connection.inFlight == 0, !connection.isLeased, !connection.isSettingUp,
      !isFresh(connection)
    {
      retire(connection)
    }
    if !units.isEmpty || !leases.isEmpty { dispatch() }
  }

  func connectionEnded(_ connection: Connection, _ message: String) {
    guard let index = connections.firstIndex(where: { $0 === connection }) else { return }
    connections.remove(at: index)
    if connection.isOverflow, !connection.isSettingUp { shared.returnOverflow() }
    guard !isClosed else { return }
    metrics.connectionsLost += 1
    if !isStanding {
      awaySince = awaySince ?? loop.now
      lastError = message
      grow()
    }
  }

  func statementEnded(_ statement: Statement, after duration: Duration, isError: Bool) {
    metrics.statements &+= 1
    costs.record(statement, duration)
    if isError { metrics.errors &+= 1 }
    if duration > settings.slowStatement {
      metrics.slowStatements += 1
      onSlowStatement?(statement.name, duration)
    }
  }

  /// Closes a connection on purpose.
  func retire(_ connection: Connection) {
    connections.removeAll { $0 === connection }
    if connection.isOverflow { shared.returnOverflow() }
    connection.close("the connection was closed")
  }

  private func retireStale() {
    for connection in connections
    where !isFresh(connection) && connection.inFlight == 0 && !connection.isLeased
      && !connection.isSettingUp
    {
      retire(connection)
    }
  }

  // MARK: Time

  func startSweep() {
    guard sweep == nil else { return }
    sweep = loop.schedule(after: Pool.sweepInterval) { [self] in
      sweep = nil
      let isNeeded = sweepNow()
      if isNeeded, !isClosed { startSweep() }
    }
  }

  /// Ends what is cancelled or late; false when nothing is left to look after.
  private func sweepNow() -> Bool {
    let now = loop.now
    let isAway = awaySince.map { now.since($0) > settings.awayPatience } ?? false
    func failure(_ work: Work, _ queuedAt: Instant) -> PostgresError? {
      if let failure = work.failure(at: now) { return failure }
      if isAway, now.since(queuedAt) > settings.awayPatience { return .away(lastError) }
      return now.since(queuedAt) > settings.waitPatience ? .busy : nil
    }
    units.removeAll { unit in
      if let failure = failure(unit.work, unit.queuedAt) { unit.finish(failure) }
      return unit.isFinished
    }
    leases.removeAll { lease in
      if let failure = failure(lease.work, lease.queuedAt) { lease.finish(nil, failure) }
      return lease.isOver
    }
    var isNeeded = !units.isEmpty || !leases.isEmpty
    for connection in connections where connection.inFlight > 0 || connection.isLeased {
      isNeeded = true
      sweep(connection, now)
    }
    return isNeeded
  }

  private func sweep(_ connection: Connection, _ now: Instant) {
    var running: PostgresError?
    connection.forEachUnit { unit in
      guard !unit.isFinished, let failure = unit.work.failure(at: now) else { return }
      if connection.isLeased || connection.isProving {
        running = failure
      } else {
        unit.finish(failure)
      }
    }
    if let running {
      if connection.isLeased {
        metrics.cancellations += 1
        connection.cancelRunning(running)
      } else {
        connection.link.fail("no answer to a proof of life")
      }
    } else {
      connection.endIfSilent(at: now)
    }
  }

  private func keepHouse() {
    housekeeping = loop.schedule(after: .seconds(1)) { [self] in
      let now = loop.now
      for connection in connections
      where connection.inFlight == 0 && !connection.isLeased && !connection.isSettingUp {
        let isSuperfluous =
          connection.isOverflow && now.since(connection.idleSince) > settings.overflowIdle
        if isSuperfluous || !isFresh(connection) { retire(connection) }
      }
      if !isStanding { grow() }
      keepHouse()
    }
  }
}
