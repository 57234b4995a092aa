internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TracingService {
  /// Creates a review queue of an experiment.
  public func createReviewQueue(
    _ request: CreateReviewQueueRequest, _ call: CallContext
  ) async throws(CallError) -> CreateReviewQueueResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentID = validator.id("experiment_id", request.experimentID)
    let wanted = validator.reviewQueue(request)
    try validator.finish()

    let place = ReviewQueuePlace(projectID: projectID, id: call.nextID())
    let organizationID = call.principal.organizationID
    let time = now
    return try await call.commit(
      holding: requireChange(in: projectID, call),
      locking: ReviewQueuesQueries.createReviewQueue(
        organizationID: organizationID, id: place.id, name: wanted.name,
        nameFolded: folded(wanted.name), kind: wanted.kind, users: wanted.users,
        labelSchemaIDs: wanted.labelSchemaIDs, owner: request.owner, nowMs: time,
        experimentID: experimentID, projectID: projectID)
    ) { (id, batch) throws(CallError) in
      guard id != nil else { throw experimentNotFound(experimentID) }
      batch.add(
        ReviewQueuesQueries.checkReviewLabelSchemas(
          labelSchemaIDs: wanted.labelSchemaIDs, organizationID: organizationID,
          projectID: projectID, experimentID: experimentID))
      var queue = ReviewQueue()
      queue.id = place.id.description
      queue.projectID = projectID.description
      queue.experimentID = experimentID.description
      queue.name = wanted.name
      queue.kind = request.kind
      queue.users = wanted.users
      queue.labelSchemaIDs = wanted.labelSchemaIDs.map(\.description)
      queue.owner = request.owner
      queue.createTimeMs = time
      queue.updateTimeMs = time
      var response = CreateReviewQueueResponse()
      response.reviewQueue = queue
      return (
        response,
        place.change(
          "create", "created",
          JSONText.object([("experiment_id", experimentID.description)] + queue.audited))
      )
    }
  }

  /// Returns a review queue.
  public func getReviewQueue(
    _ request: GetReviewQueueRequest, _ call: CallContext
  ) async throws(CallError) -> GetReviewQueueResponse {
    var validator = Validator()
    let place = ReviewQueuePlace(request.projectID, request.reviewQueueID, &validator)
    try validator.finish()
    var response = GetReviewQueueResponse()
    response.reviewQueue = try await reviewQueue(place, call)
    return response
  }

  /// Lists the review queues of an experiment, newest first.
  public func listReviewQueues(
    _ request: ListReviewQueuesRequest, _ call: CallContext
  ) async throws(CallError) -> ListReviewQueuesResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentID = validator.id("experiment_id", request.experimentID)
    validator.text("name", request.name, bytesMax: ReviewBounds.wantedBytesMax)
    validator.text("user", request.user, bytesMax: ReviewBounds.wantedBytesMax)
    validator.text("trace_id", request.traceID, bytesMax: TraceBounds.idBytes.upperBound)
    let size = validator.pageSize(
      request.pageSize, standard: ReviewBounds.pageSize, max: ReviewBounds.pageSizeMax)
    try validator.finish()
    let wanted = [request.name, request.user, request.traceID]
    let page = Page(
      purpose: "review queues of \(experimentID) \(wanted.map(JSONText.quoted).joined())",
      size: size)
    let before = try page.start(request.pageToken)
    try await requireLook(at: projectID, call)
    let rows = try await call.read(
      ReviewQueuesQueries.listReviewQueues(
        organizationID: call.principal.organizationID, projectID: projectID,
        experimentID: experimentID, beforeID: before,
        nameFolded: request.name.isEmpty ? nil : folded(request.name),
        user: request.user.isEmpty ? nil : folded(request.user),
        traceID: request.traceID.isEmpty ? nil : request.traceID, pageSize: page.rowsToRead))
    if rows.isEmpty { try await requireExperiment(experimentID, in: projectID, call) }
    var response = ListReviewQueuesResponse()
    response.reviewQueues = rows.prefix(size).map { ReviewQueue($0) }
    response.nextPageToken = page.next(rows.map(\.id))
    return response
  }

  /// Changes the fields of a review queue that are present.
  public func updateReviewQueue(
    _ request: UpdateReviewQueueRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateReviewQueueResponse {
    var validator = Validator()
    let place = ReviewQueuePlace(request.projectID, request.reviewQueueID, &validator)
    validator.reviewQueue(request)
    let users = request.users.map { validator.reviewUsers("users.users", $0.users) }
    let schemas = request.labelSchemas.map {
      validator.reviewLabelSchemas("label_schemas.label_schema_ids", $0.labelSchemaIDs)
    }
    try validator.finish()

    let organizationID = call.principal.organizationID
    return try await change(place, call) { (row, batch) throws(CallError) in
      let before = ReviewQueue(row)
      if before.kind == .user {
        throw CallError(
          TracingErrorReason.reviewQueueFixed,
          "The review queue \(JSONText.quoted(before.name)) is a user's, which never changes.")
      }
      var queue = before
      queue.name = request.name ?? before.name
      queue.users = users ?? before.users
      queue.owner = request.owner ?? before.owner
      queue.updateTimeMs = now
      if let schemas {
        queue.labelSchemaIDs = schemas.map(\.description)
        batch.add(
          ReviewQueuesQueries.checkReviewLabelSchemas(
            labelSchemaIDs: schemas, organizationID: organizationID,
            projectID: place.projectID, experimentID: row.experimentID))
        batch.add(
          ReviewQueuesQueries.checkReviewQueueIsEmpty(
            organizationID: organizationID, id: place.id))
      }
      batch.add(
        ReviewQueuesQueries.updateReviewQueue(
          name: queue.name, nameFolded: folded(queue.name), users: queue.users,
          labelSchemaIDs: schemas ?? row.labelSchemaIDs, owner: queue.owner,
          nowMs: queue.updateTimeMs, organizationID: organizationID, id: place.id))
      let fields = zip(before.audited, queue.audited).map { old, new in
        (old.0, Optional(old.1), Optional(new.1))
      }
      var response = UpdateReviewQueueResponse()
      response.reviewQueue = queue
      return (response, place.change("update", "updated", JSONText.change(fields)))
    }
  }

  /// Deletes a review queue with its items, for good.
  public func deleteReviewQueue(
    _ request: DeleteReviewQueueRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteReviewQueueResponse {
    var validator = Validator()
    let place = ReviewQueuePlace(request.projectID, request.reviewQueueID, &validator)
    try validator.finish()

    return try await change(place, call) { (row, batch) throws(CallError) in
      batch.add(
        ReviewQueuesQueries.deleteReviewQueue(
          organizationID: call.principal.organizationID, id: place.id))
      let details = JSONText.change(ReviewQueue(row).audited.map { ($0.0, $0.1, nil) })
      return (DeleteReviewQueueResponse(), place.change("delete", "deleted", details))
    }
  }

  /// A review queue of a project that the caller may look at.
  func reviewQueue(
    _ place: ReviewQueuePlace, _ call: CallContext
  ) async throws(CallError) -> ReviewQueue {
    try await requireLook(at: place.projectID, call)
    let row = try await call.read(
      ReviewQueuesQueries.getReviewQueue(
        organizationID: call.principal.organizationID, projectID: place.projectID, id: place.id))
    guard let row else { throw place.notFound }
    return ReviewQueue(row)
  }

  /// Commits a change of a review queue, which nobody else changes meanwhile.
  private func change<Response: Message>(
    _ place: ReviewQueuePlace, _ call: CallContext,
    _ decide: (ReviewQueuesQueries.LockReviewQueueRow, inout Batch) throws(CallError)
      -> (Response, Change)
  ) async throws(CallError) -> Response {
    try await call.commit(
      holding: requireChange(in: place.projectID, call),
      locking: ReviewQueuesQueries.lockReviewQueue(
        organizationID: call.principal.organizationID, projectID: place.projectID, id: place.id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw place.notFound }
      return try decide(row, &batch)
    }
  }
}

/// What requests name as `review_queue_id`.
enum ReviewQueueResource: ProjectResource {
  static let name = "review_queue"
  static let notFound = TracingErrorReason.reviewQueueNotFound
}

/// Which review queue a request is about.
typealias ReviewQueuePlace = Place<ReviewQueueResource>

/// What every statement returns of a review queue.
protocol ReviewQueueRow {
  var id: UUID { get }
  var projectID: UUID { get }
  var experimentID: UUID { get }
  var name: String { get }
  var kind: String { get }
  var users: [String] { get }
  var labelSchemaIDs: [UUID] { get }
  var owner: String? { get }
  var createTimeMs: Int64 { get }
  var updateTimeMs: Int64 { get }
}

extension ReviewQueuesQueries.GetReviewQueueRow: ReviewQueueRow {}
extension ReviewQueuesQueries.LockReviewQueueRow: ReviewQueueRow {}
extension ReviewQueuesQueries.ListReviewQueuesRow: ReviewQueueRow {}

extension ReviewQueue {
  /// A review queue as a statement returned it.
  init(_ row: some ReviewQueueRow) {
    self.init()
    id = row.id.description
    projectID = row.projectID.description
    experimentID = row.experimentID.description
    name = row.name
    kind = ReviewQueueKind(word: row.kind)
    users = row.users
    labelSchemaIDs = row.labelSchemaIDs.map(\.description)
    owner = row.owner
    createTimeMs = row.createTimeMs
    updateTimeMs = row.updateTimeMs
  }

  /// What the audit log keeps.
  fileprivate var audited: [(String, String)] {
    [
      ("name", name), ("kind", kind.word ?? ""), ("users", users.joined(separator: " | ")),
      ("label_schema_ids", labelSchemaIDs.joined(separator: " ")), ("owner", owner ?? ""),
    ]
  }
}
