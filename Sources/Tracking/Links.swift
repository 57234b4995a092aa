public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Links a run to datasets that it read.
  public func logInputs(
    _ request: LogInputsRequest, _ call: CallContext
  ) async throws(CallError) -> LogInputsResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let asked = NewInputs(request.inputs, &validator)
    try validator.finish()

    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: TagsQueries.holdRun(organizationID: organizationID, id: id),
      locking: LinksQueries.getRunToGiveInputs(
        userID: call.principal.id, names: asked.datasets.map(\.name),
        digests: asked.datasets.map(\.digest), contexts: asked.contexts,
        organizationID: organizationID, id: id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw runNotFound(id) }
      try call.require(row.role, unseen: runNotFound(id))
      let new = asked.without(row.linkedPlaces)
      let count = Int(row.linkCount) + new.count
      guard count <= LinkBounds.inputsMax || new.count == 0 else {
        throw CallError(
          TrackingErrorReason.inputLimitReached,
          "The run would be linked to \(count) datasets, and \(LinkBounds.inputsMax) is the most; "
            + "log one dataset for many files.")
      }
      if new.count > 0 { write(new, of: id, in: row.projectID, &batch, call) }
      return (
        LogInputsResponse(),
        Change(
          action: "run.log_inputs", event: "run.inputs_logged", resourceType: "run",
          resourceID: id, projectID: row.projectID, detailsJSON: new.audited)
      )
    }
  }

  /// Adds the statements that keep datasets, and link a run to them.
  private func write(
    _ inputs: NewInputs, of id: UUID, in projectID: UUID, _ batch: inout Batch,
    _ call: CallContext
  ) {
    let organizationID = call.principal.organizationID
    let names = inputs.datasets.map(\.name)
    let digests = inputs.datasets.map(\.digest)
    batch.add(
      LinksQueries.writeInputDatasets(
        organizationID: organizationID, projectID: projectID,
        ids: inputs.datasets.map { _ in call.nextID() }, names: names, digests: digests,
        sourceTypes: inputs.datasets.map(\.sourceType), sources: inputs.datasets.map(\.source),
        schemaTexts: inputs.datasets.map(\.schema), profileTexts: inputs.datasets.map(\.profile),
        longProfileBytes: inputs.datasets.map { $0.profile.isEmpty ? $0.profileBytes : 0 }))
    batch.add(
      LinksQueries.writeRunInputs(
        organizationID: organizationID, runID: id,
        ids: inputs.datasets.map { _ in call.nextID() }, names: names, digests: digests,
        contexts: inputs.contexts, tagsJSON: inputs.tagsJSON, projectID: projectID))
  }

  /// Lists the datasets that a run read, the newest link first.
  public func listRunInputs(
    _ request: ListRunInputsRequest, _ call: CallContext
  ) async throws(CallError) -> ListRunInputsResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let size = validator.pageSize(
      request.pageSize, standard: LinkBounds.pageSize, max: LinkBounds.pageSizeMax)
    try validator.finish()
    let page = Page(purpose: "run inputs \(id)", size: size)
    let before = try page.start(request.pageToken)
    _ = try await run(id, includesDeleted: request.includeDeleted, call)
    let rows = try await call.read(
      LinksQueries.listRunInputs(
        organizationID: call.principal.organizationID, runID: id, beforeID: before,
        pageSize: page.rowsToRead, bytesMax: LinkBounds.pageBytesMax))
    var response = ListRunInputsResponse()
    response.inputs = rows.prefix(size).map { RunInput($0) }
    response.nextPageToken = page.next(rows.map(\.id))
    if rows.count <= size, let last = rows.last, last.bytes > LinkBounds.pageBytesMax {
      response.nextPageToken = page.token(after: last.id)
    }
    return response
  }

  /// Links a run to models that it began from or made.
  public func logModels(
    _ request: LogModelsRequest, _ call: CallContext
  ) async throws(CallError) -> LogModelsResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let asked = NewModels(request.models, &validator)
    try validator.finish()

    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: TagsQueries.holdRun(organizationID: organizationID, id: id),
      locking: LinksQueries.getRunToGiveModels(
        userID: call.principal.id, roles: asked.roles, names: asked.models.map(\.name),
        artifactPaths: asked.models.map(\.artifactPath), steps: asked.models.map(\.step),
        organizationID: organizationID, id: id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw runNotFound(id) }
      try call.require(row.role, unseen: runNotFound(id))
      let new = asked.without(row.linkedPlaces)
      let count = Int(row.linkCount) + new.models.count
      guard count <= LinkBounds.modelsMax || new.models.isEmpty else {
        throw CallError(
          TrackingErrorReason.modelLimitReached,
          "The run would be linked to \(count) models, and \(LinkBounds.modelsMax) is the most; "
            + "log those worth keeping.")
      }
      if !new.models.isEmpty {
        batch.add(
          LinksQueries.writeRunModels(
            organizationID: organizationID, runID: id, ids: new.models.map { _ in call.nextID() },
            roles: new.roles, names: new.models.map(\.name),
            artifactPaths: new.models.map(\.artifactPath), steps: new.models.map(\.step)))
      }
      return (
        LogModelsResponse(),
        Change(
          action: "run.log_models", event: "run.models_logged", resourceType: "run",
          resourceID: id, projectID: row.projectID, detailsJSON: new.audited)
      )
    }
  }

  /// Lists the models of a run, the newest link first.
  public func listRunModels(
    _ request: ListRunModelsRequest, _ call: CallContext
  ) async throws(CallError) -> ListRunModelsResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let role = ModelLink.text(request.role)
    if role == nil, request.role != .unspecified {
      validator.refuse("role", "must be INPUT, OUTPUT or unspecified")
    }
    let size = validator.pageSize(
      request.pageSize, standard: LinkBounds.pageSize, max: LinkBounds.pageSizeMax)
    try validator.finish()
    let page = Page(purpose: "run models \(id) \(role ?? "")", size: size)
    let before = try page.start(request.pageToken)
    _ = try await run(id, includesDeleted: request.includeDeleted, call)
    let rows = try await call.read(
      LinksQueries.listRunModels(
        organizationID: call.principal.organizationID, runID: id, beforeID: before, role: role,
        pageSize: page.rowsToRead))
    var response = ListRunModelsResponse()
    response.models = rows.prefix(size).map { RunModel($0) }
    response.nextPageToken = page.next(rows.map(\.id))
    return response
  }
}

/// What statements return of links to datasets.
protocol RunInputRow {
  var name: String { get }
  var digest: String { get }
  var sourceType: String { get }
  var source: String { get }
  var schemaText: String { get }
  var profileText: String { get }
  var profileBytes: Int64 { get }
  var context: String { get }
  var tagKeys: [String] { get }
  var tagValues: [String] { get }
  var createdAt: Int64 { get }
}

extension LinksQueries.ListRunInputsRow: RunInputRow {}
extension SearchQueries.ListFoundInputsRow: RunInputRow {}

/// What statements return of links to models.
protocol RunModelRow {
  var role: String { get }
  var name: String { get }
  var artifactPath: String { get }
  var step: Int64 { get }
  var createdAt: Int64 { get }
}

extension LinksQueries.ListRunModelsRow: RunModelRow {}
extension SearchQueries.ListFoundModelsRow: RunModelRow {}

extension RunInput {
  /// A link as a statement returned it.
  init(_ row: some RunInputRow) {
    self.init()
    var dataset = InputDataset()
    dataset.name = row.name
    dataset.digest = row.digest
    dataset.sourceType = row.sourceType
    dataset.source = row.source
    dataset.schema = row.schemaText
    dataset.profile = row.profileText
    dataset.profileBytes = row.profileBytes
    self.dataset = dataset
    context = row.context
    tags = zip(row.tagKeys, row.tagValues).map { Tag(key: $0, value: $1) }
    createdAt = Timestamp(microseconds: row.createdAt)
  }
}

extension RunModel {
  /// A link as a statement returned it.
  init(_ row: some RunModelRow) {
    self.init()
    role = ModelLink.role(row.role)
    name = row.name
    artifactPath = row.artifactPath
    step = row.step
    createdAt = Timestamp(microseconds: row.createdAt)
  }
}
