public import Messages
internal import Postgres
public import RPC

extension TracingService {
  /// Tells of a trace as a whole: creates it, or replaces what is known of it.
  public func startTrace(
    _ request: StartTraceRequest, _ call: CallContext
  ) async throws(CallError) -> StartTraceResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentID = validator.id("experiment_id", request.experimentID)
    let state = check(request, &validator)
    let tags = TracePairs("tags", request.tags, &validator)
    let metadata = TracePairs("metadata", request.metadata, &validator)
    try validator.finish()

    let newID = call.nextID()
    return try await call.commit(
      holding: requireChange(in: projectID, call),
      locking: TracesQueries.startTrace(
        organizationID: call.principal.organizationID, id: newID, projectID: projectID,
        publicID: request.traceID, state: state, requestTimeMs: request.requestTimeMs,
        executionMs: request.executionMs, requestPreview: request.requestPreview,
        responsePreview: request.responsePreview, clientRequestID: request.clientRequestID,
        experimentID: experimentID)
    ) { (id, batch) throws(CallError) in
      guard let id else { throw experimentNotFound(experimentID) }
      write(tags, of: id, &batch, call)
      write(metadata, of: id, isKept: false, &batch, call)
      var response = StartTraceResponse()
      response.created = id == newID
      return (
        response,
        Change(
          action: "trace.start", event: "trace.started", resourceType: "trace", resourceID: id,
          projectID: projectID,
          detailsJSON: JSONText.object(
            [
              ("trace_id", request.traceID), ("experiment_id", experimentID.description),
              ("state", state), ("request_time_ms", String(request.requestTimeMs)),
            ] + tags.audited("tags") + metadata.audited("metadata")))
      )
    }
  }

  private func check(_ request: StartTraceRequest, _ validator: inout Validator) -> String {
    validator.traceID("trace_id", request.traceID)
    if request.state.word == nil { validator.refuse("state", "must be one of the known states") }
    validator.milliseconds("request_time_ms", request.requestTimeMs)
    if let duration = request.executionMs { validator.milliseconds("execution_ms", duration) }
    validator.optionalText(
      "request_preview", request.requestPreview, bytesMax: TraceBounds.previewBytesMax)
    validator.optionalText(
      "response_preview", request.responsePreview, bytesMax: TraceBounds.previewBytesMax)
    validator.optionalText(
      "client_request_id", request.clientRequestID,
      bytesMax: TraceBounds.clientRequestIDBytesMax)
    return request.state.word ?? ""
  }

  /// Returns traces by their identifiers.
  public func getTraces(
    _ request: GetTracesRequest, _ call: CallContext
  ) async throws(CallError) -> GetTracesResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    validator.traceIDs(request.traceIDs, count: 1...TraceBounds.readMax)
    try validator.finish()
    try await requireLook(at: projectID, call)

    let records = try await records(request.traceIDs, in: projectID, call)
    let traces = try await complete(records, call)
    var response = GetTracesResponse()
    response.traces = traces
    response.leftTraceIDs = records.dropFirst(traces.count).map(\.publicID)
    return response
  }

  /// The traces that there are of some identifiers, in their order.
  func records(
    _ ids: [String], in projectID: UUID, _ call: CallContext
  ) async throws(CallError) -> [TraceRecord] {
    let rows = try await call.read(
      TracesQueries.getTraces(
        organizationID: call.principal.organizationID, projectID: projectID, publicIDs: ids))
    let found = Dictionary(rows.map { (ExactText($0.publicID), $0) }) { first, _ in first }
    return ids.compactMap { id in found[ExactText(id)].map { TraceRecord($0) } }
  }

  /// Sets and removes tags of a trace.
  public func setTraceTags(
    _ request: SetTraceTagsRequest, _ call: CallContext
  ) async throws(CallError) -> SetTraceTagsResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    validator.traceID("trace_id", request.traceID)
    let tags = TracePairs("tags", request.tags, &validator)
    validator.deleteKeys("delete_keys", request.deleteKeys, besides: tags)
    if request.deleteKeys.isEmpty, tags.isEmpty {
      validator.refuse("tags", "must set or delete at least one")
    }
    try validator.finish()

    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: requireChange(in: projectID, call),
      locking: TracesQueries.holdTrace(
        keys: request.deleteKeys, organizationID: organizationID, projectID: projectID,
        publicID: request.traceID)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw traceNotFound(request.traceID) }
      // What goes makes room for what comes.
      if !row.keys.isEmpty {
        batch.add(
          TracesQueries.deleteTraceTags(
            organizationID: organizationID, traceID: row.id, keys: row.keys))
      }
      write(tags, of: row.id, &batch, call)
      var response = SetTraceTagsResponse()
      response.deletedKeys = row.keys
      let deleted = row.keys.prefix(TraceBounds.auditedMax).map { ("deleted.\($0)", "") }
      return (
        response,
        Change(
          action: "trace.set_tags", event: "trace.tagged", resourceType: "trace",
          resourceID: row.id, projectID: projectID,
          detailsJSON: JSONText.object(
            [("trace_id", request.traceID)] + tags.audited("tags") + deleted))
      )
    }
  }

  /// Deletes traces for good.
  public func deleteTraces(
    _ request: DeleteTracesRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteTracesResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentID = validator.id("experiment_id", request.experimentID)
    validator.traceIDs(request.traceIDs, count: 0...TraceBounds.deletedMax)
    if request.countMax > TraceBounds.deletedMax {
      validator.refuse("count_max", "must be at most \(TraceBounds.deletedMax)")
    }
    try validator.finish()

    let most = request.countMax == 0 ? TraceBounds.deletedMax : Int(request.countMax)
    return try await call.commit(
      holding: requireChange(in: projectID, call),
      locking: TracesQueries.deleteTraces(
        organizationID: call.principal.organizationID, experimentID: experimentID,
        isNamed: !request.traceIDs.isEmpty, publicIDs: request.traceIDs,
        requestTimeMsMax: request.requestTimeMsMax ?? .max, countMax: Int64(most),
        projectID: projectID)
    ) { (deleted, _) throws(CallError) in
      guard let deleted else { throw experimentNotFound(experimentID) }
      var response = DeleteTracesResponse()
      response.count = Int64(deleted.count)
      let named = deleted.prefix(TraceBounds.auditedMax).joined(separator: " ")
      return (
        response,
        Change(
          action: "trace.delete", event: "trace.deleted", resourceType: "experiment",
          resourceID: experimentID, projectID: projectID,
          detailsJSON: JSONText.object([("count", String(deleted.count)), ("trace_ids", named)]))
      )
    }
  }
}
