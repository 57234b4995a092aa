internal import CPostgres
internal import EventLoop

/// How units go out.
extension Connection {
  /// Sends `unit` and its Sync, which comes at the end of the turn when it is shared.
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
    if unit.mayShare, settings.preparesStatements, isPrepared(unit) {
      return join(unit, at: now) ? () : link.fail()
    }
    guard endSharing(), send(unit, at: now) else { return link.fail() }
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
    case .scope, .begin:
      limitTime(of: unit, at: now)
      guard sendScope(unit) else { return false }
    }
    guard sendSteps(unit) else { return false }
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

  /// Says how long the server may take for each statement of `unit`.
  func limitTime(of unit: Unit, at now: Instant) {
    var patience = settings.statementTimeout
    if let deadline = unit.work.deadline { patience = deadline.since(now) }
    unit.timeoutMilliseconds = max(1, patience.wholeNanoseconds / 1_000_000)
    // The caller is answered on time all the same; so many reads can share one limit.
    if unit.mayShare { unit.timeoutMilliseconds.roundUpByAnEighth() }
  }

  func sendScope(_ unit: Unit) -> Bool {
    let statement = Preamble.scope(of: unit, settings, &scopeParameters)
    return send(statement, scopeParameters, .setting)
  }

  func sendSteps(_ unit: Unit) -> Bool {
    for step in unit.steps {
      guard send(step.statement, step.parameters, .step) else { return false }
    }
    return true
  }

  private func send(
    _ statement: Statement, _ parameters: Parameters, _ expectation: Expectation
  ) -> Bool {
    expectations.append(expectation)
    return unsafe scratch.send(
      statement, parameters, isPrepared: statement.index != nil && settings.preparesStatements,
      to: link.raw)
  }
}

/// How the server learns statements.
extension Connection {
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

  private func prepare(_ statement: Statement) -> Bool {
    guard !preparations.covers(statement), let index = statement.index else { return true }
    preparations.begin(index)
    expectations.append(.preparation(index))
    return unsafe scratch.prepare(statement, on: link.raw)
  }

  /// Whether nothing has to be prepared for a read.
  private func isPrepared(_ unit: Unit) -> Bool {
    preparations.covers(Preamble.scope)
      && unit.steps.allSatisfy { preparations.covers($0.statement) }
  }
}
