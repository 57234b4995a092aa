public import EventLoop

/// PostgreSQL as one loop sees it: its own connections, never blocking, living on the loop.
public final class Database {
  /// The loop it lives on.
  public let loop: Loop
  /// What it was made with.
  public let settings: DatabaseSettings

  let pool: Pool
  let direct: ConnectionString

  /// Makes one that is not connected.
  ///
  /// - Throws: `configuration` when a connection string cannot be read.
  public init(
    loop: Loop, settings: DatabaseSettings, shared: DatabaseShared
  ) throws(PostgresError) {
    self.loop = loop
    self.settings = settings
    pool = try Pool(loop, settings, shared)
    direct = try ConnectionString(
      settings.directConnection ?? settings.connection,
      applicationName: settings.applicationName)
  }

  // MARK: Standing

  /// Begins to connect, and keeps connections until ``close()``.
  public func start() {
    pool.start()
  }

  /// Closes every connection; calls that are under way fail.
  public func close() {
    pool.close()
  }

  /// Waits until a connection stands.
  ///
  /// - Throws: `away` with what the last attempt met, when none stands within `patience`.
  public func waitUntilReady(patience: Duration) async throws(PostgresError) {
    let deadline = loop.now.advanced(by: patience)
    let timer = loop.schedule(after: patience) { [pool] in
      let waiters = pool.onReady
      pool.onReady = []
      for waiter in waiters { waiter.resume() }
    }
    defer { loop.cancel(timer) }
    while pool.state != .ready {
      guard loop.now < deadline, pool.state != .closed else {
        throw .away(pool.lastError.isEmpty ? "no connection yet" : pool.lastError)
      }
      await Waiter.suspend(unless: { pool.state == .ready || pool.state == .closed }) {
        pool.onReady.append($0)
      }
    }
  }

  /// Whether whoever connects may not act as the role of the settings, or there is none.
  public var isRoleRefused: Bool { pool.isRoleRefused }

  /// Whether it can be used now.
  public var state: DatabaseState { pool.state }

  /// What it has done, and how it stands.
  public var metrics: DatabaseMetrics { pool.snapshot }

  /// Told the name of each statement that takes longer than the settings' threshold, and how long.
  public var onSlowStatement: ((_ name: String, _ duration: Duration) -> Void)? {
    get { pool.onSlowStatement }
    set { pool.onSlowStatement = newValue }
  }

  // MARK: Reading

  /// Runs one statement that changes nothing, in a transaction of its own.
  ///
  /// It may run twice when a connection breaks.
  public func read<Output>(
    _ work: Work, _ query: Query<Output>
  ) async throws(PostgresError) -> Output {
    let unit = Unit(work, [Step(query)], opening: .scope, closing: .nothing, isChange: false)
    try await pool.perform(unit)
    return try query.decode(unit.takeReply(0))
  }

  /// Runs two statements that change nothing, in one transaction.
  public func read<First, Second>(
    _ work: Work, _ first: Query<First>, _ second: Query<Second>
  ) async throws(PostgresError) -> (First, Second) {
    let unit = Unit(
      work, [Step(first), Step(second)], opening: .scope, closing: .nothing, isChange: false)
    try await pool.perform(unit)
    return (try first.decode(unit.takeReply(0)), try second.decode(unit.takeReply(1)))
  }

  /// Runs three statements that change nothing, in one transaction.
  public func read<First, Second, Third>(
    _ work: Work, _ first: Query<First>, _ second: Query<Second>, _ third: Query<Third>
  ) async throws(PostgresError) -> (First, Second, Third) {
    let unit = Unit(
      work, [Step(first), Step(second), Step(third)], opening: .scope, closing: .nothing,
      isChange: false)
    try await pool.perform(unit)
    return (
      try first.decode(unit.takeReply(0)), try second.decode(unit.takeReply(1)),
      try third.decode(unit.takeReply(2))
    )
  }

  /// Runs the statements of `batch`, which change nothing, in one transaction and one round trip.
  public func read(_ work: Work, _ batch: Batch) async throws(PostgresError) {
    guard !batch.isEmpty else { return }
    let unit = Unit(work, batch.steps, opening: .scope, closing: .nothing, isChange: false)
    try await pool.perform(unit)
    try batch.fillSlots(from: unit)
  }

  // MARK: Changing

  /// Runs the statements of `batch` as one transaction, in one round trip.
  ///
  /// It returns only when the commit is certain. What a decoder finds wrong (`cardinality`) is
  /// found after the commit: where a row count must decide, use ``transaction(_:_:)`` or let the
  /// statement itself fail.
  public func commit(_ work: Work, _ batch: Batch) async throws(PostgresError) {
    guard !batch.isEmpty else { return }
    // Statements up to one Sync are one transaction for the server: BEGIN and COMMIT around them
    // would add two statements, and an error would leave a failed transaction to the units behind.
    let unit = Unit(work, batch.steps, opening: .scope, closing: .nothing, isChange: true)
    try await pool.perform(unit)
    try batch.fillSlots(from: unit)
  }

  /// Runs one statement as one transaction, in one round trip.
  public func commit<Output>(
    _ work: Work, _ query: Query<Output>
  ) async throws(PostgresError) -> Output {
    let unit = Unit(work, [Step(query)], opening: .scope, closing: .nothing, isChange: true)
    try await pool.perform(unit)
    return try query.decode(unit.takeReply(0))
  }

  /// Runs `body` in a transaction at read committed, on a connection of its own.
  public func transaction<Value, Failure: DatabaseFailure>(
    _ work: Work, _ body: (Transaction) async throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    try await transaction(work, isolation: .readCommitted, body)
  }

  /// Runs `body` in a transaction, on a connection of its own.
  ///
  /// The transaction is committed when `body` returns, unless it has called
  /// ``Transaction/finish(_:)``, and rolled back when it throws. When the call is cancelled or its
  /// time is over, the running statement is stopped.
  public func transaction<Value, Failure: DatabaseFailure>(
    _ work: Work, isolation: Isolation, _ body: (Transaction) async throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let connection: Connection
    do {
      connection = try await pool.lease(work)
    } catch {
      throw Failure(database: error)
    }
    let transaction = Transaction(connection, work, isolation)
    do throws(Failure) {
      let value = try await body(transaction)
      do throws(PostgresError) {
        try await transaction.commitIfOpen()
      } catch {
        throw Failure(database: error)
      }
      pool.release(connection)
      return value
    } catch {
      await transaction.rollBack()
      pool.release(connection)
      throw error
    }
  }

  /// Sends a notification in a transaction of its own.
  public func notify(channel: String, payload: String) async throws(PostgresError) {
    var parameters = Parameters()
    parameters.append(text: channel)
    parameters.append(text: payload)
    let work = Work(scope: .none, deadline: nil, cancellation: nil)
    _ = try await commit(work, Query(Notification.statement, parameters))
  }
}

/// The statement behind notifications.
enum Notification {
  static let statement = Statement(
    "needletail.notify", "select pg_notify($1, $2)", parameters: [TypeID.text, TypeID.text],
    columns: [])
}
