internal import CPostgres
internal import EventLoop

/// One statement of a unit, and its result once that is there.
struct Step {
  let statement: Statement
  let parameters: Parameters

  init(_ statement: Statement, _ parameters: Parameters) {
    self.statement = statement
    self.parameters = parameters
  }

  init<Output>(_ query: Query<Output>) {
    statement = query.statement
    parameters = query.parameters
  }
}

/// What goes to the server between two Syncs: it succeeds or fails as a whole, and it has succeeded
/// only when the answer to its own Sync is there.
@safe final class Unit {
  /// What is sent before the steps.
  enum Opening {
    case nothing
    /// The organization and the time limit; the unit is its own transaction.
    case scope
    /// BEGIN, then the same.
    case begin(Isolation)
  }

  /// What is sent behind the steps.
  enum Closing {
    case nothing
    case commit
    case rollback
  }

  let work: Work
  let steps: [Step]
  let opening: Opening
  let closing: Closing
  /// Whether anything outlives it: then a lost connection leaves its outcome unknown.
  let isChange: Bool

  private(set) var isFinished = false
  private(set) var error: PostgresError?
  private var waiter: Waiter?
  private var results: [OpaquePointer?] = unsafe []

  /// When it began to wait for a connection.
  var queuedAt = Instant(nanoseconds: 0)
  /// The generation of the connection that it was given to.
  var generation = 0
  /// When it was given to a connection.
  var sentAt = Instant(nanoseconds: 0)
  /// What the server was told to allow, in milliseconds.
  var timeoutMilliseconds: UInt64 = 0
  /// Whether its statements are known to be quick.
  var isQuick = false
  /// Whether its statements are all answered, so that only the commit is open.
  var isCommitting = false
  /// Whether the server was at work on it when its connection broke.
  var wasRunning = false
  /// Whether it has been sent before.
  private(set) var isRetry = false
  /// The statements were planned for tables that have changed since.
  var isStale = false

  init(_ work: Work, _ steps: [Step], opening: Opening, closing: Closing, isChange: Bool) {
    self.work = work
    self.steps = steps
    self.opening = opening
    self.closing = closing
    self.isChange = isChange
    unsafe results.reserveCapacity(steps.count)
  }

  deinit { clearResults() }

  /// Waits until the unit has succeeded or failed.
  func wait() async throws(PostgresError) {
    await Waiter.suspend(unless: { isFinished }) { waiter = $0 }
    if let error { throw error }
  }

  /// Keeps the result of the next step, which the unit frees.
  func keep(_ result: OpaquePointer) {
    if isFinished {
      unsafe PQclear(result)
    } else {
      unsafe results.append(result)
    }
  }

  /// Gives away the result of a step.
  func takeReply(_ index: Int) throws(PostgresError) -> Reply {
    guard unsafe index < results.count, let result = unsafe results[index] else {
      throw .connectionLost(outcomeUnknown: isChange, message: "the server sent no result")
    }
    unsafe results[index] = nil
    return unsafe Reply(adopting: result, of: steps[index].statement)
  }

  /// Notes the first error; the unit is over when its Sync is answered.
  func note(_ error: PostgresError) {
    if self.error == nil, !isFinished { self.error = error }
  }

  /// Ends the unit, with the error noted before or `error`.
  func finish(_ error: PostgresError? = nil) {
    guard !isFinished else { return }
    if self.error == nil { self.error = error }
    isFinished = true
    if self.error != nil { clearResults() }
    let waiter = waiter
    self.waiter = nil
    waiter?.resume()
  }

  /// Makes the unit ready for another attempt.
  func reset() {
    clearResults()
    isRetry = true
    isFinished = false
    isCommitting = false
    isStale = false
    wasRunning = false
    error = nil
  }

  private func clearResults() {
    for index in unsafe results.indices { unsafe PQclear(results[index]) }
    unsafe results.removeAll(keepingCapacity: true)
  }
}
