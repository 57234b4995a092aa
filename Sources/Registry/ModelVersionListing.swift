public import Messages
internal import Postgres
public import RPC

extension RegistryService {
  /// Returns one version: by its id, its ordinal, an alias, or as the newest in a stage.
  public func getModelVersion(
    _ request: GetModelVersionRequest, _ call: CallContext
  ) async throws(CallError) -> GetModelVersionResponse {
    let wanted = try WantedVersion(request)
    let row = try await call.read(
      ModelVersionsQueries.getVersion(
        organizationID: call.principal.organizationID, alias: wanted.alias,
        modelID: wanted.version.model.id, projectID: wanted.version.model.projectID,
        name: wanted.version.model.name, asOf: wanted.asOf, stage: wanted.stage,
        id: wanted.version.id, ordinal: wanted.version.ordinal))
    guard let row, try await call.roleInProject(row.projectID) != nil else {
      if wanted.version.id == nil { _ = try await model(wanted.version.model, call) }
      throw wanted.notFound
    }
    var found = FoundVersions([ModelVersion(row)], ids: [row.id])
    try await found.complete(call)
    var response = GetModelVersionResponse()
    response.version = found.versions.first
    return response
  }

  /// Finds versions of all models by a filter, in any order.
  public func listModelVersions(
    _ request: ListModelVersionsRequest, _ call: CallContext
  ) async throws(CallError) -> ListModelVersionsResponse {
    var validator = Validator()
    let projectID = validator.optionalID("project_id", request.projectID)
    let modelID = validator.optionalID("model_id", request.modelID)
    let size = validator.pageSize(
      request.pageSize, standard: ModelBounds.pageSize, max: ModelBounds.pageSizeMax)
    try validator.finish()
    let page = try await ModelVersionSearch.page(
      request, projectID: projectID, modelID: modelID, size: size, call)
    var found = FoundVersions(page.values.map { ModelVersion($0) }, ids: page.values.map(\.id))
    try await found.complete(call)
    var response = ListModelVersionsResponse()
    response.versions = found.versions
    response.nextPageToken = page.next(after: found.versions.count)
    return response
  }
}

/// Which version a caller asks for.
private struct WantedVersion {
  var version = VersionReference()
  var alias: String?
  var asOf: Int64?
  var stage: String?

  init(_ request: GetModelVersionRequest) throws(CallError) {
    var validator = Validator()
    let isOfModel = !request.modelID.isEmpty || request.model != nil
    let ways = [request.ordinal != 0, !request.alias.isEmpty, request.stage != .unspecified]
      .count { $0 }
    if request.asOf != nil, request.alias.isEmpty {
      validator.refuse("as_of", "must be absent without an alias")
    }
    if isOfModel, request.id.isEmpty, ways != 1 {
      validator.refuse("ordinal", "must be given, or an alias, or a stage, and only one of them")
    }
    if !isOfModel || !request.id.isEmpty, !request.alias.isEmpty || request.stage != .unspecified {
      validator.refuse("id", "must be empty with an alias or a stage, which are of a model")
    }
    if isOfModel, request.id.isEmpty, request.ordinal == 0 {
      version.model = validator.model("model_id", request.modelID, request.model)
      if !request.alias.isEmpty {
        validator.alias("alias", request.alias)
        alias = request.alias
        asOf = request.asOf?.microseconds
      } else {
        stage = validator.stage(request.stage)
      }
    } else {
      version = validator.version(
        "id", request.id, request.modelID, request.model, request.ordinal)
    }
    try validator.finish()
  }

  /// What callers hear where there is none.
  var notFound: CallError {
    if let alias {
      return CallError(
        RegistryErrorReason.modelAliasNotFound,
        "The model \(version.model) has\(asOf == nil ? "" : ", at that time,") no alias "
          + "\(alias).")
    }
    if let stage {
      return CallError(
        RegistryErrorReason.modelVersionNotFound,
        "The model \(version.model) has no version in the stage \(stage).")
    }
    return version.notFound
  }
}

/// The versions of a page with their tags; as many as an answer has room for.
struct FoundVersions {
  private var all: [ModelVersion]
  private let ids: [UUID]
  private var count: Int

  init(_ versions: [ModelVersion], ids: [UUID]) {
    all = versions
    self.ids = ids
    count = versions.count
  }

  /// Those that are complete.
  var versions: [ModelVersion] { Array(all.prefix(count)) }

  /// Reads the tags.
  mutating func complete(_ call: CallContext) async throws(CallError) {
    guard !ids.isEmpty else { return }
    let places = Dictionary(ids.enumerated().map { ($1, $0) }) { first, _ in first }
    let rows = try await call.read(
      TagsQueries.listFoundVersionTags(
        ownerIDs: ids, organizationID: call.principal.organizationID,
        bytesMax: ModelBounds.pageTagBytesMax))
    for row in rows {
      guard let place = places[row.ownerID] else { continue }
      if row.bytes > ModelBounds.pageTagBytesMax { count = min(count, place) }
      if place < count { all[place].tags.append(ModelTag(key: row.key, value: row.value)) }
    }
    count = fitting(all.prefix(count).map(\.roughBytes))
  }
}
