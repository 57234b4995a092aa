public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Sets and removes tags of a run.
  public func setRunTags(
    _ request: SetRunTagsRequest, _ call: CallContext
  ) async throws(CallError) -> SetRunTagsResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let tags = validator.runTags(request.tags)
    validator.deleteKeys(request.deleteKeys, besides: tags)
    try validator.finish()

    let wanted = RunDescription(tags: tags, deleteTags: request.deleteKeys)
    return try await describe(id, wanted, call) { (row, batch) throws(CallError) in
      let change = try wanted.tagChange(row)
      write(change, of: id, &batch, call)
      return (SetRunTagsResponse(), wanted.change("set_tags", "tagged", id, row, tags: change))
    }
  }

  /// Commits a change of a run's tags and parameters, which nobody else changes meanwhile.
  func describe<Response: Message>(
    _ id: UUID, _ wanted: RunDescription, _ call: CallContext,
    _ decide:
      (TagsQueries.GetRunToDescribeRow, inout Batch) throws(CallError) -> (Response, Change)
  ) async throws(CallError) -> Response {
    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: TagsQueries.holdRun(organizationID: organizationID, id: id),
      locking: TagsQueries.getRunToDescribe(
        userID: call.principal.id, tagKeys: wanted.tags.keys + wanted.deleteTags,
        parameterKeys: wanted.parameters.keys, organizationID: organizationID, id: id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw runNotFound(id) }
      try call.require(row.role, unseen: runNotFound(id))
      return try decide(row, &batch)
    }
  }

  /// Adds the statements that write tags.
  func write(
    _ change: DescriptionChange, of id: UUID, _ batch: inout Batch, _ call: CallContext
  ) {
    for tags in [change.added, change.replaced] where !tags.isEmpty {
      batch.add(
        TagsQueries.writeRunTags(
          organizationID: call.principal.organizationID, runID: id, keys: tags.keys,
          tagValues: tags.values))
    }
    if !change.removed.isEmpty {
      batch.add(
        TagsQueries.deleteRunTags(
          organizationID: call.principal.organizationID, runID: id, keys: change.removed))
    }
  }

  /// Lists the tags of a run, by key.
  public func listRunTags(
    _ request: ListRunTagsRequest, _ call: CallContext
  ) async throws(CallError) -> ListRunTagsResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let size = validator.pageSize(
      request.pageSize, standard: DescriptionBounds.pageSize, max: DescriptionBounds.pageSizeMax)
    try validator.finish()
    let page = KeyPage(purpose: "run tags \(id)", size: size)
    let after = try page.start(request.pageToken)
    _ = try await run(id, includesDeleted: request.includeDeleted, call)
    let rows = try await call.read(
      TagsQueries.listRunTags(
        organizationID: call.principal.organizationID, runID: id, afterKey: after,
        pageSize: page.rowsToRead, bytesMax: Int64(DescriptionBounds.pageBytesMax)))
    var response = ListRunTagsResponse()
    response.tags = rows.prefix(size).map { Tag(key: $0.key, value: $0.value) }
    response.nextPageToken = page.next(rows.map { ($0.key, $0.value) })
    return response
  }

  /// Sets and removes tags of an experiment.
  public func setExperimentTags(
    _ request: SetExperimentTagsRequest, _ call: CallContext
  ) async throws(CallError) -> SetExperimentTagsResponse {
    var validator = Validator()
    let id = validator.id("experiment_id", request.experimentID)
    let tags = validator.experimentTags(request.tags)
    validator.deleteKeys(request.deleteKeys, besides: tags)
    try validator.finish()

    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: TagsQueries.holdExperiment(organizationID: organizationID, id: id),
      locking: TagsQueries.getExperimentToDescribe(
        userID: call.principal.id, tagKeys: tags.keys + request.deleteKeys,
        organizationID: organizationID, id: id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw experimentNotFound(id) }
      try call.require(row.role, unseen: experimentNotFound(id))
      let change = DescriptionChange(
        set: tags, delete: request.deleteKeys,
        before: Description(keys: row.tagKeys, values: row.tagValues))
      try checkTagCount(Int(row.tagCount) + change.growth, change)
      for tags in [change.added, change.replaced] where !tags.isEmpty {
        batch.add(
          TagsQueries.writeExperimentTags(
            organizationID: organizationID, experimentID: id, keys: tags.keys,
            tagValues: tags.values))
      }
      if !change.removed.isEmpty {
        batch.add(
          TagsQueries.deleteExperimentTags(
            organizationID: organizationID, experimentID: id, keys: change.removed))
      }
      let audited = change.audited("tags")
      return (
        SetExperimentTagsResponse(),
        Change(
          action: "experiment.set_tags", event: "experiment.tagged", resourceType: "experiment",
          resourceID: id, projectID: row.projectID,
          detailsJSON: JSONText.beforeAndAfter(audited.before, audited.after))
      )
    }
  }

  /// Lists the tags of an experiment, by key.
  public func listExperimentTags(
    _ request: ListExperimentTagsRequest, _ call: CallContext
  ) async throws(CallError) -> ListExperimentTagsResponse {
    var validator = Validator()
    let id = validator.id("experiment_id", request.experimentID)
    let size = validator.pageSize(
      request.pageSize, standard: DescriptionBounds.pageSize, max: DescriptionBounds.pageSizeMax)
    try validator.finish()
    let page = KeyPage(purpose: "experiment tags \(id)", size: size)
    let after = try page.start(request.pageToken)
    let found = try await experiment(id, includesDeleted: request.includeDeleted, call)
    guard found != nil else { throw experimentNotFound(id) }
    let rows = try await call.read(
      TagsQueries.listExperimentTags(
        organizationID: call.principal.organizationID, experimentID: id, afterKey: after,
        pageSize: page.rowsToRead, bytesMax: Int64(DescriptionBounds.pageBytesMax)))
    var response = ListExperimentTagsResponse()
    response.tags = rows.prefix(size).map { Tag(key: $0.key, value: $0.value) }
    response.nextPageToken = page.next(rows.map { ($0.key, $0.value) })
    return response
  }
}

/// Refuses a change after which something would have too many tags.
func checkTagCount(_ count: Int, _ change: DescriptionChange) throws(CallError) {
  guard count > DescriptionBounds.tagsMax, change.growth > 0 else { return }
  throw CallError(
    TrackingErrorReason.tagLimitReached,
    "There would be \(count) tags, and \(DescriptionBounds.tagsMax) is the most; delete some.")
}
