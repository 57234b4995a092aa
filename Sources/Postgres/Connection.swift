internal import CPostgres
internal import EventLoop

/// A connection in pipeline mode: units go out as they come, answers return in that order.
final class Connection: LinkOwner {
  /// What the next answer of the server belongs to.
  enum Expectation {
    /// The preparation of the statement with this index.
    case preparation(Int)
    /// The Sync behind preparations.
    case preparationSync
    /// A statement of ours whose result nobody reads.
    case setting
    case commit
    case step
    /// The end of a unit.
    case sync
    /// The end of a unit that shares its Sync: nothing is sent and nothing comes.
    case unitEnd
    /// The Sync of units that have ended before.
    case sharedSync

    var isEndOfTransaction: Bool {
      switch self {
      case .sync, .sharedSync: true
      default: false
      }
    }
  }

  let link: Link
  /// When it is to be replaced.
  let expiresAt: Instant
  let generation: Int
  let isOverflow: Bool
  /// One call has the connection to itself.
  var isLeased = false
  /// Gets no new units, because a call waits to have it to itself.
  var isReserved = false
  /// Proves that it lives.
  var isProving = false
  /// Takes on its role before anybody may use it.
  var isSettingUp = false
  /// When an idle connection has to prove that it lives.
  private(set) var proveAt: Instant
  /// Since when nothing is under way.
  private(set) var idleSince: Instant

  /// Let go of when the connection ends.
  private var owner: (any ConnectionOwner)?
  let settings: DatabaseSettings
  var units = Ring<Unit>()
  var expectations = Ring<Expectation>()
  var preparations = Preparations()
  /// The reads whose Sync is not sent yet.
  var shared = SharedSync()
  var awaitsEndOfTurn = false
  var scratch = Scratch()
  var scopeParameters = Parameters(capacityBytes: 128)
  var lastAnswerAt: Instant
  private var stepsAnswered = 0
  /// Units that may keep those behind them waiting.
  var slowUnits = 0
  /// Why the connection is closed.
  private(set) var endMessage = ""
  /// The report with which the server ended the connection.
  private var fatal: ServerError?

  init(
    _ link: Link, _ settings: DatabaseSettings, generation: Int, isOverflow: Bool,
    owner: any ConnectionOwner
  ) {
    self.link = link
    self.settings = settings
    self.generation = generation
    self.isOverflow = isOverflow
    self.owner = owner
    expiresAt = link.loop.now.advanced(by: settings.recycleAfter)
    proveAt = link.loop.now.advanced(by: settings.proveAfterIdle)
    idleSince = link.loop.now
    lastAnswerAt = link.loop.now
    link.owner = self
    _ = unsafe PQenterPipelineMode(link.raw)
  }

  var isOpen: Bool { link.isOpen }
  var inFlight: Int { units.count }
  /// How much waits here, for choosing the connection with the least.
  var load: Int { units.count + (link.isCongested ? settings.inFlightMax / 2 : 0) }

  /// Whether the server is outside of any transaction.
  var isBetweenTransactions: Bool {
    guard link.isOpen else { return false }
    return unsafe units.isEmpty && PQtransactionStatus(link.raw) == PQTRANS_IDLE
  }

  /// Whether a quick unit would have to wait here: for one that is not, or for the server.
  func isSlow(at now: Instant) -> Bool {
    guard units.count > 0 else { return false }
    return slowUnits > 0
      || now.nanoseconds &- lastAnswerAt.nanoseconds > StatementCosts.quickMax * 1_000
  }

  /// The units that are under way, oldest first.
  func forEachUnit(_ body: (Unit) -> Void) { units.forEach(body) }

  // MARK: Answers

  func linkIsReadable() {
    let before = units.count
    var isSyncMissing = false
    while link.isOpen, let expectation = expectations.first {
      if case .unitEnd = expectation {
        expectations.popFirst()
        finishUnit()
        continue
      }
      guard unsafe PQisBusy(link.raw) == 0 else { break }
      if let result = unsafe PQgetResult(link.raw) {
        isSyncMissing = false
        unsafe take(result, expectation)
      } else if expectation.isEndOfTransaction {
        // Once it is left over from an error at the commit; twice, libpq has given up.
        if isSyncMissing { return link.fail() }
        isSyncMissing = true
      } else {
        expectations.popFirst()
      }
    }
    if units.count < before, link.isOpen {
      if units.isEmpty {
        idleSince = link.loop.now
        proveAt = idleSince.advanced(by: settings.proveAfterIdle)
      }
      owner?.connectionAdvanced(self)
    }
  }

  private func take(_ result: OpaquePointer, _ expectation: Expectation) {
    let status = unsafe PQresultStatus(result)
    switch (expectation, status) {
    case (.sync, PGRES_PIPELINE_SYNC):
      unsafe PQclear(result)
      expectations.popFirst()
      finishUnit()
    case (_, PGRES_PIPELINE_SYNC):
      unsafe PQclear(result)
      expectations.popFirst()
    case (_, PGRES_FATAL_ERROR), (_, PGRES_BAD_RESPONSE):
      let report = unsafe ServerError(result)
      unsafe PQclear(result)
      takeError(report, expectation)
    case (.preparation(let index), PGRES_PIPELINE_ABORTED):
      unsafe PQclear(result)
      preparations.fail(index)
    case (.preparation(let index), _):
      unsafe PQclear(result)
      preparations.succeed(index)
    case (.step, PGRES_COMMAND_OK), (.step, PGRES_TUPLES_OK), (.step, PGRES_EMPTY_QUERY):
      unsafe takeStep(result)
    case (.commit, PGRES_COMMAND_OK):
      // A COMMIT of a transaction that failed before says ROLLBACK, and counts as a success.
      if unsafe PQcmdStatus(result).pointee != CChar(bitPattern: UInt8(ascii: "C")) {
        units.first?.note(.server(.rolledBack))
      }
      unsafe PQclear(result)
    case (.step, PGRES_PIPELINE_ABORTED):
      unsafe PQclear(result)
      // After an error of its own this is not the first; otherwise it ran no more than if the
      // connection had been lost before.
      units.first?.note(
        .connectionLost(outcomeUnknown: false, message: "a read before it has failed"))
    case (_, PGRES_COPY_IN), (_, PGRES_COPY_OUT), (_, PGRES_COPY_BOTH):
      unsafe PQclear(result)
      units.first?.note(.configuration("COPY needs a session of its own"))
      close("a pipeline cannot carry COPY")
    default:
      unsafe PQclear(result)
    }
  }

  private func takeStep(_ result: OpaquePointer) {
    guard let unit = units.first, stepsAnswered < unit.steps.count else {
      return unsafe PQclear(result)
    }
    let statement = unit.steps[stepsAnswered].statement
    if let index = statement.index, settings.preparesStatements,
      preparations.isFirstResult(index), let problem = unsafe statement.mismatch(with: result)
    {
      unit.note(problem)
    }
    unsafe unit.keep(result)
    endStep(unit, statement, isError: false)
  }

  private func takeError(_ report: ServerError, _ expectation: Expectation) {
    if report.isFatal || report.sqlState.isEmpty {
      if !report.sqlState.isEmpty { fatal = report }
      return
    }
    switch expectation {
    case .preparation(let index):
      preparations.fail(index, .server(report))
    case .preparationSync, .sharedSync, .unitEnd:
      break
    case .setting, .commit, .sync:
      units.first?.note(translate(report))
    case .step:
      guard let unit = units.first else { break }
      let statement = unit.steps[min(stepsAnswered, unit.steps.count - 1)].statement
      unit.note(cause(of: report, statement, unit))
      endStep(unit, statement, isError: true)
    }
  }

  /// The error to tell of a statement that failed.
  private func cause(
    of report: ServerError, _ statement: Statement, _ unit: Unit
  ) -> PostgresError {
    if let index = statement.index {
      // The server forgot the statement, or never took it.
      if report.sqlState == "26000" {
        preparations.fail(index)
        if let failure = preparations.failure(index) { return failure }
        unit.isStale = true
      }
      if report.sqlState == "0A000", report.message.contains("cached plan") {
        unit.isStale = true
      }
    }
    return translate(report)
  }

  private func translate(_ report: ServerError) -> PostgresError {
    guard report.sqlState == "57014", let unit = units.first else { return .server(report) }
    if let failure = unit.work.failure(at: link.loop.now) { return failure }
    let spent = link.loop.now.since(unit.sentAt).wholeNanoseconds / 1_000_000
    return unit.timeoutMilliseconds > 0 && spent + 2 >= unit.timeoutMilliseconds
      ? .deadlineExceeded : .server(report)
  }

  private func endStep(_ unit: Unit, _ statement: Statement, isError: Bool) {
    stepsAnswered += 1
    let now = link.loop.now
    owner?.statementEnded(
      statement, after: now.since(max(lastAnswerAt, unit.sentAt)), isError: isError)
    lastAnswerAt = now
    unit.isCommitting = stepsAnswered == unit.steps.count
  }

  private func finishUnit() {
    stepsAnswered = 0
    isProving = false
    lastAnswerAt = link.loop.now
    guard let unit = units.popFirst() else { return }
    if !unit.isQuick { slowUnits -= 1 }
    unit.finish()
  }

  // MARK: Ending

  /// Ends the connection when its server has been silent for much longer than it was given.
  func endIfSilent(at now: Instant) {
    guard let unit = units.first else { return }
    let since = max(unit.sentAt, lastAnswerAt)
    let allowed = Duration.milliseconds(Int64(clamping: unit.timeoutMilliseconds)) + .seconds(5)
    if !isLeased, now.since(since) > allowed { link.fail("the server does not answer") }
  }

  func linkFailed(_ message: String) {
    fatal = fatal ?? link.farewell
    end(fatal?.message ?? message)
  }

  /// Closes the connection; what is under way fails.
  func close(_ message: String) {
    guard link.isOpen else { return }
    link.close()
    end(message)
  }

  /// Stops the statement that runs for the call that leases this connection, and closes it, because
  /// the server may obey late.
  func cancelRunning(_ reason: PostgresError) {
    units.first?.finish(reason)
    link.cancelStatement()
    close("a statement was cancelled")
  }

  private func end(_ message: String) {
    let owner = owner
    self.owner = nil
    endMessage = message
    var isRunning = true
    while let unit = units.popFirst() {
      // A report says that the server stopped on purpose: then what was not answered did not run,
      // and only a commit that had begun is uncertain.
      let isUncertain = fatal == nil || (isRunning && unit.isCommitting)
      unit.wasRunning = isRunning
      unit.finish(
        .connectionLost(outcomeUnknown: unit.isChange && isUncertain, message: message))
      isRunning = false
    }
    owner?.connectionEnded(self, message)
  }
}
