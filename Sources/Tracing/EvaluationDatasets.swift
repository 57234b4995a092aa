internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TracingService {
  /// Creates an evaluation dataset.
  public func createEvaluationDataset(
    _ request: CreateEvaluationDatasetRequest, _ call: CallContext
  ) async throws(CallError) -> CreateEvaluationDatasetResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    validator.name("name", request.name, bytes: EvaluationBounds.nameBytes)
    validator.optionalText(
      "author", request.author, bytesMax: EvaluationBounds.authorBytesMax)
    let tags = TracePairs("tags", request.tags, &validator)
    let experimentIDs = validator.evaluationIDs(
      "experiment_ids", request.experimentIDs, count: 0...EvaluationBounds.experimentsMax)
    try validator.finish()

    let id = call.nextID()
    let time = now
    let organizationID = call.principal.organizationID
    let place = EvaluationPlace(projectID: projectID, id: id)
    return try await call.commit(
      holding: requireChange(in: projectID, call),
      EvaluationDatasetsQueries.createEvaluationDataset(
        organizationID: organizationID, id: id, projectID: projectID, name: request.name,
        nowMs: time, author: request.author),
      check(experimentIDs, in: projectID, call),
      link(place, adding: experimentIDs, removing: [], at: time, call),
      write(tags, of: place, call), check(place, call),
      locking: query([id], in: projectID, call)
    ) { (rows, _) throws(CallError) in
      guard let row = rows.first else { throw .internal("a new evaluation dataset is missing") }
      var response = CreateEvaluationDatasetResponse()
      response.dataset = EvaluationDataset(row)
      return (
        response,
        place.change(
          "create", "created",
          [("name", request.name), ("experiment_ids", named(experimentIDs))]
            + tags.audited("tags"))
      )
    }
  }

  /// Returns an evaluation dataset.
  public func getEvaluationDataset(
    _ request: GetEvaluationDatasetRequest, _ call: CallContext
  ) async throws(CallError) -> GetEvaluationDatasetResponse {
    let place = try EvaluationPlace(request.projectID, request.evaluationDatasetID)
    var response = GetEvaluationDatasetResponse()
    response.dataset = try await dataset(place, call)
    return response
  }

  /// An evaluation dataset that the caller sees.
  func dataset(
    _ place: EvaluationPlace, _ call: CallContext
  ) async throws(CallError) -> EvaluationDataset {
    try await requireLook(at: place.projectID, call)
    let rows = try await call.read(query([place.id], in: place.projectID, call))
    guard let row = rows.first else { throw place.notFound }
    return EvaluationDataset(row)
  }

  /// Changes tags and experiments of an evaluation dataset.
  public func updateEvaluationDataset(
    _ request: UpdateEvaluationDatasetRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateEvaluationDatasetResponse {
    var validator = Validator()
    let place = EvaluationPlace(request.projectID, request.evaluationDatasetID, &validator)
    let tags = TracePairs("tags", request.tags, &validator)
    if !request.deleteTagKeys.isEmpty {
      validator.deleteKeys("delete_tag_keys", request.deleteTagKeys, besides: tags)
    }
    let most = 0...EvaluationBounds.experimentsMax
    let added = validator.evaluationIDs(
      "add_experiment_ids", request.addExperimentIDs, count: most)
    let removed = validator.evaluationIDs(
      "remove_experiment_ids", request.removeExperimentIDs, count: most)
    if !Set(added).isDisjoint(with: removed) {
      validator.refuse("remove_experiment_ids", "must not name what add_experiment_ids does")
    }
    try validator.finish()

    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: requireChange(in: place.projectID, call),
      EvaluationDatasetsQueries.holdEvaluationDataset(
        organizationID: organizationID, projectID: place.projectID, id: place.id),
      check(added, in: place.projectID, call),
      link(place, adding: added, removing: removed, at: now, call),
      EvaluationDatasetsQueries.deleteEvaluationDatasetTags(
        organizationID: organizationID, id: place.id, keys: request.deleteTagKeys),
      write(tags, of: place, call), check(place, call),
      locking: query([place.id], in: place.projectID, call)
    ) { (rows, _) throws(CallError) in
      guard let row = rows.first else { throw place.notFound }
      var response = UpdateEvaluationDatasetResponse()
      response.dataset = EvaluationDataset(row)
      let deleted = request.deleteTagKeys.prefix(TraceBounds.auditedMax)
      return (
        response,
        place.change(
          "update", "updated",
          // What is so now: ids to remove may be of anything.
          [("experiment_ids", named(row.experimentIDs))]
            + tags.audited("tags") + deleted.map { ("deleted.\($0)", "") })
      )
    }
  }

  /// Deletes an evaluation dataset for good.
  public func deleteEvaluationDataset(
    _ request: DeleteEvaluationDatasetRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteEvaluationDatasetResponse {
    let place = try EvaluationPlace(request.projectID, request.evaluationDatasetID)
    return try await call.commit(
      holding: requireChange(in: place.projectID, call),
      locking: EvaluationDatasetsQueries.deleteEvaluationDataset(
        organizationID: call.principal.organizationID, projectID: place.projectID, id: place.id)
    ) { (name, _) throws(CallError) in
      guard let name else { throw place.notFound }
      return (
        DeleteEvaluationDatasetResponse(), place.change("delete", "deleted", [("name", name)])
      )
    }
  }

  // MARK: Statements

  /// Datasets by their ids, as many as an answer has room for.
  func query(
    _ ids: [UUID], in projectID: UUID, _ call: CallContext
  ) -> Query<[EvaluationDatasetsQueries.GetEvaluationDatasetsRow]> {
    EvaluationDatasetsQueries.getEvaluationDatasets(
      organizationID: call.principal.organizationID, ids: ids, projectID: projectID,
      bytesMax: TraceBounds.pageBytesMax)
  }

  /// Now, in milliseconds since 1970.
  var now: Int64 { WallClock.microseconds() / 1_000 }

  private func check(_ experimentIDs: [UUID], in projectID: UUID, _ call: CallContext) -> Query<Int>
  {
    EvaluationDatasetsQueries.checkEvaluationExperiments(
      experimentIDs: experimentIDs, organizationID: call.principal.organizationID,
      projectID: projectID)
  }

  private func link(
    _ place: EvaluationPlace, adding: [UUID], removing: [UUID], at timeMs: Int64,
    _ call: CallContext
  ) -> Query<Int> {
    EvaluationDatasetsQueries.linkEvaluationDataset(
      organizationID: call.principal.organizationID, id: place.id, removedIDs: removing,
      addedIDs: adding, nowMs: timeMs)
  }

  private func write(
    _ tags: TracePairs, of place: EvaluationPlace, _ call: CallContext
  ) -> Query<Int> {
    EvaluationDatasetsQueries.writeEvaluationDatasetTags(
      organizationID: call.principal.organizationID, id: place.id, keys: tags.keys,
      tagValues: tags.values)
  }

  private func check(_ place: EvaluationPlace, _ call: CallContext) -> Query<Int> {
    EvaluationDatasetsQueries.checkEvaluationDataset(
      organizationID: call.principal.organizationID, id: place.id,
      experimentsMax: Int64(EvaluationBounds.experimentsMax),
      tagsMax: EvaluationBounds.tagsMax, bytesMax: TraceBounds.pairsBytesMax)
  }

  private func named(_ ids: [UUID]) -> String {
    ids.prefix(TraceBounds.auditedMax).map(\.description).joined(separator: " ")
  }
}

/// What requests name as `evaluation_dataset_id`.
enum EvaluationDatasetResource: ProjectResource {
  static let name = "evaluation_dataset"
  static let notFound = TracingErrorReason.evaluationDatasetNotFound
}

/// Which evaluation dataset a request is about.
typealias EvaluationPlace = Place<EvaluationDatasetResource>

extension EvaluationPlace {
  /// Reads what names nothing else.
  init(_ projectID: String, _ id: String) throws(CallError) {
    var validator = Validator()
    self.init(projectID, id, &validator)
    try validator.finish()
  }

  /// What the audit log and those who watch hear of a change.
  func change(_ verb: String, _ done: String, _ details: [(String, String)]) -> Change {
    change(verb, done, JSONText.object(details))
  }
}

extension EvaluationDataset {
  /// A dataset as a statement returned it.
  init(_ row: EvaluationDatasetsQueries.GetEvaluationDatasetsRow) {
    self.init()
    id = row.id.description
    projectID = row.projectID.description
    name = row.name
    digest = row.digest
    schemaJSON = row.schema ?? ""
    recordCount = row.recordCount
    tags = zip(row.tagKeys, row.tagValues).map { TracePair(key: $0, value: $1) }
    experimentIDs = row.experimentIDs.map(\.description)
    author = row.author
    lastAuthor = row.lastAuthor
    createTimeMs = row.createTimeMs
    updateTimeMs = row.updateTimeMs
  }
}
