internal import CPostgres
internal import EventLoop

/// Reads of one turn that share a Sync, and so a transaction.
///
/// PostgreSQL begins and ends a transaction at each Sync, and libpq makes a system call of each:
/// for a read by key that costs more than the read. A failure ends the transaction for the reads
/// behind it, which the pool then sends again, each alone.
struct SharedSync {
  /// The reads that wait for it.
  var units = 0
  /// What the last of them may see, and how long it may take.
  var scope = Work.Scope.none
  var timeoutMilliseconds: UInt64 = 0
}

extension Unit {
  /// Whether it may share its transaction with reads of other calls: it leaves nothing behind,
  /// keeps nobody waiting, and what it sees depends on its own scope only.
  var mayShare: Bool {
    guard !isChange, isQuick, !isRetry, case .scope = opening, case .nothing = closing else {
      return false
    }
    return true
  }
}

extension Connection: TurnHandler {
  /// Sends `unit` with the reads of this turn before it; their Sync follows at the turn's end.
  func join(_ unit: Unit, at now: Instant) -> Bool {
    if shared.units >= settings.readsPerTransaction {
      guard endSharing() else { return false }
    }
    limitTime(of: unit, at: now)
    // Never without a scope of its own, unless the one in force is the same: it ends with the Sync.
    if shared.units == 0 || shared.scope != unit.work.scope
      || shared.timeoutMilliseconds != unit.timeoutMilliseconds
    {
      guard sendScope(unit) else { return false }
      shared.scope = unit.work.scope
      shared.timeoutMilliseconds = unit.timeoutMilliseconds
    }
    shared.units += 1
    guard sendSteps(unit) else { return false }
    expectations.append(.unitEnd)
    if !awaitsEndOfTurn {
      awaitsEndOfTurn = true
      link.loop.atEndOfTurn(self)
    }
    return true
  }

  /// Sends the Sync of the reads that share one, if there are any.
  func endSharing() -> Bool {
    guard shared.units > 0 else { return true }
    shared.units = 0
    expectations.append(.sharedSync)
    return unsafe PQpipelineSync(link.raw) == 1
  }

  func endOfTurn() {
    awaitsEndOfTurn = false
    guard link.isOpen else { return }
    if endSharing() { link.flush() } else { link.fail() }
  }
}

extension UInt64 {
  /// Rounds up to a number of four significant bits, which is at most an eighth more.
  mutating func roundUpByAnEighth() {
    let step = UInt64(1) << UInt64(Swift.max(0, 60 - leadingZeroBitCount))
    self = (self &+ (step - 1)) & ~(step - 1)
  }
}
