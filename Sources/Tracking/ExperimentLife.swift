internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Deletes an experiment with its runs; for 30 days it can be brought back, unless it is to be
  /// purged.
  public func deleteExperiment(
    _ request: DeleteExperimentRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteExperimentResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await call.commit(
      locking: lockWithRuns(id, call)
    ) { (row, batch) throws(CallError) in
      guard let row, row.deletedAt == nil || request.purge else { throw experimentNotFound(id) }
      try call.require(row.role, unseen: experimentNotFound(id))
      try checkETag(request.etag, revision: row.revision)
      let deletedAt = row.deletedAt ?? now
      let purgeAfter = request.purge ? min(row.purgeAfter ?? now, now) : now + Recovery.period
      let organizationID = call.principal.organizationID
      batch.add(
        ExperimentsQueries.setExperimentDeletion(
          deletedAt: deletedAt, purgeAfter: purgeAfter, updatedAt: now,
          organizationID: organizationID, id: id))
      if row.deletedAt == nil {
        batch.add(
          RunLifeQueries.deleteExperimentRuns(
            organizationID: organizationID, experimentID: id, deletedAt: now))
      }
      var experiment = Experiment(living: row).changed(at: now, from: row.revision)
      experiment.deletedAt = Timestamp(microseconds: deletedAt)
      experiment.purgeAfter = Timestamp(microseconds: purgeAfter)
      var response = DeleteExperimentResponse()
      response.experiment = experiment
      var change = deletion("delete", "deleted", id, row, before: row.deletedAt, after: deletedAt)
      if request.purge {
        change.detailsJSON = JSONText.change([
          ("deleted_at_us", row.deletedAt.map { String($0) }, String(deletedAt)),
          ("purge_after_us", row.purgeAfter.map { String($0) }, String(purgeAfter)),
        ])
      }
      return (response, change)
    }
  }

  /// Brings a deleted experiment back, with the runs that went with it.
  public func undeleteExperiment(
    _ request: UndeleteExperimentRequest, _ call: CallContext
  ) async throws(CallError) -> UndeleteExperimentResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await call.commit(
      locking: lockWithRuns(id, call)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw experimentNotFound(id) }
      try call.require(row.role, unseen: experimentNotFound(id))
      try Recovery.check(
        "experiment \(id)", deletedAt: row.deletedAt, purgeAfter: row.purgeAfter, now: now)
      let organizationID = call.principal.organizationID
      batch.add(
        ExperimentsQueries.setExperimentDeletion(
          deletedAt: nil, purgeAfter: nil, updatedAt: now, organizationID: organizationID, id: id))
      batch.add(
        RunLifeQueries.undeleteExperimentRuns(
          updatedAt: now, organizationID: organizationID, experimentID: id))
      var response = UndeleteExperimentResponse()
      response.experiment = Experiment(living: row).changed(at: now, from: row.revision)
      return (
        response, deletion("undelete", "undeleted", id, row, before: row.deletedAt, after: nil)
      )
    }
  }

  private func lockWithRuns(
    _ id: UUID, _ call: CallContext
  ) -> Query<ExperimentsQueries.LockExperimentWithRunsRow?> {
    ExperimentsQueries.lockExperimentWithRuns(
      userID: call.principal.id, organizationID: call.principal.organizationID, id: id)
  }

  private func deletion(
    _ verb: String, _ event: String, _ id: UUID,
    _ row: ExperimentsQueries.LockExperimentWithRunsRow, before: Int64?, after: Int64?
  ) -> Change {
    Change(
      action: "experiment.\(verb)", event: "experiment.\(event)", resourceType: "experiment",
      resourceID: id, projectID: row.projectID,
      detailsJSON: JSONText.change([
        ("deleted_at_us", before.map { String($0) }, after.map { String($0) })
      ]))
  }
}

extension Experiment {
  /// The experiment after a change.
  fileprivate func changed(at now: Int64, from revision: Int64) -> Experiment {
    var experiment = self
    experiment.updatedAt = Timestamp(microseconds: now)
    experiment.etag = String(revision + 1)
    return experiment
  }
}
