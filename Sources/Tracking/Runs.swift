internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of a run's fields.
enum RunBounds {
  static let nameBytes = 1...250
  static let descriptionBytesMax = 16 << 10
  static let pageSize = 100
  static let pageSizeMax = 1_000
}

extension TrackingService {
  /// Creates a run in status RUNNING, or SCHEDULED when asked.
  public func createRun(
    _ request: CreateRunRequest, _ call: CallContext
  ) async throws(CallError) -> CreateRunResponse {
    var validator = Validator()
    let experimentID = validator.id("experiment_id", request.experimentID)
    if !request.name.isEmpty {
      validator.name("name", request.name, bytes: RunBounds.nameBytes)
    }
    validator.text("description", request.description, bytesMax: RunBounds.descriptionBytesMax)
    let status = RunLifecycle.initial(request.status)
    if status == nil { validator.refuse("status", "must be RUNNING, SCHEDULED or unspecified") }
    try validator.finish()

    guard let experiment = try await experiment(experimentID, call) else {
      return try await call.repeatAnswer(or: experimentNotFound(experimentID))
    }
    let id = call.nextID()
    let now = WallClock.microseconds()
    let record = RunRecord(
      id: id, experimentID: experimentID, projectID: experiment.projectID,
      name: request.name.isEmpty ? RunLifecycle.name(for: id) : request.name,
      description: request.description, status: status ?? .running,
      startedAt: status == .scheduled ? nil : now, completedAt: nil,
      createdBy: call.principal.id, createdAt: now, updatedAt: now, revision: 1)
    var response = CreateRunResponse()
    response.run = Run(record, now: now)
    return try await call.commit(
      response, Change("create", "created", from: nil, to: record)
    ) { batch in
      batch.add(
        RunsQueries.createRun(
          organizationID: call.principal.organizationID, id: id, experimentID: experimentID,
          userID: call.principal.id, sufficientRoles: call.sufficientRoles, name: record.name,
          description: record.description, status: record.status.text,
          startedAt: record.startedAt, createdAt: now))
    }
  }

  /// Returns one run.
  public func getRun(
    _ request: GetRunRequest, _ call: CallContext
  ) async throws(CallError) -> GetRunResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()
    var response = GetRunResponse()
    response.run = Run(try await run(id, call), now: WallClock.microseconds())
    return response
  }

  /// One run that the caller sees.
  func run(_ id: UUID, _ call: CallContext) async throws(CallError) -> RunRecord {
    let row = try await call.read(
      RunsQueries.getRun(organizationID: call.principal.organizationID, id: id))
    guard let row, try await call.roleInProject(row.projectID) != nil else {
      throw runNotFound(id)
    }
    return RunRecord(row)
  }

  /// Changes the fields that are present.
  public func updateRun(
    _ request: UpdateRunRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateRunResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    if let name = request.name { validator.name("name", name, bytes: RunBounds.nameBytes) }
    if let description = request.description {
      validator.text("description", description, bytesMax: RunBounds.descriptionBytesMax)
    }
    if let status = request.status, status != .running {
      validator.refuse("status", "must be RUNNING; FinishRun ends a run")
    }
    try validator.finish()

    let now = WallClock.microseconds()
    return try await call.commit(locking: lock(id, call)) { (row, batch) throws(CallError) in
      guard let row else { throw runNotFound(id) }
      try call.require(row.role, unseen: runNotFound(id))
      var record = RunRecord(row)
      try checkETag(request.etag, revision: record.revision)
      if request.status == .running, record.status != .running {
        guard record.status == .scheduled else { throw runFinished(id) }
        record.status = .running
        record.startedAt = now
      }
      record.name = request.name ?? record.name
      record.description = request.description ?? record.description
      record.updatedAt = now
      record.revision += 1
      batch.add(
        RunsQueries.updateRun(
          name: request.name, description: request.description, status: record.status.text,
          startedAt: record.startedAt, updatedAt: now,
          organizationID: call.principal.organizationID, id: id))
      var response = UpdateRunResponse()
      response.run = Run(record, now: now)
      return (response, Change("update", "updated", from: RunRecord(row), to: record))
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

  private func lock(_ id: UUID, _ call: CallContext) -> Query<RunsQueries.LockRunRow?> {
    RunsQueries.lockRun(
      userID: call.principal.id, organizationID: call.principal.organizationID, id: id)
  }
}

/// What a caller hears of a run that is not there, or is not theirs.
func runNotFound(_ id: UUID) -> CallError {
  CallError(TrackingErrorReason.runNotFound, "There is no run \(id) in your organization.")
}

/// What a caller hears who changes a run that has ended.
func runFinished(_ id: UUID) -> CallError {
  CallError(TrackingErrorReason.runFinished, "The run \(id) has ended; create a new one.")
}

extension Change {
  /// A change of a run.
  fileprivate init(_ verb: String, _ event: String, from before: RunRecord?, to run: RunRecord) {
    func time(_ microseconds: Int64?) -> String? { microseconds.map { String($0) } }
    self.init(
      action: "run.\(verb)", event: "run.\(event)", resourceType: "run", resourceID: run.id,
      projectID: run.projectID,
      detailsJSON: JSONText.change([
        ("experiment_id", before?.experimentID.description, run.experimentID.description),
        ("name", before?.name, run.name), ("description", before?.description, run.description),
        ("status", before?.status.text, run.status.text),
        ("started_at_us", time(before?.startedAt), time(run.startedAt)),
        ("completed_at_us", time(before?.completedAt), time(run.completedAt)),
      ]))
  }
}
