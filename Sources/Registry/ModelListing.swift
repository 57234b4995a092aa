internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension RegistryService {
  /// Finds models by a filter, in any order.
  public func listModels(
    _ request: ListModelsRequest, _ call: CallContext
  ) async throws(CallError) -> ListModelsResponse {
    var validator = Validator()
    let projectID = validator.optionalID("project_id", request.projectID)
    let size = validator.pageSize(
      request.pageSize, standard: ModelBounds.pageSize, max: ModelBounds.pageSizeMax)
    if request.deleted, !request.filter.isEmpty || !request.orderBy.isEmpty {
      validator.refuse("deleted", "must be false with a filter or an order")
    }
    try validator.finish()
    if request.deleted { return try await deletedModels(request, projectID, size, call) }

    let page = try await ModelSearch.page(request, projectID: projectID, size: size, call)
    var found = FoundModels(page.values.map { Model($0) }, ids: page.values.map(\.id))
    try await found.complete(call)
    var response = ListModelsResponse()
    response.models = found.models
    response.nextPageToken = page.next(after: found.models.count)
    return response
  }

  private func deletedModels(
    _ request: ListModelsRequest, _ projectID: UUID?, _ size: Int, _ call: CallContext
  ) async throws(CallError) -> ListModelsResponse {
    let page = Page(purpose: "deleted models \(request.projectID.lowercased())", size: size)
    let rows = try await call.read(
      ModelsQueries.listDeletedModels(
        organizationID: call.principal.organizationID,
        beforeID: try page.start(request.pageToken), projectID: projectID,
        now: WallClock.microseconds(), seesAllProjects: call.seesAllProjects,
        userID: call.principal.id, pageSize: page.rowsToRead))
    var response = ListModelsResponse()
    var bytes = 0
    for row in rows.prefix(size) {
      var model = Model(row)
      model.deletedAt = row.deletedAt.map { Timestamp(microseconds: $0) }
      model.purgeAfter = row.purgeAfter.map { Timestamp(microseconds: $0) }
      bytes += model.roughBytes
      if bytes > ModelBounds.pageBytesMax, let last = response.models.last {
        response.nextPageToken = page.token(after: UUID(last.id) ?? .zero)
        return response
      }
      response.models.append(model)
    }
    response.nextPageToken = page.next(rows.map(\.id))
    return response
  }
}

/// The models of a page with what belongs to them; as many as an answer has room for.
struct FoundModels {
  private var all: [Model]
  private let ids: [UUID]
  private let places: [UUID: Int]
  private var count: Int

  init(_ models: [Model], ids: [UUID]) {
    all = models
    self.ids = ids
    places = Dictionary(ids.enumerated().map { ($1, $0) }) { first, _ in first }
    count = models.count
  }

  /// Those that are complete.
  var models: [Model] { Array(all.prefix(count)) }

  /// The place of a model; nil for one that there is no room for.
  private mutating func place(_ id: UUID, _ bytes: Int64, _ bytesMax: Int64) -> Int? {
    guard let place = places[id] else { return nil }
    if bytes > bytesMax { count = min(count, place) }
    return place < count ? place : nil
  }

  /// Reads tags, aliases and the latest versions.
  mutating func complete(_ call: CallContext) async throws(CallError) {
    guard !ids.isEmpty else { return }
    let organizationID = call.principal.organizationID
    let tags = try await call.read(
      TagsQueries.listFoundModelTags(
        ownerIDs: ids, organizationID: organizationID, bytesMax: ModelBounds.pageTagBytesMax))
    for row in tags {
      guard let place = place(row.ownerID, row.bytes, ModelBounds.pageTagBytesMax) else { continue }
      all[place].tags.append(ModelTag(key: row.key, value: row.value))
    }
    let aliases = try await call.read(
      ModelAliasesQueries.listFoundAliases(organizationID: organizationID, modelIDs: ids))
    for row in aliases {
      guard let place = places[row.modelID] else { continue }
      all[place].aliases.append(ModelAlias(row))
    }
    let versions = try await call.read(
      ModelVersionsQueries.listLatestVersions(
        modelIDs: ids, organizationID: organizationID, bytesMax: ModelBounds.pageVersionBytesMax))
    for row in versions {
      guard let place = place(row.modelID, row.bytes, ModelBounds.pageVersionBytesMax) else {
        continue
      }
      all[place].latestVersions.append(ModelVersion(row))
    }
    count = fitting(all.prefix(count).map(\.roughBytes))
  }
}

/// How many of these sizes an answer has room for; at least one.
func fitting(_ sizes: [Int]) -> Int {
  var bytes = 0
  for (index, size) in sizes.enumerated() {
    bytes += size
    if bytes > ModelBounds.pageBytesMax { return max(index, 1) }
  }
  return sizes.count
}

extension Model {
  /// About how long it is in an answer.
  var roughBytes: Int {
    500 + name.utf8.count + description.utf8.count + metadataJSON.utf8.count
      + tags.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 16 }
      + aliases.count * 400 + latestVersions.reduce(0) { $0 + $1.roughBytes }
  }
}
