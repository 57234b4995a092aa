internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension RegistryService {
  /// Creates a model.
  public func createModel(
    _ request: CreateModelRequest, _ call: CallContext
  ) async throws(CallError) -> CreateModelResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    validator.modelName("name", request.name)
    validator.text(
      "description", request.description, bytesMax: ModelBounds.descriptionBytesMax)
    let metadata = validator.jsonObject(
      "metadata_json", request.metadataJSON, bytesMax: ModelBounds.metadataBytesMax)
    validator.kind("model_type", request.modelType)
    validator.kind("framework", request.framework)
    validator.kind("task_type", request.taskType)
    let tags = validator.modelTags(request.tags)
    try validator.finish()
    let tagging = TagChange(set: tags)
    try tagging.check()

    let (id, now) = (call.nextID(), WallClock.microseconds())
    let record = ModelRecord(
      id: id, projectID: projectID, name: request.name, description: request.description,
      metadataJSON: metadata, modelType: request.modelType, framework: request.framework,
      taskType: request.taskType, lastOrdinal: 0, createdBy: call.principal.id, createdAt: now,
      updatedAt: now, revision: 1)
    var response = CreateModelResponse()
    response.model = Model(record)
    return try await call.commit(
      response,
      record.change(
        "create", "created",
        JSONText.beforeAndAfter([], record.audited + tagging.change.audited("tags").after))
    ) { batch in
      requireRoom(&batch, call)
      batch.add(
        ModelsQueries.createModel(
          organizationID: call.principal.organizationID, id: id, projectID: projectID,
          userID: call.principal.id, sufficientRoles: call.sufficientRoles, name: record.name,
          description: record.description, metadataJSON: metadata, modelType: record.modelType,
          framework: record.framework, taskType: record.taskType, createdAt: now))
      write(tagging.change, ofModel: id, &batch, call)
    }
  }

  /// Adds what refuses one more model than the organization's plan allows.
  private func requireRoom(_ batch: inout Batch, _ call: CallContext) {
    let organizationID = call.principal.organizationID
    batch.add(ModelsQueries.lockModelRoom(organizationID: organizationID))
    batch.add(ModelsQueries.requireModelRoom(organizationID: organizationID))
  }

  /// Returns one model.
  public func getModel(
    _ request: GetModelRequest, _ call: CallContext
  ) async throws(CallError) -> GetModelResponse {
    var validator = Validator()
    let reference = validator.model("id", request.id, request.model)
    try validator.finish()
    let record = try await model(reference, call)
    var found = FoundModels([Model(record)], ids: [record.id])
    try await found.complete(call)
    var response = GetModelResponse()
    response.model = found.models.first
    return response
  }

  /// One live model that the caller sees.
  func model(
    _ reference: ModelReference, _ call: CallContext
  ) async throws(CallError) -> ModelRecord {
    let row = try await call.read(
      ModelsQueries.getModel(
        organizationID: call.principal.organizationID, id: reference.id,
        projectID: reference.projectID, name: reference.name))
    guard let row, try await call.roleInProject(row.projectID) != nil else {
      throw reference.notFound
    }
    return ModelRecord(row)
  }

  /// Changes the fields that are present.
  public func updateModel(
    _ request: UpdateModelRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateModelResponse {
    var validator = Validator()
    let reference = validator.model("id", request.id, request.model)
    if let name = request.name { validator.modelName("name", name) }
    validator.text(
      "description", request.description ?? "", bytesMax: ModelBounds.descriptionBytesMax)
    let metadata = request.metadataJSON.map {
      validator.jsonObject("metadata_json", $0, bytesMax: ModelBounds.metadataBytesMax)
    }
    validator.kind("model_type", request.modelType ?? "")
    validator.kind("framework", request.framework ?? "")
    validator.kind("task_type", request.taskType ?? "")
    try validator.finish()

    let now = WallClock.microseconds()
    return try await call.commit(locking: lock(reference, call)) { (row, batch) throws(CallError) in
      guard let row else { throw reference.notFound }
      try call.require(row.role, unseen: reference.notFound)
      try checkETag(request.etag, revision: row.revision)
      batch.add(
        ModelsQueries.updateModel(
          name: request.name, description: request.description, metadataJSON: metadata,
          modelType: request.modelType, framework: request.framework, taskType: request.taskType,
          updatedAt: now, organizationID: call.principal.organizationID, id: row.id))
      let before = ModelRecord(row)
      var after = before
      after.name = request.name ?? before.name
      after.description = request.description ?? before.description
      after.metadataJSON = metadata ?? before.metadataJSON
      after.modelType = request.modelType ?? before.modelType
      after.framework = request.framework ?? before.framework
      after.taskType = request.taskType ?? before.taskType
      after.updatedAt = now
      after.revision += 1
      var response = UpdateModelResponse()
      response.model = Model(after)
      let fields = zip(before.audited, after.audited).map { old, new in
        (old.0, Optional(old.1), Optional(new.1))
      }
      return (response, after.change("update", "updated", JSONText.change(fields)))
    }
  }

  private func lock(
    _ reference: ModelReference, _ call: CallContext
  ) -> Query<ModelsQueries.LockModelRow?> {
    ModelsQueries.lockModel(
      userID: call.principal.id, organizationID: call.principal.organizationID, id: reference.id,
      projectID: reference.projectID, name: reference.name)
  }

  /// Deletes a model with its versions; for 30 days it can be brought back.
  public func deleteModel(
    _ request: DeleteModelRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteModelResponse {
    var validator = Validator()
    let reference = validator.model("id", request.id, request.model)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await call.commit(locking: lock(reference, call)) { (row, batch) throws(CallError) in
      guard let row else { throw reference.notFound }
      try call.require(row.role, unseen: reference.notFound)
      try checkETag(request.etag, revision: row.revision)
      let purgeAfter = now + Recovery.period
      batch.add(
        ModelsQueries.setModelDeletion(
          deletedAt: now, purgeAfter: purgeAfter, updatedAt: now,
          organizationID: call.principal.organizationID, id: row.id))
      var record = ModelRecord(row)
      record.updatedAt = now
      record.revision += 1
      var model = Model(record)
      model.deletedAt = Timestamp(microseconds: now)
      model.purgeAfter = Timestamp(microseconds: purgeAfter)
      var response = DeleteModelResponse()
      response.model = model
      return (
        response,
        record.change(
          "delete", "deleted", JSONText.change([("deleted_at_us", nil, String(now))]))
      )
    }
  }

  /// Brings a deleted model back, with what it had.
  public func undeleteModel(
    _ request: UndeleteModelRequest, _ call: CallContext
  ) async throws(CallError) -> UndeleteModelResponse {
    var validator = Validator()
    let reference = ModelReference(id: validator.id("id", request.id))
    try validator.finish()

    let now = WallClock.microseconds()
    return try await call.commit(
      locking: ModelsQueries.lockAnyModel(
        userID: call.principal.id, organizationID: call.principal.organizationID,
        id: reference.id ?? .zero)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw reference.notFound }
      try call.require(row.role, unseen: reference.notFound)
      try Recovery.check(row, now: now)
      requireRoom(&batch, call)
      batch.add(
        ModelsQueries.setModelDeletion(
          deletedAt: nil, purgeAfter: nil, updatedAt: now,
          organizationID: call.principal.organizationID, id: row.id))
      var record = ModelRecord(row)
      record.updatedAt = now
      record.revision += 1
      var response = UndeleteModelResponse()
      response.model = Model(record)
      return (
        response,
        record.change(
          "undelete", "undeleted",
          JSONText.change([("deleted_at_us", row.deletedAt.map { String($0) }, nil)]))
      )
    }
  }
}

/// For how long what was deleted can be brought back.
enum Recovery {
  /// In microseconds.
  static let period = Housekeeping.recoveryPeriod

  /// Refuses what is not deleted, or was too long ago.
  fileprivate static func check(
    _ row: ModelsQueries.LockAnyModelRow, now: Int64
  ) throws(CallError) {
    guard row.deletedAt != nil else {
      throw CallError(
        RegistryErrorReason.recoveryOver, "The model \(row.id) is not deleted.")
    }
    guard let purgeAfter = row.purgeAfter, purgeAfter > now else {
      throw CallError(
        RegistryErrorReason.recoveryOver,
        "The model \(row.id) was deleted more than 30 days ago; it cannot be brought back.")
    }
  }
}
