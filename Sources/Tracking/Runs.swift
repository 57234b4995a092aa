internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of a run's fields.
enum RunBounds {
  static let nameCharacters = 1...250
  static let descriptionBytesMax = 16 << 10
  static let pageSize = 100
  static let pageSizeMax = 1_000
  /// Runs in a line from the top one to one nested under all others.
  static let nestingMax: Int64 = 10
  /// Forks from the first run of a line to the last one.
  static let forksMax: Int64 = 100
}

extension TrackingService {
  /// Creates a run in status RUNNING, or SCHEDULED when asked.
  public func createRun(
    _ request: CreateRunRequest, _ call: CallContext
  ) async throws(CallError) -> CreateRunResponse {
    let now = WallClock.microseconds()
    let new = try NewRun(request, now: now)
    guard let experiment = try await experiment(new.experimentID, call) else {
      return try await call.repeatAnswer(or: experimentNotFound(new.experimentID))
    }
    let id = call.nextID()
    var record = RunRecord(
      id: id, experimentID: new.experimentID, projectID: experiment.projectID,
      name: request.name.isEmpty ? RunLifecycle.name(for: id) : request.name,
      description: request.description, status: new.status, startedAt: new.startedAt,
      completedAt: nil, createdBy: call.principal.id, createdAt: now, updatedAt: now, revision: 1)
    record.parentRunID = new.parentRunID
    record.source = new.source
    record.forkedFrom = new.fork
    var response = CreateRunResponse()
    response.run = Run(record, now: now)
    var change = Change("create", "created", from: nil, to: record)
    if !new.tags.isEmpty || !new.parameters.isEmpty {
      change.detailsJSON = record.audited(from: nil, tags: new.tags, parameters: new.parameters)
    }
    return try await call.commit(response, change) { batch in
      add(record, new, &batch, call)
    }
  }

  /// Adds the statements that store a new run with all that it has.
  private func add(
    _ record: RunRecord, _ new: NewRun, _ batch: inout Batch, _ call: CallContext
  ) {
    let organizationID = call.principal.organizationID
    if let parent = record.parentRunID {
      batch.add(require(parent, above: record, isNew: true, call))
    }
    if let fork = record.forkedFrom {
      batch.add(
        RunsQueries.requireVisibleRun(
          organizationID: organizationID, id: fork.runID, userID: call.principal.id))
      batch.add(
        RunsQueries.requireForkable(
          organizationID: organizationID, id: fork.runID, forksMax: RunBounds.forksMax))
    }
    batch.add(
      RunsQueries.createRun(
        organizationID: organizationID, id: record.id, experimentID: record.experimentID,
        userID: call.principal.id, sufficientRoles: call.sufficientRoles, name: record.name,
        description: record.description, status: record.status.text,
        startedAt: record.startedAt, createdAt: record.createdAt,
        parentRunID: record.parentRunID, sourceJSON: record.source.map { SourceText.json($0) },
        forkedFromRunID: record.forkedFrom?.runID, forkedAtStep: record.forkedFrom?.step))
    if !new.tags.isEmpty {
      batch.add(
        TagsQueries.writeRunTags(
          organizationID: organizationID, runID: record.id, keys: new.tags.keys,
          tagValues: new.tags.values))
    }
    if !new.parameters.isEmpty {
      batch.add(
        ParametersQueries.writeRunParameters(
          organizationID: organizationID, runID: record.id, keys: new.parameters.keys,
          parameterValues: new.parameters.values))
    }
  }

  /// Demands that a run may be nested under another.
  private func require(
    _ parent: UUID, above run: RunRecord, isNew: Bool, _ call: CallContext
  ) -> Query<Int> {
    RunsQueries.requireParentRun(
      organizationID: call.principal.organizationID, projectID: run.projectID, id: run.id,
      parentRunID: parent, isNew: isNew, depthMax: RunBounds.nestingMax)
  }

  /// Returns one run.
  public func getRun(
    _ request: GetRunRequest, _ call: CallContext
  ) async throws(CallError) -> GetRunResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()
    var response = GetRunResponse()
    response.run = Run(
      try await run(id, includesDeleted: request.includeDeleted, call),
      now: WallClock.microseconds())
    return response
  }

  /// One run that the caller sees.
  func run(
    _ id: UUID, includesDeleted: Bool = false, _ call: CallContext
  ) async throws(CallError) -> RunRecord {
    let row = try await call.read(
      RunsQueries.getRun(
        organizationID: call.principal.organizationID, id: id, includeDeleted: includesDeleted))
    guard let row, try await call.roleInProject(row.projectID) != nil else {
      throw runNotFound(id)
    }
    var record = RunRecord(row)
    record.deletedAt = row.deletedAt
    record.purgeAfter = row.purgeAfter
    return record
  }

  /// Changes the fields that are present.
  public func updateRun(
    _ request: UpdateRunRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateRunResponse {
    let now = WallClock.microseconds()
    let asked = try RunUpdate(request, now: now)
    return try await call.commit(
      locking: lock(asked.id, call)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw runNotFound(asked.id) }
      try call.require(row.role, unseen: runNotFound(asked.id))
      let before = RunRecord(row)
      try checkETag(request.etag, revision: before.revision)
      var record = before
      try asked.apply(to: &record, now: now)
      let organizationID = call.principal.organizationID
      if record.experimentID != before.experimentID {
        batch.add(
          RunsQueries.requireExperiment(
            organizationID: organizationID, id: record.experimentID, projectID: record.projectID))
      }
      if let parent = record.parentRunID, parent != before.parentRunID {
        batch.add(require(parent, above: record, isNew: false, call))
      }
      batch.add(
        RunsQueries.updateRun(
          experimentID: record.experimentID, name: record.name, description: record.description,
          status: record.status.text, startedAt: record.startedAt,
          completedAt: record.completedAt, parentRunID: record.parentRunID,
          sourceJSON: record.source.map { SourceText.json($0) }, isPinned: record.isPinned,
          archivedAt: record.archivedAt, updatedAt: now, organizationID: organizationID,
          id: record.id))
      var response = UpdateRunResponse()
      response.run = Run(record, now: now)
      return (response, Change("update", "updated", from: before, to: record))
    }
  }

  /// Ends a run.
  public func finishRun(
    _ request: FinishRunRequest, _ call: CallContext
  ) async throws(CallError) -> FinishRunResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    let status = RunLifecycle.final(request.status)
    if status == nil {
      validator.refuse("status", "must be COMPLETED, FAILED, CANCELLED or unspecified")
    }
    try validator.finish()

    let now = WallClock.microseconds()
    let completedAt = request.completedAt?.microseconds ?? now
    return try await call.commit(locking: lock(id, call)) { (row, batch) throws(CallError) in
      guard let row else { throw runNotFound(id) }
      try call.require(row.role, unseen: runNotFound(id))
      var record = RunRecord(row)
      try RunLifecycle.finish(&record, status ?? .completed, at: completedAt, now: now)
      batch.add(
        RunsQueries.finishRun(
          status: record.status.text, completedAt: completedAt, updatedAt: now,
          organizationID: call.principal.organizationID, id: id))
      var response = FinishRunResponse()
      response.run = Run(record, now: now)
      return (response, Change("finish", "finished", from: RunRecord(row), to: record))
    }
  }
}

/// What a caller hears of a run that is not there, or is not theirs.
func runNotFound(_ id: UUID) -> CallError {
  CallError(TrackingErrorReason.runNotFound, "There is no run \(id) in your organization.")
}

/// What a caller hears who changes a run that has ended.
func runFinished(_ id: UUID) -> CallError {
  CallError(
    TrackingErrorReason.runFinished, "The run \(id) has ended; create a new one, or reopen it.")
}

extension Change {
  /// A change of a run.
  init(_ verb: String, _ event: String, from before: RunRecord?, to run: RunRecord) {
    self.init(
      action: "run.\(verb)", event: "run.\(event)", resourceType: "run", resourceID: run.id,
      projectID: run.projectID, detailsJSON: run.audited(from: before))
    alsoChanged = [run.experimentID, before?.experimentID ?? run.experimentID]
  }
}
