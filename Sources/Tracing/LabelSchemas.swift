internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TracingService {
  /// Creates a label schema of an experiment.
  public func createLabelSchema(
    _ request: CreateLabelSchemaRequest, _ call: CallContext
  ) async throws(CallError) -> CreateLabelSchemaResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentID = validator.id("experiment_id", request.experimentID)
    let input = validator.labelSchema(request)
    try validator.finish()

    let place = LabelSchemaPlace(projectID: projectID, id: call.nextID())
    let time = now
    return try await call.commit(
      holding: requireChange(in: projectID, call),
      locking: LabelSchemasQueries.createLabelSchema(
        organizationID: call.principal.organizationID, id: place.id, name: request.name,
        kind: request.kind.word ?? "feedback", instruction: request.instruction,
        allowsComment: request.allowsComment, inputKind: input.kind, labels: input.labels,
        isMultiSelect: input.isMultiSelect, minValue: input.minValue, maxValue: input.maxValue,
        maxLength: input.maxLength, isFixed: request.isFixed, nowMs: time,
        experimentID: experimentID, projectID: projectID)
    ) { (id, _) throws(CallError) in
      guard id != nil else { throw experimentNotFound(experimentID) }
      var schema = LabelSchema()
      schema.id = place.id.description
      schema.projectID = projectID.description
      schema.experimentID = experimentID.description
      schema.name = request.name
      schema.kind = request.kind
      schema.instruction = request.instruction
      schema.allowsComment = request.allowsComment
      schema.input = LabelInput(input)
      schema.isFixed = request.isFixed
      schema.createTimeMs = time
      schema.updateTimeMs = time
      var response = CreateLabelSchemaResponse()
      response.labelSchema = schema
      return (
        response,
        place.change(
          "create", "created",
          JSONText.object([("experiment_id", experimentID.description)] + audited(schema, input)))
      )
    }
  }

  /// Returns a label schema.
  public func getLabelSchema(
    _ request: GetLabelSchemaRequest, _ call: CallContext
  ) async throws(CallError) -> GetLabelSchemaResponse {
    var validator = Validator()
    let place = LabelSchemaPlace(request.projectID, request.labelSchemaID, &validator)
    try validator.finish()
    try await requireLook(at: place.projectID, call)
    let row = try await call.read(
      LabelSchemasQueries.getLabelSchema(
        organizationID: call.principal.organizationID, projectID: place.projectID, id: place.id))
    guard let row else { throw place.notFound }
    var response = GetLabelSchemaResponse()
    response.labelSchema = LabelSchema(row)
    return response
  }

  /// Lists the label schemas of an experiment, newest first.
  public func listLabelSchemas(
    _ request: ListLabelSchemasRequest, _ call: CallContext
  ) async throws(CallError) -> ListLabelSchemasResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentID = validator.id("experiment_id", request.experimentID)
    validator.text("name", request.name, bytesMax: ReviewBounds.wantedBytesMax)
    let size = validator.pageSize(
      request.pageSize, standard: LabelSchemaBounds.pageSize, max: LabelSchemaBounds.pageSizeMax)
    try validator.finish()
    let page = Page(purpose: "label schemas of \(experimentID) \(request.name)", size: size)
    let before = try page.start(request.pageToken)
    try await requireLook(at: projectID, call)
    let rows = try await call.read(
      LabelSchemasQueries.listLabelSchemas(
        organizationID: call.principal.organizationID, projectID: projectID,
        experimentID: experimentID, beforeID: before,
        name: request.name.isEmpty ? nil : request.name, pageSize: page.rowsToRead))
    if rows.isEmpty { try await requireExperiment(experimentID, in: projectID, call) }
    var response = ListLabelSchemasResponse()
    response.labelSchemas = rows.prefix(size).map { LabelSchema($0) }
    response.nextPageToken = page.next(rows.map(\.id))
    return response
  }

  /// Changes the fields of a label schema that are present.
  public func updateLabelSchema(
    _ request: UpdateLabelSchemaRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateLabelSchemaResponse {
    var validator = Validator()
    let place = LabelSchemaPlace(request.projectID, request.labelSchemaID, &validator)
    let wanted = validator.labelSchema(request)
    try validator.finish()

    return try await change(place, call) { (row, batch) throws(CallError) in
      let before = LabelSchema(row)
      let input = wanted ?? row.input
      guard input.isAlike(row.input) else { throw inputFixed(row.input) }
      var schema = before
      schema.name = request.name ?? before.name
      schema.instruction = request.instruction ?? before.instruction
      schema.allowsComment = request.allowsComment ?? before.allowsComment
      schema.input = LabelInput(input)
      schema.updateTimeMs = now
      batch.add(
        LabelSchemasQueries.updateLabelSchema(
          name: schema.name, instruction: schema.instruction,
          allowsComment: schema.allowsComment, labels: input.labels, minValue: input.minValue,
          maxValue: input.maxValue, maxLength: input.maxLength, nowMs: schema.updateTimeMs,
          organizationID: call.principal.organizationID, id: place.id))
      let fields = zip(audited(before, row.input), audited(schema, input)).map { old, new in
        (old.0, Optional(old.1), Optional(new.1))
      }
      var response = UpdateLabelSchemaResponse()
      response.labelSchema = schema
      return (response, place.change("update", "updated", JSONText.change(fields)))
    }
  }

  /// Deletes a label schema, for good.
  public func deleteLabelSchema(
    _ request: DeleteLabelSchemaRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteLabelSchemaResponse {
    var validator = Validator()
    let place = LabelSchemaPlace(request.projectID, request.labelSchemaID, &validator)
    try validator.finish()

    return try await change(place, call) { (row, batch) throws(CallError) in
      batch.add(
        LabelSchemasQueries.deleteLabelSchema(
          organizationID: call.principal.organizationID, id: place.id))
      let details = JSONText.change(audited(LabelSchema(row), row.input).map { ($0.0, $0.1, nil) })
      return (DeleteLabelSchemaResponse(), place.change("delete", "deleted", details))
    }
  }

  /// Commits a change of a label schema that may change, which nobody else changes meanwhile.
  private func change<Response: Message>(
    _ place: LabelSchemaPlace, _ call: CallContext,
    _ decide: (LabelSchemasQueries.LockLabelSchemaRow, inout Batch) throws(CallError)
      -> (Response, Change)
  ) async throws(CallError) -> Response {
    try await call.commit(
      holding: requireChange(in: place.projectID, call),
      locking: LabelSchemasQueries.lockLabelSchema(
        organizationID: call.principal.organizationID, projectID: place.projectID, id: place.id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw place.notFound }
      if row.isFixed {
        throw CallError(
          TracingErrorReason.labelSchemaFixed,
          "The label schema \(JSONText.quoted(row.name)) can be neither changed nor deleted.")
      }
      return try decide(row, &batch)
    }
  }

  /// Refuses an experiment that is not live in a project.
  func requireExperiment(
    _ id: UUID, in projectID: UUID, _ call: CallContext
  ) async throws(CallError) {
    let found = try await call.read(
      LabelSchemasQueries.findLiveExperiment(
        organizationID: call.principal.organizationID, experimentID: id, projectID: projectID))
    if found == nil { throw experimentNotFound(id) }
  }

  private func inputFixed(_ input: StoredLabelInput) -> CallError {
    let select = input.kind == "categorical" ? " with multi_select \(input.isMultiSelect)" : ""
    return CallError(
      TracingErrorReason.labelInputFixed,
      "The label schema is answered with \(input.kind)\(select), which never changes: create "
        + "another one.")
  }

  /// What the audit log keeps.
  private func audited(_ schema: LabelSchema, _ input: StoredLabelInput) -> [(String, String)] {
    [
      ("name", schema.name), ("kind", schema.kind.word ?? ""),
      ("instruction", schema.instruction ?? ""),
      ("allows_comment", String(schema.allowsComment)), ("input", input.audited),
    ]
  }
}

/// What requests name as `label_schema_id`.
private enum LabelSchemaResource: ProjectResource {
  static let name = "label_schema"
  static let notFound = TracingErrorReason.labelSchemaNotFound
}

/// Which label schema a request is about.
private typealias LabelSchemaPlace = Place<LabelSchemaResource>

/// What every statement returns of a label schema.
protocol LabelSchemaRow {
  var id: UUID { get }
  var projectID: UUID { get }
  var experimentID: UUID { get }
  var name: String { get }
  var kind: String { get }
  var instruction: String? { get }
  var allowsComment: Bool { get }
  var inputKind: String { get }
  var labels: [String] { get }
  var isMultiSelect: Bool { get }
  var minValue: Double? { get }
  var maxValue: Double? { get }
  var maxLength: Int64? { get }
  var isFixed: Bool { get }
  var createTimeMs: Int64 { get }
  var updateTimeMs: Int64 { get }
}

extension LabelSchemasQueries.GetLabelSchemaRow: LabelSchemaRow {}
extension LabelSchemasQueries.LockLabelSchemaRow: LabelSchemaRow {}
extension LabelSchemasQueries.ListLabelSchemasRow: LabelSchemaRow {}

extension LabelSchemaRow {
  /// What people answer with.
  var input: StoredLabelInput {
    StoredLabelInput(
      kind: inputKind, labels: labels, isMultiSelect: isMultiSelect, minValue: minValue,
      maxValue: maxValue, maxLength: maxLength)
  }
}

extension LabelSchema {
  /// A label schema as a statement returned it.
  init(_ row: some LabelSchemaRow) {
    self.init()
    id = row.id.description
    projectID = row.projectID.description
    experimentID = row.experimentID.description
    name = row.name
    kind = AssessmentKind(word: row.kind)
    instruction = row.instruction
    allowsComment = row.allowsComment
    input = LabelInput(row.input)
    isFixed = row.isFixed
    createTimeMs = row.createTimeMs
    updateTimeMs = row.updateTimeMs
  }
}
