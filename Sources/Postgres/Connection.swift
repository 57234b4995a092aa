internal import CPostgres
internal import EventLoop

/// A connection in pipeline mode: units go out as they come, answers return in that order.
final class Connection: LinkOwner {
  /// What the next answer of the server belongs to.
  private enum Expectation {
    /// The preparation of the statement with this index.
    case preparation(Int)
    /// The Sync behind preparations.
    case preparationSync
    /// A statement of ours whose result nobody reads.
    case setting
    case commit
    case step
    case sync
  }

  private enum Preparation: UInt8 {
    case none
    case underWay
    case ready
    /// Prepared, and its columns have been compared with the generated code.
    case checked
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
  private(set) var isProving = false
  /// Takes on its role before anybody may use it.
  var isSettingUp = false
  /// When an idle connection has to prove that it lives.
  private(set) var proveAt: Instant
  /// Since when nothing is under way.
  private(set) var idleSince: Instant

  /// Let go of when the connection ends.
  private var owner: (any ConnectionOwner)?
  private let settings: DatabaseSettings
  private var units = Ring<Unit>()
  private var expectations = Ring<Expectation>()
  private var preparations: [Preparation] = []
  private var preparationFailures: [Int: PostgresError] = [:]
  private var scratch = Scratch()
  private var scopeParameters = Parameters(capacityBytes: 128)
  private var lastAnswerAt: Instant
  private var stepsAnswered = 0
  /// Units that may keep those behind them waiting.
  private var slowUnits = 0
  /// Why the connection is closed.
  private var endMessage = ""
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

  // MARK: Sending

  /// Sends `unit` and its Sync.
  func submit(_ unit: Unit) {
    let now = link.loop.now
    guard link.isOpen else {
      return unit.finish(.connectionLost(outcomeUnknown: false, message: endMessage))
    }
    unit.sentAt = now
    if units.isEmpty { lastAnswerAt = now }
    unit.generation = generation
    units.append(unit)
    if !unit.isQuick { slowUnits += 1 }
    if !send(unit, at: now) { return link.fail() }
    link.flush()
  }

  /// Asks for an answer without running anything.
  func prove() {
    isProving = true
    let unit = Unit(
      Work(
        scope: .none, deadline: link.loop.now.advanced(by: settings.proofPatience),
        cancellation: nil),
      [], opening: .nothing, closing: .nothing, isChange: false)
    submit(unit)
  }

  private func send(_ unit: Unit, at now: Instant) -> Bool {
    guard prepareMissing(unit) else { return false }
    if case .begin(let isolation) = unit.opening {
      guard send(Preamble.begin(isolation), Preamble.noParameters, .setting) else { return false }
    }
    switch unit.opening {
    case .nothing: break
    case .scope, .begin: guard sendScope(unit, at: now) else { return false }
    }
    for step in unit.steps {
      guard send(step.statement, step.parameters, .step) else { return false }
    }
    switch unit.closing {
    case .nothing: break
    case .commit:
      guard send(Preamble.commit, Preamble.noParameters, .commit) else { return false }
    case .rollback:
      guard send(Preamble.rollback, Preamble.noParameters, .setting) else { return false }
    }
    expectations.append(.sync)
    return unsafe PQpipelineSync(link.raw) == 1
  }

  private func sendScope(_ unit: Unit, at now: Instant) -> Bool {
    var patience = settings.statementTimeout
    if let deadline = unit.work.deadline { patience = deadline.since(now) }
    unit.timeoutMilliseconds = max(1, patience.wholeNanoseconds / 1_000_000)
    let statement = Preamble.scope(of: unit, settings, &scopeParameters)
    return send(statement, scopeParameters, .setting)
  }

  private func send(
    _ statement: Statement, _ parameters: Parameters, _ expectation: Expectation
  ) -> Bool {
    expectations.append(expectation)
    return unsafe scratch.send(
      statement, parameters, isPrepared: statement.index != nil && settings.preparesStatements,
      to: link.raw)
  }

  /// Prepares what the unit needs, behind a Sync of its own: then the error of another statement
  /// cannot undo it for the units behind.
  private func prepareMissing(_ unit: Unit) -> Bool {
    guard settings.preparesStatements else { return true }
    let before = expectations.count
    switch unit.opening {
    case .nothing: break
    case .scope: guard prepare(Preamble.scope) else { return false }
    case .begin(let isolation):
      guard prepare(Preamble.scope), prepare(Preamble.begin(isolation)) else { return false }
    }
    for step in unit.steps {
      guard prepare(step.statement) else { return false }
    }
    switch unit.closing {
    case .nothing: break
    case .commit: guard prepare(Preamble.commit) else { return false }
    case .rollback: guard prepare(Preamble.rollback) else { return false }
    }
    guard expectations.count > before else { return true }
    expectations.append(.preparationSync)
    return unsafe PQpipelineSync(link.raw) == 1
  }

  @inline(__always)
  private func prepare(_ statement: Statement) -> Bool {
    guard let index = statement.index else { return true }
    if index < preparations.count, preparations[index] != .none { return true }
    return prepareNow(statement, index)
  }

  private func prepareNow(_ statement: Statement, _ index: Int) -> Bool {
    if index >= preparations.count {
      preparations.append(
        contentsOf: repeatElement(.none, count: max(64, index + 1) - preparations.count))
    }
    preparations[index] = .underWay
    preparationFailures[index] = nil
    expectations.append(.preparation(index))
    return unsafe scratch.prepare(statement, on: link.raw)
  }

  // MARK: Answers

  func linkIsReadable() {
    let before = units.count
    var isSyncMissing = false
    while link.isOpen, let expectation = expectations.first {
      guard unsafe PQisBusy(link.raw) == 0 else { break }
      if let result = unsafe PQgetResult(link.raw) {
        isSyncMissing = false
        unsafe take(result, expectation)
      } else if case .sync = expectation {
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
      preparations[index] = .none
    case (.preparation(let index), _):
      unsafe PQclear(result)
      preparations[index] = .ready
    case (.step, PGRES_COMMAND_OK), (.step, PGRES_TUPLES_OK), (.step, PGRES_EMPTY_QUERY):
      unsafe takeStep(result)
    case (.commit, PGRES_COMMAND_OK):
      // A COMMIT of a transaction that failed before says ROLLBACK, and counts as a success.
      if unsafe PQcmdStatus(result).pointee != CChar(bitPattern: UInt8(ascii: "C")) {
        units.first?.note(.server(.rolledBack))
      }
      unsafe PQclear(result)
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
    if let index = statement.index, settings.preparesStatements, preparations[index] != .checked {
      preparations[index] = .checked
      if let problem = unsafe statement.mismatch(with: result) { unit.note(problem) }
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
      preparations[index] = .none
      preparationFailures[index] = .server(report)
    case .preparationSync:
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
        preparations[index] = .none
        if let failure = preparationFailures[index] { return failure }
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
