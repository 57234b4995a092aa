public import Messages
internal import Postgres
public import RPC

extension TracingService {
  /// Registers a scorer, or a version of one.
  public func registerScorer(
    _ request: RegisterScorerRequest, _ call: CallContext
  ) async throws(CallError) -> RegisterScorerResponse {
    var validator = Validator()
    let place = ScorerPlace(
      request.projectID, request.experimentID, request.name, &validator)
    validator.serializedScorer("serialized_json", request.serializedJSON)
    try validator.finish()

    let principal = call.principal
    let time = now
    return try await call.commit(
      holding: requireChange(in: place.projectID, call),
      locking: ScorersQueries.registerScorer(
        organizationID: principal.organizationID, id: call.nextID(), projectID: place.projectID,
        name: place.name, experimentID: place.experimentID,
        serializedScorer: request.serializedJSON, nowMs: time, userID: principal.id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw experimentNotFound(place.experimentID) }
      batch.add(
        ScorersQueries.checkScorerVersions(
          organizationID: principal.organizationID, scorerID: row.scorerID,
          versionsMax: settings.scorerVersionsMax))
      var response = RegisterScorerResponse()
      response.scorer = ScorerVersion(
        place, row.scorerID, row.version, request.serializedJSON, time, principal.id)
      return (
        response,
        change(
          place, row.scorerID, "register", "registered",
          [
            ("version", String(row.version)),
            ("bytes", String(request.serializedJSON.utf8.count)),
          ])
      )
    }
  }

  /// Returns a version of a scorer, or its latest.
  public func getScorer(
    _ request: GetScorerRequest, _ call: CallContext
  ) async throws(CallError) -> GetScorerResponse {
    let place = try ScorerPlace(request.projectID, request.experimentID, request.name)
    try await requireLook(at: place.projectID, call)
    let (id, row) = try await scorer(place, version: request.version, call)
    guard let version = row.version, let serialized = row.serializedScorer,
      let time = row.createTimeMs, let author = row.createdBy
    else {
      throw request.version.map(place.notFound(version:)) ?? place.notFound
    }
    var response = GetScorerResponse()
    response.scorer = ScorerVersion(place, id, version, serialized, time, author)
    return response
  }

  /// Lists the latest versions of the scorers of experiments.
  public func listScorers(
    _ request: ListScorersRequest, _ call: CallContext
  ) async throws(CallError) -> ListScorersResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentIDs = validator.evaluationIDs(
      "experiment_ids", request.experimentIDs, count: 0...ScorerBounds.experimentIDsMax)
    let size = validator.pageSize(
      request.pageSize, standard: ScorerBounds.pageSize, max: ScorerBounds.pageSizeMax)
    try validator.finish()
    try await requireLook(at: projectID, call)

    let purpose =
      "scorers \(projectID) \(experimentIDs.map(\.description).joined(separator: " "))"
    let after = try ScorerPosition(request.pageToken, for: purpose)
    let rows = try await call.read(
      ScorersQueries.listScorers(
        organizationID: call.principal.organizationID, projectID: projectID,
        experimentIDs: experimentIDs, afterExperimentID: after.experimentID,
        afterName: after.name, pageSize: Int64(size) + 1, bytesMax: ScorerBounds.pageBytesMax))
    let page = rows.prefix(size)
    var response = ListScorersResponse()
    response.scorers = page.map { row in
      ScorerVersion(
        ScorerPlace(projectID: projectID, experimentID: row.experimentID, name: row.name),
        row.scorerID, row.version, row.serializedScorer, row.createTimeMs, row.createdBy)
    }
    if rows.count > size || (rows.last?.bytes ?? 0) > ScorerBounds.pageBytesMax,
      let last = page.last
    {
      response.nextPageToken =
        ScorerPosition(experimentID: last.experimentID, name: last.name).token(for: purpose)
    }
    return response
  }

  /// Lists the versions of a scorer.
  public func listScorerVersions(
    _ request: ListScorerVersionsRequest, _ call: CallContext
  ) async throws(CallError) -> ListScorerVersionsResponse {
    var validator = Validator()
    let place = ScorerPlace(
      request.projectID, request.experimentID, request.name, &validator)
    let size = validator.pageSize(
      request.pageSize, standard: ScorerBounds.pageSize, max: ScorerBounds.pageSizeMax)
    try validator.finish()
    try await requireLook(at: place.projectID, call)
    let (id, _) = try await scorer(place, version: nil, call)

    let purpose = "scorer versions \(place.projectID) \(id)"
    var after: Int64 = 0
    if !request.pageToken.isEmpty {
      guard let version = Token.readText(request.pageToken, for: purpose).flatMap({ Int64($0) })
      else { throw pageTokenInvalid() }
      after = version
    }
    let rows = try await call.read(
      ScorersQueries.listScorerVersions(
        nameBytes: Int64(place.name.utf8.count), organizationID: call.principal.organizationID,
        scorerID: id, afterVersion: after, pageSize: Int64(size) + 1,
        bytesMax: ScorerBounds.pageBytesMax))
    let page = rows.prefix(size)
    var response = ListScorerVersionsResponse()
    response.scorers = page.map { row in
      ScorerVersion(
        place, id, row.version, row.serializedScorer, row.createTimeMs, row.createdBy)
    }
    if rows.count > size || (rows.last?.bytes ?? 0) > ScorerBounds.pageBytesMax,
      let last = page.last
    {
      response.nextPageToken = Token.make(Array(String(last.version).utf8), for: purpose)
    }
    return response
  }

  /// Deletes one version of a scorer, or all.
  public func deleteScorer(
    _ request: DeleteScorerRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteScorerResponse {
    let place = try ScorerPlace(request.projectID, request.experimentID, request.name)
    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: requireChange(in: place.projectID, call),
      ScorersQueries.holdScorer(
        organizationID: organizationID, experimentID: place.experimentID,
        projectID: place.projectID, name: place.name),
      locking: ScorersQueries.deleteScorer(
        organizationID: organizationID, version: request.version,
        experimentID: place.experimentID, name: place.name)
    ) { (row, _) throws(CallError) in
      guard let row else { throw place.notFound }
      if row.count == 0, let version = request.version { throw place.notFound(version: version) }
      var response = DeleteScorerResponse()
      response.count = row.count
      return (
        response,
        change(
          place, row.scorerID, "delete", "deleted",
          [
            ("version", request.version.map(String.init) ?? "all"),
            ("count", String(row.count)),
          ])
      )
    }
  }

  /// A scorer with a version of it, or with its latest.
  private func scorer(
    _ place: ScorerPlace, version: Int64?, _ call: CallContext
  ) async throws(CallError) -> (UUID, ScorersQueries.GetScorerRow) {
    let row = try await call.read(
      ScorersQueries.getScorer(
        organizationID: call.principal.organizationID, name: place.name, version: version,
        experimentID: place.experimentID, projectID: place.projectID))
    guard let row else { throw experimentNotFound(place.experimentID) }
    guard let id = row.scorerID else { throw place.notFound }
    return (id, row)
  }

  /// What the audit log and those who watch hear of a change.
  private func change(
    _ place: ScorerPlace, _ id: UUID, _ verb: String, _ done: String,
    _ details: [(String, String)]
  ) -> Change {
    Change(
      action: "scorer.\(verb)", event: "scorer.\(done)", resourceType: "scorer", resourceID: id,
      projectID: place.projectID,
      detailsJSON: JSONText.object(
        [("experiment_id", place.experimentID.description), ("name", place.name)] + details))
  }
}

/// Behind which scorer a page of them begins.
private struct ScorerPosition {
  let experimentID: UUID
  let name: String

  init(experimentID: UUID, name: String) {
    self.experimentID = experimentID
    self.name = name
  }

  /// Where a token says; without one, before all of them.
  init(_ token: String, for purpose: String) throws(CallError) {
    if token.isEmpty {
      self.init(experimentID: .zero, name: "")
      return
    }
    // By bytes: what follows the space may combine with it.
    guard let text = Token.readText(token, for: purpose)?.utf8,
      let space = text.firstIndex(of: UInt8(ascii: " ")),
      let id = UUID(String(text[..<space]) ?? ""),
      let name = String(text[text.index(after: space)...])
    else { throw pageTokenInvalid() }
    self.init(experimentID: id, name: name)
  }

  func token(for purpose: String) -> String {
    Token.make(Array("\(experimentID) \(name)".utf8), for: purpose)
  }
}

extension ScorerVersion {
  fileprivate init(
    _ place: ScorerPlace, _ id: UUID, _ version: Int64, _ serialized: String, _ timeMs: Int64,
    _ author: UUID
  ) {
    self.init()
    scorerID = id.description
    projectID = place.projectID.description
    experimentID = place.experimentID.description
    name = place.name
    self.version = version
    serializedJSON = serialized
    createTimeMs = timeMs
    createdBy = author.description
  }
}
