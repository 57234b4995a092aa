internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TracingService {
  /// Adds traces to a review queue.
  public func addReviewItems(
    _ request: AddReviewItemsRequest, _ call: CallContext
  ) async throws(CallError) -> AddReviewItemsResponse {
    var validator = Validator()
    let place = ReviewQueuePlace(request.projectID, request.reviewQueueID, &validator)
    validator.traceIDs(request.traceIDs, count: 1...ReviewBounds.itemsMax)
    try validator.finish()

    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: requireChange(in: place.projectID, call), hold(place, call),
      ReviewQueuesQueries.checkReviewTraces(
        organizationID: organizationID, traceIDs: request.traceIDs, id: place.id),
      locking: ReviewQueuesQueries.addReviewItems(
        organizationID: organizationID, reviewQueueID: place.id, projectID: place.projectID,
        nowMs: now, traceIDs: request.traceIDs)
    ) { (rows, _) throws(CallError) in
      var response = AddReviewItemsResponse()
      response.items = rows.map { ReviewItem($0, of: place) }
      return (response, change(place, "update", "items_added", request.traceIDs))
    }
  }

  /// Takes traces out of a review queue.
  public func removeReviewItems(
    _ request: RemoveReviewItemsRequest, _ call: CallContext
  ) async throws(CallError) -> RemoveReviewItemsResponse {
    var validator = Validator()
    let place = ReviewQueuePlace(request.projectID, request.reviewQueueID, &validator)
    validator.traceIDs(request.traceIDs, count: 1...ReviewBounds.itemsMax)
    try validator.finish()

    return try await call.commit(
      holding: requireChange(in: place.projectID, call), hold(place, call),
      locking: ReviewQueuesQueries.removeReviewItems(
        organizationID: call.principal.organizationID, reviewQueueID: place.id,
        traceIDs: request.traceIDs)
    ) { (removed, _) throws(CallError) in
      var response = RemoveReviewItemsResponse()
      response.count = Int64(removed.count)
      return (response, change(place, "update", "items_removed", removed))
    }
  }

  /// Lists the items of a review queue, the latest first.
  public func listReviewItems(
    _ request: ListReviewItemsRequest, _ call: CallContext
  ) async throws(CallError) -> ListReviewItemsResponse {
    var validator = Validator()
    let place = ReviewQueuePlace(request.projectID, request.reviewQueueID, &validator)
    let status = request.status.word
    if status == nil && request.status != .unspecified {
      validator.refuse("status", "must be PENDING, COMPLETE, DECLINED or none")
    }
    let size = validator.pageSize(
      request.pageSize, standard: ReviewBounds.pageSize, max: ReviewBounds.itemsPageSizeMax)
    try validator.finish()
    let purpose = "review items of \(place.projectID) \(place.id) \(status ?? "")"
    let after = try ReviewPosition(request.pageToken, for: purpose)
    _ = try await reviewQueue(place, call)

    let rows = try await call.read(
      ReviewQueuesQueries.listReviewItems(
        organizationID: call.principal.organizationID, reviewQueueID: place.id, status: status,
        afterTimeMs: after.timeMs, afterTraceID: after.traceID, pageSize: Int64(size) + 1))
    let page = rows.prefix(size)
    var response = ListReviewItemsResponse()
    response.items = page.map { ReviewItem($0, of: place) }
    if rows.count > size, let last = page.last {
      response.nextPageToken =
        ReviewPosition(timeMs: last.createTimeMs, traceID: last.traceID).token(for: purpose)
    }
    return response
  }

  /// Says what has become of an item.
  public func updateReviewItem(
    _ request: UpdateReviewItemRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateReviewItemResponse {
    var validator = Validator()
    let place = ReviewQueuePlace(request.projectID, request.reviewQueueID, &validator)
    validator.traceID("trace_id", request.traceID)
    let (status, reviewer) = validator.reviewStatus(request)
    try validator.finish()

    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: requireChange(in: place.projectID, call), hold(place, call),
      locking: ReviewQueuesQueries.getReviewItem(
        organizationID: organizationID, reviewQueueID: place.id, traceID: request.traceID)
    ) { (row, batch) throws(CallError) in
      guard let row else {
        throw CallError(
          TracingErrorReason.reviewItemNotFound,
          "The trace \(request.traceID) is not in review queue \(place.id).")
      }
      var item = ReviewItem(row, of: place)
      // Whoever says it again is not who completed it.
      if item.status != request.status {
        let time = now
        item.status = request.status
        item.completedBy = reviewer
        item.completeTimeMs = reviewer == nil ? nil : time
        item.updateTimeMs = time
        batch.add(
          ReviewQueuesQueries.updateReviewItem(
            status: status, completedBy: item.completedBy, completeTimeMs: item.completeTimeMs,
            nowMs: time, organizationID: organizationID, reviewQueueID: place.id,
            traceID: item.traceID))
      }
      var response = UpdateReviewItemResponse()
      response.item = item
      let details = JSONText.object([
        ("trace_id", item.traceID), ("status", status), ("completed_by", item.completedBy ?? ""),
      ])
      return (response, place.change("review", "reviewed", details))
    }
  }

  private func hold(_ place: ReviewQueuePlace, _ call: CallContext) -> Query<Int> {
    ReviewQueuesQueries.holdReviewQueue(
      organizationID: call.principal.organizationID, projectID: place.projectID, id: place.id)
  }

  private func change(
    _ place: ReviewQueuePlace, _ verb: String, _ done: String, _ traceIDs: [String]
  ) -> Change {
    place.change(
      verb, done,
      JSONText.object([
        ("what", done), ("count", String(traceIDs.count)),
        ("trace_ids", traceIDs.prefix(TraceBounds.auditedMax).joined(separator: " ")),
      ]))
  }
}

/// Behind which item a page of them begins.
private struct ReviewPosition {
  let timeMs: Int64
  let traceID: String

  init(timeMs: Int64, traceID: String) {
    self.timeMs = timeMs
    self.traceID = traceID
  }

  /// Where a token says; without one, before all of them.
  init(_ token: String, for purpose: String) throws(CallError) {
    if token.isEmpty {
      self.init(timeMs: .max, traceID: "")
      return
    }
    // By bytes: what follows the space may combine with it.
    guard let text = Token.readText(token, for: purpose)?.utf8,
      let space = text.firstIndex(of: UInt8(ascii: " ")),
      let time = Int64(String(text[..<space]) ?? ""),
      let id = String(text[text.index(after: space)...])
    else { throw pageTokenInvalid() }
    self.init(timeMs: time, traceID: id)
  }

  func token(for purpose: String) -> String {
    Token.make(Array("\(timeMs) \(traceID)".utf8), for: purpose)
  }
}

/// What every statement returns of an item.
protocol ReviewItemRow {
  var traceID: String { get }
  var status: String { get }
  var completedBy: String? { get }
  var completeTimeMs: Int64? { get }
  var createTimeMs: Int64 { get }
  var updateTimeMs: Int64 { get }
}

extension ReviewQueuesQueries.AddReviewItemsRow: ReviewItemRow {}
extension ReviewQueuesQueries.ListReviewItemsRow: ReviewItemRow {}
extension ReviewQueuesQueries.GetReviewItemRow: ReviewItemRow {}

extension ReviewItem {
  /// An item as a statement returned it.
  fileprivate init(_ row: some ReviewItemRow, of place: ReviewQueuePlace) {
    self.init()
    reviewQueueID = place.id.description
    traceID = row.traceID
    status = ReviewStatus(word: row.status)
    completedBy = row.completedBy
    completeTimeMs = row.completeTimeMs
    createTimeMs = row.createTimeMs
    updateTimeMs = row.updateTimeMs
  }
}
