internal import EventLoop

/// A transaction that is under way, on a connection of its own.
///
/// Its first statement carries BEGIN along, so an open transaction costs no round trip of its own.
public final class Transaction {
  private let connection: Connection
  private let work: Work
  private let isolation: Isolation
  private var hasBegun = false
  private var isOver = false

  init(_ connection: Connection, _ work: Work, _ isolation: Isolation) {
    self.connection = connection
    self.work = work
    self.isolation = isolation
  }

  /// Runs one statement.
  public func run<Output>(_ query: Query<Output>) async throws(PostgresError) -> Output {
    let unit = try await perform([Step(query)], closing: .nothing)
    return try query.decode(unit.takeReply(0))
  }

  /// Runs the statements of `batch` in one round trip.
  public func run(_ batch: Batch) async throws(PostgresError) {
    guard !batch.isEmpty else { return }
    let unit = try await perform(batch.steps, closing: .nothing)
    try batch.fillSlots(from: unit)
  }

  /// Runs the last statements and commits, in one round trip; nothing may follow.
  public func finish(_ batch: Batch) async throws(PostgresError) {
    let unit = try await perform(batch.steps, closing: .commit)
    try batch.fillSlots(from: unit)
  }

  /// Commits what has been run; nothing may follow.
  public func finish() async throws(PostgresError) {
    _ = try await perform([], closing: .commit)
  }

  func commitIfOpen() async throws(PostgresError) {
    if hasBegun, !isOver { try await finish() }
  }

  /// Ends the server's transaction, if there is one, without keeping its changes.
  func rollBack() async {
    guard hasBegun, connection.isOpen, !connection.isBetweenTransactions else { return }
    // Not bound to the call, which may be over already; a server that is slow to roll back loses
    // the connection.
    let limit = connection.link.loop.now.advanced(by: .seconds(5))
    let unit = Unit(
      Work(scope: .none, deadline: limit, cancellation: nil), [], opening: .nothing,
      closing: .rollback, isChange: false)
    connection.submit(unit)
    do {
      try await unit.wait()
    } catch {
      connection.close("a transaction could not be rolled back")
    }
  }

  private func perform(
    _ steps: [Step], closing: Unit.Closing
  ) async throws(PostgresError) -> Unit {
    precondition(!isOver, "the transaction is over")
    if let failure = work.failure(at: connection.link.loop.now) { throw failure }
    if case .commit = closing { isOver = true }
    let unit = Unit(
      work, steps, opening: hasBegun ? .nothing : .begin(isolation), closing: closing,
      isChange: isOver)
    hasBegun = true
    connection.submit(unit)
    try await unit.wait()
    return unit
  }
}
