internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension RegistryService {
  /// Registers a version of a model.
  public func createModelVersion(
    _ request: CreateModelVersionRequest, _ call: CallContext
  ) async throws(CallError) -> CreateModelVersionResponse {
    var validator = Validator()
    let reference = validator.model("model_id", request.modelID, request.model)
    let tags = validator.newVersion(request)
    let status = validator.status(request.status) ?? "ready"
    try validator.finish()
    let tagging = TagChange(set: tags)
    try tagging.check()

    let (id, now) = (call.nextID(), WallClock.microseconds())
    let organizationID = call.principal.organizationID
    return try await call.commit(
      locking: ModelVersionsQueries.lockModelForVersion(
        userID: call.principal.id, organizationID: organizationID,
        runID: runID(request.sourceRun), modelID: reference.id, projectID: reference.projectID,
        name: reference.name)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw reference.notFound }
      try call.require(row.role, unseen: reference.notFound)
      var version = ModelVersion(request, status: status)
      version.id = id.description
      version.modelID = row.id.description
      version.modelName = row.name
      version.projectID = row.projectID.description
      version.ordinal = row.lastOrdinal + 1
      if version.version.isEmpty { version.version = "\(version.ordinal).0.0" }
      version.sourceRunID = row.sourceRunID?.description ?? ""
      version.createdBy = call.principal.id.description
      version.createdAt = Timestamp(microseconds: now)
      version.changed(at: now, from: 0)
      batch.add(insertion(version, id, row, now, call))
      batch.add(
        StagesQueries.beginStages(
          organizationID: organizationID, fromStage: nil, stage: "none", comment: "",
          userID: call.principal.id, startedAt: now, ids: [call.nextID()], modelVersionIDs: [id]))
      write(tagging.change, ofVersion: id, &batch, call)
      batch.add(
        ModelsQueries.touchModel(
          ordinal: version.ordinal, updatedAt: now, organizationID: organizationID, id: row.id))
      var response = CreateModelVersionResponse()
      response.version = version
      let audited =
        [("ordinal", String(version.ordinal))] + version.audited.filter { !$0.1.isEmpty }
        + tagging.change.audited("tags").after
      return (
        response,
        versionChange(
          "create", "created", id, modelID: row.id, projectID: row.projectID,
          JSONText.beforeAndAfter([], audited))
      )
    }
  }

  /// The run that a client may mean, which writes its id with dashes or without.
  private func runID(_ text: String) -> UUID? {
    if let id = UUID(text) { return id }
    guard text.utf8.count == 32 else { return nil }
    var digits = Array(text)
    for place in [20, 16, 12, 8] where digits.count == 32 + (20 - place) / 4 {
      digits.insert("-", at: place)
    }
    return UUID(String(digits))
  }

  private func insertion(
    _ version: ModelVersion, _ id: UUID, _ row: ModelVersionsQueries.LockModelForVersionRow,
    _ now: Int64, _ call: CallContext
  ) -> Query<Int> {
    ModelVersionsQueries.createVersion(
      organizationID: call.principal.organizationID, id: id, modelID: row.id,
      ordinal: version.ordinal, version: version.version, status: version.status.word ?? "ready",
      statusMessage: version.statusMessage, source: version.source, sourceRunID: row.sourceRunID,
      sourceRun: version.sourceRun, runLink: version.runLink,
      loggedModel: version.loggedModel, description: version.description,
      userName: version.user, requirements: version.requirements,
      inputSchemaJSON: said(version.inputSchemaJSON),
      outputSchemaJSON: said(version.outputSchemaJSON),
      performanceMetricsJSON: said(version.performanceMetricsJSON),
      trainingMetricsJSON: said(version.trainingMetricsJSON),
      hyperparametersJSON: said(version.hyperparametersJSON), userID: call.principal.id,
      createdAt: now)
  }

  /// A JSON object as it is stored; nil = not said.
  private func said(_ text: String) -> String? { text.isEmpty ? nil : text }

  /// Changes the fields that are present.
  public func updateModelVersion(
    _ request: UpdateModelVersionRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateModelVersionResponse {
    var validator = Validator()
    let reference = validator.version(
      "id", request.id, request.modelID, request.model, request.ordinal)
    validator.changes(request)
    let status = validator.status(request.status)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await call.commit(
      holding: hold(reference, call), locking: versionToChange(reference, call)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw reference.notFound }
      try call.require(row.role, unseen: reference.notFound)
      try checkETag(request.etag, revision: row.revision)
      let before = ModelVersion(row)
      var after = before
      if status != nil { after.status = request.status }
      after.statusMessage = request.statusMessage ?? before.statusMessage
      after.description = request.description ?? before.description
      after.requirements = request.requirements ?? before.requirements
      after.inputSchemaJSON = request.inputSchemaJSON ?? before.inputSchemaJSON
      after.outputSchemaJSON = request.outputSchemaJSON ?? before.outputSchemaJSON
      after.performanceMetricsJSON =
        request.performanceMetricsJSON ?? before.performanceMetricsJSON
      after.trainingMetricsJSON = request.trainingMetricsJSON ?? before.trainingMetricsJSON
      after.hyperparametersJSON = request.hyperparametersJSON ?? before.hyperparametersJSON
      after.changed(at: now, from: row.revision)
      batch.add(
        ModelVersionsQueries.updateVersion(
          status: status, statusMessage: request.statusMessage, description: request.description,
          requirements: request.requirements, inputSchemaJSON: said(after.inputSchemaJSON),
          outputSchemaJSON: said(after.outputSchemaJSON),
          performanceMetricsJSON: said(after.performanceMetricsJSON),
          trainingMetricsJSON: said(after.trainingMetricsJSON),
          hyperparametersJSON: said(after.hyperparametersJSON), updatedAt: now,
          organizationID: call.principal.organizationID, id: row.id))
      var response = UpdateModelVersionResponse()
      response.version = after
      let fields = zip(before.audited, after.audited).map { old, new in
        (old.0, Optional(old.1), Optional(new.1))
      }
      return (
        response,
        versionChange(
          "update", "updated", row.id, modelID: row.modelID, projectID: row.projectID,
          JSONText.change(fields))
      )
    }
  }

  /// Deletes a version and ends the aliases that stand for it.
  public func deleteModelVersion(
    _ request: DeleteModelVersionRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteModelVersionResponse {
    var validator = Validator()
    let reference = validator.version(
      "id", request.id, request.modelID, request.model, request.ordinal)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await call.commit(
      holding: hold(reference, call), locking: versionToChange(reference, call)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw reference.notFound }
      try call.require(row.role, unseen: reference.notFound)
      try checkETag(request.etag, revision: row.revision)
      let organizationID = call.principal.organizationID
      batch.add(
        ModelAliasesQueries.endAliasesOfVersion(
          endedAt: now, organizationID: organizationID, modelVersionID: row.id))
      batch.add(
        StagesQueries.endStages(
          endedAt: now, organizationID: organizationID, modelVersionIDs: [row.id]))
      batch.add(
        ModelVersionsQueries.deleteVersion(
          deletedAt: now, purgeAfter: now + Recovery.period, organizationID: organizationID,
          id: row.id))
      touch(row.modelID, versions: [], at: now, &batch, call)
      var response = DeleteModelVersionResponse()
      var version = ModelVersion(row)
      version.aliases = []
      version.deletedAt = Timestamp(microseconds: now)
      version.changed(at: now, from: row.revision)
      response.version = version
      return (
        response,
        versionChange(
          "delete", "deleted", row.id, modelID: row.modelID, projectID: row.projectID,
          JSONText.change([
            ("deleted_at_us", nil, String(now)),
            ("aliases", row.aliases.isEmpty ? nil : row.aliases.joined(separator: " "), nil),
          ]))
      )
    }
  }

  /// The statement that reads a version of a held model, and the others in a stage.
  func versionToChange(
    _ reference: VersionReference, othersIn stage: String? = nil, _ call: CallContext
  ) -> Query<ModelVersionsQueries.GetVersionToChangeRow?> {
    ModelVersionsQueries.getVersionToChange(
      userID: call.principal.id, othersStage: stage,
      organizationID: call.principal.organizationID, id: reference.id,
      modelID: reference.model.id, projectID: reference.model.projectID,
      name: reference.model.name, ordinal: reference.ordinal)
  }
}

extension ModelVersion {
  /// What a request says of a new version.
  fileprivate init(_ request: CreateModelVersionRequest, status word: String) {
    self.init()
    version = request.version
    status = ModelVersionStatus(word: word)
    statusMessage = request.statusMessage
    stage = .none
    source = request.source
    sourceRun = request.sourceRun
    runLink = request.runLink
    loggedModel = request.loggedModel
    description = request.description
    user = request.user
    requirements = request.requirements
    inputSchemaJSON = request.inputSchemaJSON
    outputSchemaJSON = request.outputSchemaJSON
    performanceMetricsJSON = request.performanceMetricsJSON
    trainingMetricsJSON = request.trainingMetricsJSON
    hyperparametersJSON = request.hyperparametersJSON
  }
}

extension Validator {
  /// Checks what is said of a new version; returns its tags.
  fileprivate mutating func newVersion(_ request: CreateModelVersionRequest) -> Description {
    text("version", request.version, bytesMax: VersionBounds.versionBytesMax)
    if !request.version.isEmpty, !SemanticVersion.isValid(request.version) {
      refuse("version", "must be a semantic version like 2.1.0-rc.1, or empty")
    }
    text(
      "status_message", request.statusMessage, bytesMax: VersionBounds.statusMessageBytesMax)
    characters("source", request.source, max: VersionBounds.linkScalarsMax)
    text("source_run", request.sourceRun, bytesMax: VersionBounds.sourceRunBytesMax)
    characters("run_link", request.runLink, max: VersionBounds.linkScalarsMax)
    text(
      "logged_model", request.loggedModel, bytesMax: VersionBounds.loggedModelBytesMax)
    text("description", request.description, bytesMax: VersionBounds.descriptionBytesMax)
    text("user", request.user, bytesMax: VersionBounds.userBytesMax)
    text("requirements", request.requirements, bytesMax: VersionBounds.requirementsBytesMax)
    optionalObject("input_schema_json", request.inputSchemaJSON)
    optionalObject("output_schema_json", request.outputSchemaJSON)
    optionalObject("performance_metrics_json", request.performanceMetricsJSON)
    optionalObject("training_metrics_json", request.trainingMetricsJSON)
    optionalObject("hyperparameters_json", request.hyperparametersJSON)
    return modelTags(request.tags)
  }

  /// Checks what is changed of a version.
  fileprivate mutating func changes(_ request: UpdateModelVersionRequest) {
    text(
      "status_message", request.statusMessage ?? "",
      bytesMax: VersionBounds.statusMessageBytesMax)
    text("description", request.description ?? "", bytesMax: VersionBounds.descriptionBytesMax)
    text("requirements", request.requirements ?? "", bytesMax: VersionBounds.requirementsBytesMax)
    optionalObject("input_schema_json", request.inputSchemaJSON)
    optionalObject("output_schema_json", request.outputSchemaJSON)
    optionalObject("performance_metrics_json", request.performanceMetricsJSON)
    optionalObject("training_metrics_json", request.trainingMetricsJSON)
    optionalObject("hyperparameters_json", request.hyperparametersJSON)
  }
}
