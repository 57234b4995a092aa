public import Messages
internal import Postgres
public import RPC

extension TracingService {
  /// Links traces to a run.
  public func linkTracesToRun(
    _ request: LinkTracesToRunRequest, _ call: CallContext
  ) async throws(CallError) -> LinkTracesToRunResponse {
    let organizationID = call.principal.organizationID
    let wanted = try RunLink(request.projectID, request.runID, request.traceIDs)
    return try await change(wanted, "link", call) { batch in
      batch.add(
        TracesQueries.writeTraceRuns(
          organizationID: organizationID, runID: wanted.runID, projectID: wanted.projectID,
          publicIDs: request.traceIDs))
      return LinkTracesToRunResponse()
    }
  }

  /// Takes links of traces to a run away.
  public func unlinkTracesFromRun(
    _ request: UnlinkTracesFromRunRequest, _ call: CallContext
  ) async throws(CallError) -> UnlinkTracesFromRunResponse {
    let organizationID = call.principal.organizationID
    let wanted = try RunLink(request.projectID, request.runID, request.traceIDs)
    return try await change(wanted, "unlink", call) { batch in
      batch.add(
        TracesQueries.deleteTraceRuns(
          organizationID: organizationID, runID: wanted.runID, projectID: wanted.projectID,
          publicIDs: request.traceIDs))
      return UnlinkTracesFromRunResponse()
    }
  }

  private func change<Response: Message>(
    _ wanted: RunLink, _ verb: String, _ call: CallContext,
    _ write: (inout Batch) -> Response
  ) async throws(CallError) -> Response {
    try await call.commit(
      holding: requireChange(in: wanted.projectID, call),
      locking: TracesQueries.findRunOfTraces(
        organizationID: call.principal.organizationID, projectID: wanted.projectID,
        publicIDs: wanted.traceIDs, runID: wanted.runID)
    ) { (found, batch) throws(CallError) in
      guard let found else {
        throw CallError(
          TracingErrorReason.runNotFound, "There is no run \(wanted.runID) in the project.")
      }
      return (
        write(&batch),
        Change(
          action: "trace.\(verb)", event: "trace.\(verb)ed", resourceType: "run",
          resourceID: wanted.runID, projectID: wanted.projectID,
          detailsJSON: JSONText.object([
            ("trace_ids", found.joined(separator: " "))
          ]))
      )
    }
  }
}

/// Which traces a run is linked to, or no longer.
private struct RunLink {
  let projectID: UUID
  let runID: UUID
  let traceIDs: [String]

  init(_ projectID: String, _ runID: String, _ traceIDs: [String]) throws(CallError) {
    var validator = Validator()
    self.projectID = validator.id("project_id", projectID)
    self.runID = validator.id("run_id", runID)
    validator.traceIDs(traceIDs, count: 1...TraceBounds.linkedMax)
    self.traceIDs = traceIDs
    try validator.finish()
  }
}
