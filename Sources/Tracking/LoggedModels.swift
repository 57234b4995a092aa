internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Logs a model within an experiment.
  public func createLoggedModel(
    _ request: CreateLoggedModelRequest, _ call: CallContext
  ) async throws(CallError) -> CreateLoggedModelResponse {
    var validator = Validator()
    let experimentID = validator.id("experiment_id", request.experimentID)
    if !request.name.isEmpty { validator.loggedModelName(request.name) }
    validator.loggedModelType(request.modelType)
    let sourceRunID = validator.optionalID("source_run_id", request.sourceRunID)
    let status = LoggedModelRecord.text(
      request.status == .unspecified ? .pending : request.status)
    if status == nil {
      validator.refuse("status", "must be PENDING, READY, FAILED or unspecified")
    }
    let tags = validator.loggedModelTags(request.tags)
    let parameters = validator.loggedModelParameters(request.parameters)
    try validator.finish()
    let tagged = DescriptionChange(set: tags, before: Description())
    let described = DescriptionChange(set: parameters, before: Description())
    try checkTagRoom(LoggedModelRoom(tagged, writing: tags))
    try checkParameterRoom(LoggedModelRoom(described, writing: parameters))

    guard let experiment = try await experiment(experimentID, call) else {
      return try await call.repeatAnswer(or: experimentNotFound(experimentID))
    }
    let (id, now) = (call.nextID(), WallClock.microseconds())
    let record = LoggedModelRecord(
      id: id, experimentID: experimentID, projectID: experiment.projectID,
      name: request.name.isEmpty ? LoggedModelRecord.name(for: id) : request.name,
      modelType: request.modelType, status: status ?? "pending", sourceRunID: sourceRunID,
      createdBy: call.principal.id, createdAt: now, updatedAt: now, revision: 1)
    var response = CreateLoggedModelResponse()
    response.model = LoggedModel(record)
    let more = tagged.audited("tags").after + described.audited("parameters").after
    return try await call.commit(
      response, record.change("create", "created", from: nil, more: more)
    ) { batch in
      batch.add(
        LoggedModelsQueries.createLoggedModel(
          organizationID: call.principal.organizationID, id: id, experimentID: experimentID,
          userID: call.principal.id, sufficientRoles: call.sufficientRoles, name: record.name,
          modelType: record.modelType, status: record.status, sourceRunID: sourceRunID,
          createdAt: now))
      write(tagged, ofModel: id, &batch, call)
      write(parameters: described, ofModel: id, &batch, call)
    }
  }

  /// Returns one logged model with its tags, parameters and metrics.
  public func getLoggedModel(
    _ request: GetLoggedModelRequest, _ call: CallContext
  ) async throws(CallError) -> GetLoggedModelResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()
    var found = FoundLoggedModels([
      try await loggedModel(id, includesDeleted: request.includeDeleted, call)
    ])
    try await found.complete(call)
    var response = GetLoggedModelResponse()
    response.model = found.models.first
    return response
  }

  /// One logged model that the caller sees.
  func loggedModel(
    _ id: UUID, includesDeleted: Bool, _ call: CallContext
  ) async throws(CallError) -> LoggedModelRecord {
    let row = try await call.read(
      LoggedModelsQueries.getLoggedModel(
        organizationID: call.principal.organizationID, id: id, includeDeleted: includesDeleted))
    guard let row, try await call.roleInProject(row.projectID) != nil else {
      throw loggedModelNotFound(id)
    }
    return LoggedModelRecord(row)
  }

  /// Changes the fields that are present.
  public func updateLoggedModel(
    _ request: UpdateLoggedModelRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateLoggedModelResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    if let name = request.name { validator.loggedModelName(name) }
    if let type = request.modelType { validator.loggedModelType(type) }
    validator.text(
      "status_message", request.statusMessage ?? "",
      bytesMax: LoggedModelBounds.statusMessageBytesMax)
    if let status = request.status, status != .ready, status != .failed {
      validator.refuse("status", "must be READY or FAILED")
    }
    try validator.finish()
    let status = request.status.flatMap { LoggedModelRecord.text($0) }

    let now = WallClock.microseconds()
    return try await change(id, request.etag, call) { (before, batch) in
      batch.add(
        LoggedModelsQueries.updateLoggedModel(
          name: request.name, modelType: request.modelType, status: status,
          statusMessage: request.statusMessage, updatedAt: now,
          organizationID: call.principal.organizationID, id: id))
      var record = before
      record.name = request.name ?? before.name
      record.modelType = request.modelType ?? before.modelType
      record.status = status ?? before.status
      record.statusMessage = request.statusMessage ?? before.statusMessage
      record.updatedAt = now
      record.revision += 1
      var response = UpdateLoggedModelResponse()
      response.model = LoggedModel(record)
      return (response, record.change("update", "updated", from: before))
    }
  }

  /// Deletes a logged model; for 30 days it can be brought back.
  public func deleteLoggedModel(
    _ request: DeleteLoggedModelRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteLoggedModelResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await change(id, request.etag, call) { (before, batch) in
      var record = before
      record.deletedAt = now
      record.purgeAfter = now + Recovery.period
      setDeletion(&record, now, &batch, call)
      var response = DeleteLoggedModelResponse()
      response.model = LoggedModel(record)
      return (response, record.change("delete", "deleted", from: before))
    }
  }

  /// Brings a deleted logged model back.
  public func undeleteLoggedModel(
    _ request: UndeleteLoggedModelRequest, _ call: CallContext
  ) async throws(CallError) -> UndeleteLoggedModelResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await call.commit(
      holding: hold(loggedModel: id, call), locking: held(loggedModel: id, call)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw loggedModelNotFound(id) }
      try call.require(row.role, unseen: loggedModelNotFound(id))
      guard row.hasExperiment else {
        throw CallError(
          TrackingErrorReason.experimentNotFound,
          "The experiment \(row.experimentID) of logged model \(id) is deleted: bring that back "
            + "first.")
      }
      let before = LoggedModelRecord(row)
      try Recovery.check(
        "logged model \(id)", deletedAt: before.deletedAt, purgeAfter: before.purgeAfter, now: now)
      var record = before
      record.deletedAt = nil
      record.purgeAfter = nil
      setDeletion(&record, now, &batch, call)
      var response = UndeleteLoggedModelResponse()
      response.model = LoggedModel(record)
      return (response, record.change("undelete", "undeleted", from: before))
    }
  }

  private func setDeletion(
    _ record: inout LoggedModelRecord, _ now: Int64, _ batch: inout Batch, _ call: CallContext
  ) {
    record.updatedAt = now
    record.revision += 1
    batch.add(
      LoggedModelsQueries.setLoggedModelDeletion(
        deletedAt: record.deletedAt, purgeAfter: record.purgeAfter, updatedAt: now,
        organizationID: call.principal.organizationID, id: record.id))
  }

  /// Commits a change of a live model of a live experiment.
  private func change<Response: Message>(
    _ id: UUID, _ etag: String, _ call: CallContext,
    _ decide: (LoggedModelRecord, inout Batch) -> (Response, Change)
  ) async throws(CallError) -> Response {
    try await call.commit(
      holding: hold(loggedModel: id, call), locking: held(loggedModel: id, call)
    ) { (row, batch) throws(CallError) in
      guard let row, row.deletedAt == nil, row.hasExperiment else { throw loggedModelNotFound(id) }
      try call.require(row.role, unseen: loggedModelNotFound(id))
      try checkETag(etag, revision: row.revision)
      return decide(LoggedModelRecord(row), &batch)
    }
  }

  func hold(loggedModel id: UUID, _ call: CallContext) -> Query<Int> {
    LoggedModelsQueries.holdLoggedModel(organizationID: call.principal.organizationID, id: id)
  }

  private func held(
    loggedModel id: UUID, _ call: CallContext
  ) -> Query<LoggedModelsQueries.GetHeldLoggedModelRow?> {
    LoggedModelsQueries.getHeldLoggedModel(
      userID: call.principal.id, organizationID: call.principal.organizationID, id: id)
  }
}

/// What a caller hears of a logged model that is not there, or is not theirs.
func loggedModelNotFound(_ id: UUID) -> CallError {
  CallError(
    TrackingErrorReason.loggedModelNotFound,
    "There is no logged model \(id) in your organization.")
}

/// What every statement returns of a logged model.
protocol LoggedModelRow {
  var id: UUID { get }
  var experimentID: UUID { get }
  var projectID: UUID { get }
  var name: String { get }
  var modelType: String { get }
  var status: String { get }
  var statusMessage: String { get }
  var sourceRunID: UUID? { get }
  var createdBy: UUID { get }
  var createdAt: Int64 { get }
  var updatedAt: Int64 { get }
  var revision: Int64 { get }
  var deletedAt: Int64? { get }
  var purgeAfter: Int64? { get }
}

extension LoggedModelsQueries.GetLoggedModelRow: LoggedModelRow {}
extension LoggedModelsQueries.GetHeldLoggedModelRow: LoggedModelRow {}

extension LoggedModelRecord {
  /// A model as a statement returned it.
  init(_ row: some LoggedModelRow) {
    self.init(
      id: row.id, experimentID: row.experimentID, projectID: row.projectID, name: row.name,
      modelType: row.modelType, status: row.status, statusMessage: row.statusMessage,
      sourceRunID: row.sourceRunID, createdBy: row.createdBy, createdAt: row.createdAt,
      updatedAt: row.updatedAt, revision: row.revision, deletedAt: row.deletedAt,
      purgeAfter: row.purgeAfter)
  }
}

extension LoggedModel {
  /// A model without what belongs to it.
  init(_ record: LoggedModelRecord) {
    self.init()
    id = record.id.description
    experimentID = record.experimentID.description
    projectID = record.projectID.description
    name = record.name
    modelType = record.modelType
    status = LoggedModelRecord.status(record.status)
    statusMessage = record.statusMessage
    sourceRunID = record.sourceRunID?.description ?? ""
    createdBy = record.createdBy.description
    createdAt = Timestamp(microseconds: record.createdAt)
    updatedAt = Timestamp(microseconds: record.updatedAt)
    etag = String(record.revision)
    deletedAt = record.deletedAt.map { Timestamp(microseconds: $0) }
    purgeAfter = record.purgeAfter.map { Timestamp(microseconds: $0) }
  }
}
