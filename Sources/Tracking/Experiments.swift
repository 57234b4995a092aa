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
    try validator.finish()

    let id = call.nextID()
    let now = WallClock.microseconds()
    var response = CreateExperimentResponse()
    response.experiment = Experiment(
      id: id, projectID: projectID, name: request.name, description: request.description,
      config: config, createdBy: call.principal.id, createdAt: now, updatedAt: now, revision: 1)
    return try await call.commit(
      response,
      Change(
        action: "experiment.create", event: "experiment.created", resourceType: "experiment",
        resourceID: id, projectID: projectID,
        detailsJSON: JSONText.change([
          ("name", nil, request.name), ("description", nil, request.description),
          ("config_json", nil, config),
        ]))
    ) { batch in
      batch.add(
        ExperimentsQueries.createExperiment(
          organizationID: call.principal.organizationID, id: id, projectID: projectID,
          userID: call.principal.id, sufficientRoles: call.sufficientRoles, name: request.name,
          description: request.description, configJSON: config, createdAt: now))
    }
  }

  /// Returns one experiment.
  public func getExperiment(
    _ request: GetExperimentRequest, _ call: CallContext
  ) async throws(CallError) -> GetExperimentResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()
    guard let row = try await experiment(id, call) else { throw experimentNotFound(id) }
    var response = GetExperimentResponse()
    response.experiment = Experiment(row)
    return response
  }

  /// One experiment, if the caller sees it.
  func experiment(
    _ id: UUID, _ call: CallContext
  ) async throws(CallError) -> ExperimentsQueries.GetExperimentRow? {
    let row = try await call.read(
      ExperimentsQueries.getExperiment(organizationID: call.principal.organizationID, id: id))
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
    try validator.finish()
    if !request.filter.isEmpty || !request.orderBy.isEmpty {
      let page = try await ExperimentSearch.page(request, projectID: projectID, size: size, call)
      var response = ListExperimentsResponse()
      response.experiments = page.values.map { Experiment($0) }
      response.nextPageToken = page.next(after: page.values.count)
      return response
    }
    let page = Page(
      purpose: "experiments \(request.projectID.lowercased()) \(request.name)", size: size)
    let before = try page.start(request.pageToken)
    let name = request.name.isEmpty ? nil : request.name

    var response = ListExperimentsResponse()
    if let projectID {
      let rows = try await call.read(
        ExperimentsQueries.listProjectExperiments(
          organizationID: call.principal.organizationID, projectID: projectID, beforeID: before,
          name: name, seesAllProjects: call.seesAllProjects, userID: call.principal.id,
          pageSize: page.rowsToRead))
      response.experiments = rows.prefix(size).map { Experiment($0) }
      response.nextPageToken = page.next(rows.map(\.id))
    } else {
      let rows = try await call.read(
        ExperimentsQueries.listExperiments(
          organizationID: call.principal.organizationID, beforeID: before, name: name,
          seesAllProjects: call.seesAllProjects, userID: call.principal.id,
          pageSize: page.rowsToRead))
      response.experiments = rows.prefix(size).map { Experiment($0) }
      response.nextPageToken = page.next(rows.map(\.id))
    }
    return response
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
      batch.add(
        ExperimentsQueries.updateExperiment(
          name: request.name, description: request.description, configJSON: newConfig,
          updatedAt: now, organizationID: call.principal.organizationID, id: id))
      var response = UpdateExperimentResponse()
      response.experiment = Experiment(
        id: id, projectID: row.projectID, name: request.name ?? row.name,
        description: request.description ?? row.description,
        config: newConfig ?? row.configJSON, createdBy: row.createdBy, createdAt: row.createdAt,
        updatedAt: now, revision: row.revision + 1)
      return (
        response,
        Change(
          action: "experiment.update", event: "experiment.updated", resourceType: "experiment",
          resourceID: id, projectID: row.projectID,
          detailsJSON: JSONText.change([
            ("name", row.name, response.experiment?.name),
            ("description", row.description, response.experiment?.description),
            ("config_json", row.configJSON, response.experiment?.configJSON),
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
    createdBy: UUID, createdAt: Int64, updatedAt: Int64, revision: Int64
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
  }

  fileprivate init(_ row: some ExperimentRow) {
    self.init(
      id: row.id, projectID: row.projectID, name: row.name, description: row.description,
      config: row.configJSON, createdBy: row.createdBy, createdAt: row.createdAt,
      updatedAt: row.updatedAt, revision: row.revision)
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
}

extension ExperimentsQueries.GetExperimentRow: ExperimentRow {}
extension ExperimentsQueries.ListExperimentsRow: ExperimentRow {}
extension ExperimentsQueries.ListProjectExperimentsRow: ExperimentRow {}
