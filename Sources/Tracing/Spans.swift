public import Messages
internal import Postgres
public import RPC

extension TracingService {
  /// Writes spans, and the traces that they are of.
  public func logSpans(
    _ request: LogSpansRequest, _ call: CallContext
  ) async throws(CallError) -> LogSpansResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentID = validator.id("experiment_id", request.experimentID)
    let told = ToldTraces(request.traces, &validator)
    try validator.finish()

    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: requireChange(in: projectID, call),
      locking: TracesQueries.openTraces(
        organizationID: organizationID, projectID: projectID,
        ids: told.traces.map { _ in call.nextID() }, publicIDs: told.traces.map(\.traceID),
        states: told.traces.map(\.state), startsMs: told.traces.map(\.startMs),
        endsMs: told.traces.map(\.endMs),
        requestPreviews: told.traces.map { $0.requestPreview ?? "" },
        responsePreviews: told.traces.map { $0.responsePreview ?? "" },
        experimentID: experimentID)
    ) { (rows, batch) throws(CallError) in
      guard !rows.isEmpty else { throw experimentNotFound(experimentID) }
      let opened = Dictionary(rows.map { (ExactText($0.publicID), $0) }) { first, _ in first }
      for trace in told.traces {
        guard let row = opened[ExactText(trace.traceID)] else { continue }
        write(trace, of: row, &batch, call)
      }
      batch.add(
        TracesQueries.checkTraceSpans(
          traceIDs: rows.map(\.id), organizationID: organizationID, countMax: settings.spansMax))
      let named = told.traces.prefix(TraceBounds.auditedMax).map(\.traceID)
      return (
        LogSpansResponse(),
        Change(
          action: "trace.log_spans", event: "trace.spans_logged", resourceType: "experiment",
          resourceID: experimentID, projectID: projectID,
          detailsJSON: JSONText.object([
            ("trace_ids", named.joined(separator: " ")), ("spans", String(told.spanCount)),
          ]))
      )
    }
  }

  /// Adds the statements that write what is told of one trace.
  private func write(
    _ trace: ToldTrace, of row: TracesQueries.OpenTracesRow, _ batch: inout Batch,
    _ call: CallContext
  ) {
    let organizationID = call.principal.organizationID
    let spans = trace.spans
    batch.add(
      SpansQueries.writeSpans(
        organizationID: organizationID, traceIDs: spans.map { _ in row.id },
        spanIDs: spans.map(\.spanID), parentSpanIDs: spans.map { $0.parentSpanID ?? "" },
        names: spans.map(\.name), types: spans.map { $0.type ?? "" },
        statuses: spans.map(\.status), startsNs: spans.map(\.startNs),
        endsNs: spans.map { $0.endNs ?? -1 }, contents: spans.map(\.contentJSON)))
    write(trace.tags, of: row.id, &batch, call)
    // What the trace's own client told stays.
    write(trace.metadata, of: row.id, isKept: row.isTold, &batch, call)
  }

  /// Lists the spans of traces.
  public func listSpans(
    _ request: ListSpansRequest, _ call: CallContext
  ) async throws(CallError) -> ListSpansResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    validator.traceIDs(request.traceIDs, count: 1...TraceBounds.readMax)
    let size = validator.pageSize(
      request.pageSize, standard: SpanBounds.pageSize, max: SpanBounds.pageSizeMax)
    try validator.finish()
    try await requireLook(at: projectID, call)

    let purpose = "spans \(projectID) " + request.traceIDs.joined(separator: " ")
    let place = try SpanPlace(request.pageToken, for: purpose)
    let records = try await records(request.traceIDs, in: projectID, call)
    let names = Dictionary(records.map { ($0.id, $0.publicID) }) { first, _ in first }
    var rows = try await call.read(
      SpansQueries.listSpans(
        organizationID: call.principal.organizationID, traceIDs: records.map(\.id),
        afterTraceID: place.traceID, afterSpanID: place.spanID, pageSize: Int64(size) + 1,
        bytesMax: SpanBounds.pageBytesMax))
    let isCut = rows.count > size || (rows.last?.bytes ?? 0) > SpanBounds.pageBytesMax
    rows = Array(rows.prefix(size))
    var response = ListSpansResponse()
    response.spans = rows.map { row in
      var span = TraceSpan()
      span.traceID = names[row.traceID] ?? ""
      span.span = Span(row)
      return span
    }
    if isCut, let last = rows.last {
      response.nextPageToken = Token.make(
        last.traceID.bytes + Array(last.spanID.utf8), for: purpose)
    }
    return response
  }
}

/// Where a page of spans begins: behind this one.
private struct SpanPlace {
  var traceID = UUID.zero
  var spanID = ""

  init(_ token: String, for purpose: String) throws(CallError) {
    guard !token.isEmpty else { return }
    guard let content = Token.read(token, for: purpose), content.count >= 16,
      let id = UUID(bytes: Array(content.prefix(16))), !content.dropFirst(16).contains(0),
      let spanID = String(validating: content.dropFirst(16), as: UTF8.self)
    else { throw pageTokenInvalid() }
    traceID = id
    self.spanID = spanID
  }
}

extension Span {
  /// A span as a statement returned it.
  fileprivate init(_ row: SpansQueries.ListSpansRow) {
    self.init()
    spanID = row.spanID
    parentSpanID = row.parentSpanID
    name = row.name
    type = row.type
    status = row.status
    startNs = row.startNs
    endNs = row.endNs
    contentJSON = row.content
  }
}
