internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of an experiment's fields.
enum ExperimentBounds {
  static let nameBytes = 1...500
  static let descriptionBytesMax = 16 << 10
  static let configBytesMax = 64 << 10
  static let pageSize = 100
  static let pageSizeMax = 1_000
}

extension TrackingService {
  /// Creates an experiment.
  public func createExperiment(
    _ request: CreateExperimentRequest, _ call: CallContext
  ) async throws(CallError) -> CreateExperimentResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    validator.name("name", request.name, bytes: ExperimentBounds.nameBytes)
    validator.text(
      "description", request.description, bytesMax: ExperimentBounds.descriptionBytesMax)
    let config = validator.jsonObject(
      "config_json", request.configJSON, bytesMax: ExperimentBounds.configBytesMax)
    let tags = validator.experimentTags(request.tags)
    try validator.finish()

    let id = call.nextID()
    let now = WallClock.microseconds()
    var response = CreateExperimentResponse()
    response.experiment = Experiment(
      id: id, projectID: projectID, name: request.name, description: request.description,
      config: config, createdBy: call.principal.id, createdAt: now, updatedAt: now, revision: 1,
      archivedAt: nil)
    let tagged = DescriptionChange(set: tags, before: Description()).audited("tags").after
    return try await call.commit(
      response,
      Change(
        action: "experiment.create", event: "experiment.created", resourceType: "experiment",
        resourceID: id, projectID: projectID,
        detailsJSON: JSONText.beforeAndAfter(
          [],
          [
            ("name", request.name), ("description", request.description), ("config_json", config),
          ] + tagged))
    ) { batch in
      batch.add(
        ExperimentsQueries.createExperiment(
          organizationID: call.principal.organizationID, id: id, projectID: projectID,
          userID: call.principal.id, sufficientRoles: call.sufficientRoles, name: request.name,
          description: request.description, configJSON: config, createdAt: now))
      if !tags.isEmpty {
        batch.add(
          TagsQueries.writeExperimentTags(
            organizationID: call.principal.organizationID, experimentID: id, keys: tags.keys,
            tagValues: tags.values))
      }
    }
  }

  /// Returns one experiment.
  public func getExperiment(
    _ request: GetExperimentRequest, _ call: CallContext
  ) async throws(CallError) -> GetExperimentResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    let tags = IncludedKeys("tags", request.tags, &validator)
    try validator.finish()
    let row = try await experiment(id, includesDeleted: request.includeDeleted, call)
    guard let row else { throw experimentNotFound(id) }
    var found = FoundExperiments([(id, Experiment(row))])
    try await found.addTags(tags, call)
    var response = GetExperimentResponse()
    response.experiment = found.complete.first
    return response
  }

  /// One experiment, if the caller sees it.
  func experiment(
    _ id: UUID, includesDeleted: Bool = false, _ call: CallContext
  ) async throws(CallError) -> ExperimentsQueries.GetExperimentRow? {
    let row = try await call.read(
      ExperimentsQueries.getExperiment(
        organizationID: call.principal.organizationID, id: id, includeDeleted: includesDeleted))
    guard let row, try await call.roleInProject(row.projectID) != nil else { return nil }
    return row
  }

  /// Lists experiments, newest first unless another order is asked for.
  public func listExperiments(
    _ request: ListExperimentsRequest, _ call: CallContext
  ) async throws(CallError) -> ListExperimentsResponse {
    var validator = Validator()
    let projectID = validator.optionalID("project_id", request.projectID)
    validator.text("name", request.name, bytesMax: ExperimentBounds.nameBytes.upperBound)
    let size = validator.pageSize(
      request.pageSize, standard: ExperimentBounds.pageSize, max: ExperimentBounds.pageSizeMax)
    let view = SearchView(request.view, &validator)
    let tags = IncludedKeys("tags", request.tags, &validator)
    let isSearch = !request.filter.isEmpty || !request.orderBy.isEmpty || view != .live
    if isSearch, request.deleted {
      validator.refuse("deleted", "must be false with a filter, an order or a view")
    }
    try validator.finish()
    if isSearch {
      let page = try await ExperimentSearch.page(
        request, view, projectID: projectID, size: size, call)
      var found = FoundExperiments(page.values.map { ($0.id, Experiment($0)) })
      try await found.addTags(tags, call)
      var response = ListExperimentsResponse()
      response.experiments = found.complete
      response.nextPageToken = page.next(after: found.count)
      return response
    }
    let page = Page(
      purpose: "experiments \(request.projectID.lowercased()) \(request.includeArchived) "
        + "\(request.deleted) \(request.name)", size: size)
    let before = try page.start(request.pageToken)
    let rows = try await rows(request, projectID, before, page, call)
    var found = FoundExperiments(Array(rows.prefix(size)))
    try await found.addTags(tags, call)
    var response = ListExperimentsResponse()
    response.experiments = found.complete
    if found.count < rows.count, found.count > 0 {
      response.nextPageToken = page.token(after: rows[found.count - 1].id)
    }
    return response
  }

  private func rows(
    _ request: ListExperimentsRequest, _ projectID: UUID?, _ before: UUID?, _ page: Page,
    _ call: CallContext
  ) async throws(CallError) -> [(id: UUID, experiment: Experiment)] {
    let name = request.name.isEmpty ? nil : request.name
    let organizationID = call.principal.organizationID
    if request.deleted {
      return try await call.read(
        ExperimentsQueries.listDeletedExperiments(
          organizationID: organizationID, beforeID: before, name: name, projectID: projectID,
          now: WallClock.microseconds(), seesAllProjects: call.seesAllProjects,
          userID: call.principal.id, pageSize: page.rowsToRead)
      ).map { ($0.id, Experiment($0)) }
    }
    if let projectID {
      return try await call.read(
        ExperimentsQueries.listProjectExperiments(
          organizationID: organizationID, projectID: projectID, beforeID: before, name: name,
          includeArchived: request.includeArchived, seesAllProjects: call.seesAllProjects,
          userID: call.principal.id, pageSize: page.rowsToRead)
      ).map { ($0.id, Experiment(living: $0)) }
    }
    return try await call.read(
      ExperimentsQueries.listExperiments(
        organizationID: organizationID, beforeID: before, name: name,
        includeArchived: request.includeArchived, seesAllProjects: call.seesAllProjects,
        userID: call.principal.id, pageSize: page.rowsToRead)
    ).map { ($0.id, Experiment(living: $0)) }
  }

  /// Changes the fields that are present.
  public func updateExperiment(
    _ request: UpdateExperimentRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateExperimentResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    if let name = request.name {
      validator.name("name", name, bytes: ExperimentBounds.nameBytes)
    }
    if let description = request.description {
      validator.text("description", description, bytesMax: ExperimentBounds.descriptionBytesMax)
    }
    var config: String?
    if let text = request.configJSON {
      config = validator.jsonObject("config_json", text, bytesMax: ExperimentBounds.configBytesMax)
    }
    try validator.finish()

    let now = WallClock.microseconds()
    let newConfig = config
    return try await call.commit(
      locking: ExperimentsQueries.lockExperiment(
        userID: call.principal.id, organizationID: call.principal.organizationID, id: id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw experimentNotFound(id) }
      try call.require(row.role, unseen: experimentNotFound(id))
      try checkETag(request.etag, revision: row.revision)
      let archivedAt = request.archived.map { $0 ? row.archivedAt ?? now : nil } ?? row.archivedAt
      batch.add(
        ExperimentsQueries.updateExperiment(
          name: request.name, description: request.description, configJSON: newConfig,
          archivedAt: archivedAt, updatedAt: now, organizationID: call.principal.organizationID,
          id: id))
      var response = UpdateExperimentResponse()
      response.experiment = Experiment(
        id: id, projectID: row.projectID, name: request.name ?? row.name,
        description: request.description ?? row.description,
        config: newConfig ?? row.configJSON, createdBy: row.createdBy, createdAt: row.createdAt,
        updatedAt: now, revision: row.revision + 1, archivedAt: archivedAt)
      return (
        response,
        Change(
          action: "experiment.update", event: "experiment.updated", resourceType: "experiment",
          resourceID: id, projectID: row.projectID,
          detailsJSON: JSONText.change([
            ("name", row.name, response.experiment?.name),
            ("description", row.description, response.experiment?.description),
            ("config_json", row.configJSON, response.experiment?.configJSON),
            (
              "archived_at_us", row.archivedAt.map { String($0) }, archivedAt.map { String($0) }
            ),
          ]))
      )
    }
  }
}

/// What a caller hears of an experiment that is not there, or is not theirs.
func experimentNotFound(_ id: UUID) -> CallError {
  CallError(
    TrackingErrorReason.experimentNotFound, "There is no experiment \(id) in your organization.")
}

extension Experiment {
  fileprivate init(
    id: UUID, projectID: UUID, name: String, description: String, config: String,
    createdBy: UUID, createdAt: Int64, updatedAt: Int64, revision: Int64, archivedAt: Int64?
  ) {
    self.init()
    self.id = id.description
    self.projectID = projectID.description
    self.name = name
    self.description = description
    configJSON = config
    self.createdBy = createdBy.description
    self.createdAt = Timestamp(microseconds: createdAt)
    self.updatedAt = Timestamp(microseconds: updatedAt)
    etag = String(revision)
    self.archivedAt = archivedAt.map { Timestamp(microseconds: $0) }
  }

  /// An experiment as a statement returned it, as if it were not deleted.
  init(living row: some ExperimentRow) {
    self.init(
      id: row.id, projectID: row.projectID, name: row.name, description: row.description,
      config: row.configJSON, createdBy: row.createdBy, createdAt: row.createdAt,
      updatedAt: row.updatedAt, revision: row.revision, archivedAt: row.archivedAt)
  }

  /// An experiment, deleted or not, as a statement returned it.
  init(_ row: some DeletableExperimentRow) {
    self.init(living: row)
    deletedAt = row.deletedAt.map { Timestamp(microseconds: $0) }
    purgeAfter = row.purgeAfter.map { Timestamp(microseconds: $0) }
  }
}

/// What every statement returns of an experiment.
protocol ExperimentRow {
  var id: UUID { get }
  var projectID: UUID { get }
  var name: String { get }
  var description: String { get }
  var configJSON: String { get }
  var createdBy: UUID { get }
  var createdAt: Int64 { get }
  var updatedAt: Int64 { get }
  var revision: Int64 { get }
  var archivedAt: Int64? { get }
}

/// What statements return of experiments that may be deleted.
protocol DeletableExperimentRow: ExperimentRow {
  var deletedAt: Int64? { get }
  var purgeAfter: Int64? { get }
}

extension ExperimentsQueries.GetExperimentRow: DeletableExperimentRow {}
extension ExperimentsQueries.ListExperimentsRow: ExperimentRow {}
extension ExperimentsQueries.ListProjectExperimentsRow: ExperimentRow {}
extension ExperimentsQueries.ListDeletedExperimentsRow: DeletableExperimentRow {}
extension ExperimentsQueries.LockExperimentWithRunsRow: ExperimentRow {}
