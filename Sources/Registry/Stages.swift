internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension RegistryService {
  /// Puts a version in a stage and, when that is asked for, archives the others that are in it.
  public func transitionModelVersionStage(
    _ request: TransitionModelVersionStageRequest, _ call: CallContext
  ) async throws(CallError) -> TransitionModelVersionStageResponse {
    var validator = Validator()
    let reference = validator.version(
      "model_version_id", request.modelVersionID, request.modelID, request.model, request.ordinal)
    let stage = validator.stage(request.stage)
    let isInUse = request.stage == .staging || request.stage == .production
    if request.archiveExistingVersions, !isInUse {
      validator.refuse(
        "archive_existing_versions", "must be false for a stage other than STAGING and PRODUCTION")
    }
    validator.text("comment", request.comment, bytesMax: VersionBounds.commentBytesMax)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await call.commit(
      holding: hold(reference, call),
      locking: versionToChange(
        reference, othersIn: request.archiveExistingVersions ? stage : nil, call)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw reference.notFound }
      try call.require(row.role, unseen: reference.notFound)
      try checkETag(request.etag, revision: row.revision)
      let way = Way(comment: request.comment, now: now)
      if !row.otherIDs.isEmpty {
        way.move(row.otherIDs, from: stage, to: "archived", &batch, call)
      }
      if row.stage == stage {
        touch(row.modelID, versions: [row.id], at: now, &batch, call)
      } else {
        way.move([row.id], from: row.stage, to: stage, &batch, call)
        touch(row.modelID, versions: [], at: now, &batch, call)
      }
      var version = ModelVersion(row)
      version.stage = request.stage
      version.changed(at: now, from: row.revision)
      var response = TransitionModelVersionStageResponse()
      response.version = version
      response.archivedVersionIDs = row.otherIDs.map(\.description)
      let archived = row.otherIDs.map(\.description).joined(separator: " ")
      var change = versionChange(
        "transition", "transitioned", row.id, modelID: row.modelID, projectID: row.projectID,
        JSONText.change([
          ("stage", row.stage, stage), ("comment", nil, said(request.comment)),
          ("archived", nil, said(archived)),
        ]))
      change.alsoChanged.formUnion(row.otherIDs)
      return (response, change)
    }
  }

  private func said(_ text: String) -> String? { text.isEmpty ? nil : text }

  /// Lists the stages that a version was in, newest first.
  public func listStageTransitions(
    _ request: ListStageTransitionsRequest, _ call: CallContext
  ) async throws(CallError) -> ListStageTransitionsResponse {
    var validator = Validator()
    let reference = validator.version(
      "model_version_id", request.modelVersionID, request.modelID, request.model, request.ordinal)
    let size = validator.pageSize(
      request.pageSize, standard: ModelBounds.pageSize, max: ModelBounds.pageSizeMax)
    try validator.finish()
    let page = Page(purpose: "stages of \(reference)", size: size)
    let before = try page.start(request.pageToken)
    let organizationID = call.principal.organizationID
    let version = try await call.read(
      ModelVersionsQueries.getVersion(
        organizationID: organizationID, alias: nil, modelID: reference.model.id,
        projectID: reference.model.projectID, name: reference.model.name, asOf: nil, stage: nil,
        id: reference.id, ordinal: reference.ordinal))
    guard let version, try await call.roleInProject(version.projectID) != nil else {
      throw reference.notFound
    }
    let rows = try await call.read(
      StagesQueries.listStages(
        organizationID: organizationID, modelVersionID: version.id, beforeID: before,
        pageSize: page.rowsToRead))
    var response = ListStageTransitionsResponse()
    // A page of the longest comments would not fit a frame.
    let count = fitting(rows.prefix(size).map { $0.comment.utf8.count + 200 })
    response.transitions = rows.prefix(count).map { StageTransition($0) }
    if count < rows.count { response.nextPageToken = page.token(after: rows[count - 1].id) }
    return response
  }
}

/// How versions come to another stage.
private struct Way {
  let comment: String
  let now: Int64

  /// Adds the statements that move versions of a held model from a stage to another.
  func move(
    _ ids: [UUID], from: String, to stage: String, _ batch: inout Batch, _ call: CallContext
  ) {
    let organizationID = call.principal.organizationID
    batch.add(
      StagesQueries.setStages(
        stage: stage, updatedAt: now, organizationID: organizationID, ids: ids))
    batch.add(
      StagesQueries.endStages(
        endedAt: now, organizationID: organizationID, modelVersionIDs: ids))
    batch.add(
      StagesQueries.beginStages(
        organizationID: organizationID, fromStage: from, stage: stage, comment: comment,
        userID: call.principal.id, startedAt: now, ids: ids.map { _ in call.nextID() },
        modelVersionIDs: ids))
  }
}

extension StageTransition {
  fileprivate init(_ row: StagesQueries.ListStagesRow) {
    self.init()
    id = row.id.description
    modelVersionID = row.modelVersionID.description
    fromStage = row.fromStage.map { ModelStage(word: $0) } ?? .unspecified
    stage = ModelStage(word: row.stage)
    comment = row.comment
    actorID = row.actorID.description
    startedAt = Timestamp(microseconds: row.startedAt)
    endedAt = row.endedAt.map { Timestamp(microseconds: $0) }
  }
}
