internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// What of deleted experiments and runs can be brought back.
enum Recovery {
  /// Microseconds for which it can be: 30 days.
  static let period = Housekeeping.recoveryPeriod

  /// Refuses what is not deleted, or was too long ago.
  static func check(
    _ name: String, deletedAt: Int64?, purgeAfter: Int64?, now: Int64
  ) throws(CallError) {
    guard deletedAt != nil else {
      throw CallError(TrackingErrorReason.recoveryOver, "The \(name) is not deleted.")
    }
    guard let purgeAfter, purgeAfter > now else {
      throw CallError(
        TrackingErrorReason.recoveryOver,
        "The \(name) was deleted more than 30 days ago, or for good; it cannot be brought back.")
    }
  }
}

extension TrackingService {
  /// Makes an ended run RUNNING again.
  public func reopenRun(
    _ request: ReopenRunRequest, _ call: CallContext
  ) async throws(CallError) -> ReopenRunResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await call.commit(locking: lock(id, call)) { (row, batch) throws(CallError) in
      guard let row else { throw runNotFound(id) }
      try call.require(row.role, unseen: runNotFound(id))
      var record = RunRecord(row)
      try checkETag(request.etag, revision: record.revision)
      try RunLifecycle.reopen(&record, now: now)
      batch.add(
        RunLifeQueries.reopenRun(
          startedAt: record.startedAt ?? now, updatedAt: now,
          organizationID: call.principal.organizationID, id: id))
      var response = ReopenRunResponse()
      response.run = Run(record, now: now)
      return (response, Change("reopen", "reopened", from: RunRecord(row), to: record))
    }
  }

  /// Deletes a run; for 30 days it can be brought back, unless it is to be purged.
  public func deleteRun(
    _ request: DeleteRunRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteRunResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()
    guard !request.purge else { return try await purgeRun(id, request.etag, call) }

    let now = WallClock.microseconds()
    return try await call.commit(locking: lock(id, call)) { (row, batch) throws(CallError) in
      guard let row else { throw runNotFound(id) }
      try call.require(row.role, unseen: runNotFound(id))
      var record = RunRecord(row)
      try checkETag(request.etag, revision: record.revision)
      record.deletedAt = now
      record.purgeAfter = now + Recovery.period
      setDeletion(&record, now, &batch, call)
      var response = DeleteRunResponse()
      response.run = Run(record, now: now)
      return (response, Change("delete", "deleted", from: RunRecord(row), to: record))
    }
  }

  /// Deletes a run, deleted before or not, so that the next upkeep removes it.
  private func purgeRun(
    _ id: UUID, _ etag: String, _ call: CallContext
  ) async throws(CallError) -> DeleteRunResponse {
    let now = WallClock.microseconds()
    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: RunLifeQueries.holdExperimentOfRun(organizationID: organizationID, id: id),
      locking: RunLifeQueries.lockRunToRecover(
        userID: call.principal.id, organizationID: organizationID, id: id)
    ) { (row, batch) throws(CallError) in
      // With its experiment it would come back.
      let (row, before) = try recoverable(row, id, "the run goes with it", call)
      try checkETag(etag, revision: row.revision)
      var record = before
      record.deletedAt = row.deletedAt ?? now
      record.purgeAfter = min(row.purgeAfter ?? now, now)
      setDeletion(&record, now, &batch, call)
      var response = DeleteRunResponse()
      response.run = Run(record, now: now)
      return (response, Change("delete", "deleted", from: before, to: record))
    }
  }

  /// Brings a deleted run back.
  public func undeleteRun(
    _ request: UndeleteRunRequest, _ call: CallContext
  ) async throws(CallError) -> UndeleteRunResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()

    let now = WallClock.microseconds()
    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: RunLifeQueries.holdExperimentOfRun(organizationID: organizationID, id: id),
      locking: RunLifeQueries.lockRunToRecover(
        userID: call.principal.id, organizationID: organizationID, id: id)
    ) { (row, batch) throws(CallError) in
      let (row, before) = try recoverable(row, id, "bring that back first", call)
      try Recovery.check(
        "run \(id)", deletedAt: row.deletedAt, purgeAfter: row.purgeAfter, now: now)
      var record = RunRecord(row)
      setDeletion(&record, now, &batch, call)
      var response = UndeleteRunResponse()
      response.run = Run(record, now: now)
      return (response, Change("undelete", "undeleted", from: before, to: record))
    }
  }

  /// A run, deleted or not, that the caller may change and whose experiment is there.
  private func recoverable(
    _ row: RunLifeQueries.LockRunToRecoverRow?, _ id: UUID, _ advice: String, _ call: CallContext
  ) throws(CallError) -> (row: RunLifeQueries.LockRunToRecoverRow, record: RunRecord) {
    guard let row else { throw runNotFound(id) }
    try call.require(row.role, unseen: runNotFound(id))
    guard row.hasExperiment else {
      throw CallError(
        TrackingErrorReason.experimentNotFound,
        "The experiment \(row.experimentID) of run \(id) is deleted: \(advice).")
    }
    var record = RunRecord(row)
    record.deletedAt = row.deletedAt
    record.purgeAfter = row.purgeAfter
    return (row, record)
  }

  private func setDeletion(
    _ record: inout RunRecord, _ now: Int64, _ batch: inout Batch, _ call: CallContext
  ) {
    record.updatedAt = now
    record.revision += 1
    batch.add(
      RunLifeQueries.setRunDeletion(
        deletedAt: record.deletedAt, purgeAfter: record.purgeAfter, updatedAt: now,
        organizationID: call.principal.organizationID, id: record.id))
  }

  func lock(_ id: UUID, _ call: CallContext) -> Query<RunsQueries.LockRunRow?> {
    RunsQueries.lockRun(
      userID: call.principal.id, organizationID: call.principal.organizationID, id: id)
  }
}
