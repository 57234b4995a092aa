internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension RegistryService {
  /// Sets and removes tags of a model.
  public func setModelTags(
    _ request: SetModelTagsRequest, _ call: CallContext
  ) async throws(CallError) -> SetModelTagsResponse {
    var validator = Validator()
    let reference = validator.model("model_id", request.modelID, request.model)
    let tags = validator.modelTags(request.tags)
    validator.deleteKeys(request.deleteKeys, besides: tags)
    try validator.finish()

    let organizationID = call.principal.organizationID
    let now = WallClock.microseconds()
    return try await call.commit(
      holding: TagsQueries.holdModel(
        organizationID: organizationID, id: reference.id, projectID: reference.projectID,
        name: reference.name),
      locking: TagsQueries.getModelToDescribe(
        userID: call.principal.id, tagKeys: tags.keys + request.deleteKeys,
        organizationID: organizationID, id: reference.id, projectID: reference.projectID,
        name: reference.name)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw reference.notFound }
      try call.require(row.role, unseen: reference.notFound)
      let wanted = TagChange(
        set: tags, delete: request.deleteKeys,
        before: Description(keys: row.tagKeys, values: row.tagValues), count: row.tagCount,
        bytes: row.tagBytes)
      try wanted.check()
      write(wanted.change, ofModel: row.id, &batch, call)
      batch.add(
        ModelsQueries.touchModel(
          ordinal: 0, updatedAt: now, organizationID: organizationID, id: row.id))
      let audited = wanted.change.audited("tags")
      return (
        SetModelTagsResponse(),
        Change(
          action: "model.set_tags", event: "model.tagged", resourceType: "model",
          resourceID: row.id, projectID: row.projectID,
          detailsJSON: JSONText.beforeAndAfter(audited.before, audited.after))
      )
    }
  }

  /// Sets and removes tags of a version.
  public func setModelVersionTags(
    _ request: SetModelVersionTagsRequest, _ call: CallContext
  ) async throws(CallError) -> SetModelVersionTagsResponse {
    var validator = Validator()
    let reference = validator.version(
      "model_version_id", request.modelVersionID, request.modelID, request.model, request.ordinal)
    let tags = validator.modelTags(request.tags)
    validator.deleteKeys(request.deleteKeys, besides: tags)
    try validator.finish()

    let organizationID = call.principal.organizationID
    let now = WallClock.microseconds()
    return try await call.commit(
      holding: hold(reference, call),
      locking: TagsQueries.getVersionToDescribe(
        userID: call.principal.id, tagKeys: tags.keys + request.deleteKeys,
        organizationID: organizationID, id: reference.id, modelID: reference.model.id,
        projectID: reference.model.projectID, name: reference.model.name,
        ordinal: reference.ordinal)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw reference.notFound }
      try call.require(row.role, unseen: reference.notFound)
      let wanted = TagChange(
        set: tags, delete: request.deleteKeys,
        before: Description(keys: row.tagKeys, values: row.tagValues), count: row.tagCount,
        bytes: row.tagBytes)
      try wanted.check()
      write(wanted.change, ofVersion: row.id, &batch, call)
      touch(row.modelID, versions: [row.id], at: now, &batch, call)
      let audited = wanted.change.audited("tags")
      var change = Change(
        action: "model_version.set_tags", event: "model_version.tagged",
        resourceType: "model_version", resourceID: row.id, projectID: row.projectID,
        detailsJSON: JSONText.beforeAndAfter(audited.before, audited.after))
      change.alsoChanged = [row.modelID]
      return (SetModelVersionTagsResponse(), change)
    }
  }

  /// The statement with which who changes a version, or what belongs to it, waits for others.
  func hold(_ reference: VersionReference, _ call: CallContext) -> Query<Int> {
    TagsQueries.holdModelOfVersion(
      organizationID: call.principal.organizationID, id: reference.id,
      modelID: reference.model.id, projectID: reference.model.projectID,
      name: reference.model.name, ordinal: reference.ordinal)
  }

  /// Adds the statements that note a change of what belongs to a model and versions of it.
  func touch(
    _ modelID: UUID, versions ids: [UUID], at now: Int64, _ batch: inout Batch,
    _ call: CallContext
  ) {
    let organizationID = call.principal.organizationID
    if !ids.isEmpty {
      batch.add(
        ModelVersionsQueries.touchVersions(
          updatedAt: now, organizationID: organizationID, ids: ids))
    }
    batch.add(
      ModelsQueries.touchModel(
        ordinal: 0, updatedAt: now, organizationID: organizationID, id: modelID))
  }

  /// Adds the statements that write tags of a model.
  func write(
    _ change: DescriptionChange, ofModel id: UUID, _ batch: inout Batch, _ call: CallContext
  ) {
    let organizationID = call.principal.organizationID
    for tags in [change.added, change.replaced] where !tags.isEmpty {
      batch.add(
        TagsQueries.writeModelTags(
          organizationID: organizationID, modelID: id, keys: tags.keys, tagValues: tags.values))
    }
    if !change.removed.isEmpty {
      batch.add(
        TagsQueries.deleteModelTags(
          organizationID: organizationID, modelID: id, keys: change.removed))
    }
  }

  /// Adds the statements that write tags of a version.
  func write(
    _ change: DescriptionChange, ofVersion id: UUID, _ batch: inout Batch, _ call: CallContext
  ) {
    let organizationID = call.principal.organizationID
    for tags in [change.added, change.replaced] where !tags.isEmpty {
      batch.add(
        TagsQueries.writeVersionTags(
          organizationID: organizationID, modelVersionID: id, keys: tags.keys,
          tagValues: tags.values))
    }
    if !change.removed.isEmpty {
      batch.add(
        TagsQueries.deleteVersionTags(
          organizationID: organizationID, modelVersionID: id, keys: change.removed))
    }
  }
}
