internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension RegistryService {
  /// Makes an alias stand for a version of a model.
  public func setModelAlias(
    _ request: SetModelAliasRequest, _ call: CallContext
  ) async throws(CallError) -> SetModelAliasResponse {
    var validator = Validator()
    let reference = validator.model("model_id", request.modelID, request.model)
    validator.alias("alias", request.alias)
    validator.ordinal(request.ordinal)
    try validator.finish()

    let (id, now) = (call.nextID(), WallClock.microseconds())
    return try await change(reference, request.alias, request.ordinal, call) {
      (row, batch) throws(CallError) in
      guard let versionID = row.versionID else {
        throw VersionReference(model: reference, ordinal: request.ordinal).notFound
      }
      guard row.aliasID != nil || row.aliasCount < ModelBounds.aliasesMax else {
        throw CallError(
          RegistryErrorReason.aliasLimitReached,
          "The model \(reference) has \(row.aliasCount) aliases, which is the most; delete some.")
      }
      var alias = ModelAlias()
      alias.id = (row.aliasID ?? id).description
      alias.alias = request.alias
      alias.modelVersionID = versionID.description
      alias.ordinal = request.ordinal
      if row.aliasVersionID == versionID {
        alias.startedAt = row.aliasStartedAt.map { Timestamp(microseconds: $0) }
        alias.setBy = row.aliasSetBy?.description ?? ""
      } else {
        alias.id = id.description
        alias.startedAt = Timestamp(microseconds: now)
        alias.setBy = call.principal.id.description
        let organizationID = call.principal.organizationID
        batch.add(
          ModelAliasesQueries.endAlias(
            endedAt: now, organizationID: organizationID, modelID: row.id, alias: request.alias))
        batch.add(
          ModelAliasesQueries.beginAlias(
            organizationID: organizationID, id: id, modelID: row.id, alias: request.alias,
            modelVersionID: versionID, userID: call.principal.id, startedAt: now))
        touch(
          row.id, versions: [versionID] + (row.aliasVersionID.map { [$0] } ?? []), at: now, &batch,
          call)
      }
      var response = SetModelAliasResponse()
      response.alias = alias
      return (response, aliasing("set_alias", "aliased", request.alias, row, after: versionID))
    }
  }

  /// Ends an alias.
  public func deleteModelAlias(
    _ request: DeleteModelAliasRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteModelAliasResponse {
    var validator = Validator()
    let reference = validator.model("model_id", request.modelID, request.model)
    validator.alias("alias", request.alias)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await change(reference, request.alias, nil, call) { (row, batch) throws(CallError) in
      if let versionID = row.aliasVersionID {
        batch.add(
          ModelAliasesQueries.endAlias(
            endedAt: now, organizationID: call.principal.organizationID, modelID: row.id,
            alias: request.alias))
        touch(row.id, versions: [versionID], at: now, &batch, call)
      }
      return (
        DeleteModelAliasResponse(),
        aliasing("delete_alias", "unaliased", request.alias, row, after: nil)
      )
    }
  }

  /// Commits a change of an alias, which nobody else changes meanwhile.
  private func change<Response: Message>(
    _ reference: ModelReference, _ alias: String, _ ordinal: Int64?, _ call: CallContext,
    _ decide: (ModelAliasesQueries.GetModelToAliasRow, inout Batch) throws(CallError) -> (
      Response, Change
    )
  ) async throws(CallError) -> Response {
    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: TagsQueries.holdModel(
        organizationID: organizationID, id: reference.id, projectID: reference.projectID,
        name: reference.name),
      locking: ModelAliasesQueries.getModelToAlias(
        userID: call.principal.id, alias: alias, ordinal: ordinal, organizationID: organizationID,
        modelID: reference.id, projectID: reference.projectID, name: reference.name)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw reference.notFound }
      try call.require(row.role, unseen: reference.notFound)
      return try decide(row, &batch)
    }
  }

  private func aliasing(
    _ verb: String, _ event: String, _ alias: String,
    _ row: ModelAliasesQueries.GetModelToAliasRow, after: UUID?
  ) -> Change {
    var change = Change(
      action: "model.\(verb)", event: "model.\(event)", resourceType: "model", resourceID: row.id,
      projectID: row.projectID,
      detailsJSON: JSONText.change([
        ("alias.\(alias)", row.aliasVersionID?.description, after?.description)
      ]))
    change.alsoChanged = Set([row.aliasVersionID, after].compactMap { $0 })
    return change
  }

  /// Lists what aliases of a model stand for, and stood for when that is asked for.
  public func listModelAliases(
    _ request: ListModelAliasesRequest, _ call: CallContext
  ) async throws(CallError) -> ListModelAliasesResponse {
    var validator = Validator()
    let reference = validator.model("model_id", request.modelID, request.model)
    if !request.alias.isEmpty { validator.alias("alias", request.alias) }
    let size = validator.pageSize(
      request.pageSize, standard: ModelBounds.pageSize, max: ModelBounds.pageSizeMax)
    try validator.finish()
    let page = Page(
      purpose: "aliases of \(reference) \(request.alias) \(request.includeEnded)", size: size)
    let before = try page.start(request.pageToken)
    let found = try await model(reference, call)
    let rows = try await call.read(
      ModelAliasesQueries.listAliases(
        organizationID: call.principal.organizationID, modelID: found.id, beforeID: before,
        alias: request.alias.isEmpty ? nil : request.alias, includeEnded: request.includeEnded,
        pageSize: page.rowsToRead))
    var response = ListModelAliasesResponse()
    response.aliases = rows.prefix(size).map { row in
      var alias = ModelAlias(row)
      alias.endedAt = row.endedAt.map { Timestamp(microseconds: $0) }
      return alias
    }
    response.nextPageToken = page.next(rows.map(\.id))
    return response
  }
}

/// What every statement returns of an alias.
protocol AliasRow {
  var id: UUID { get }
  var alias: String { get }
  var modelVersionID: UUID { get }
  var ordinal: Int64 { get }
  var setBy: UUID { get }
  var startedAt: Int64 { get }
}

extension ModelAliasesQueries.ListAliasesRow: AliasRow {}
extension ModelAliasesQueries.ListFoundAliasesRow: AliasRow {}

extension ModelAlias {
  /// An alias that has not ended.
  init(_ row: some AliasRow) {
    self.init()
    id = row.id.description
    alias = row.alias
    modelVersionID = row.modelVersionID.description
    ordinal = row.ordinal
    setBy = row.setBy.description
    startedAt = Timestamp(microseconds: row.startedAt)
  }
}
