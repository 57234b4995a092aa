public import Messages
internal import Postgres
public import RPC

/// What traces are searched by.
enum TraceSearch {
  /// With which reasons searches are refused.
  static let reasons = SearchReasons(
    filterInvalid: TracingErrorReason.filterInvalid,
    orderInvalid: TracingErrorReason.orderInvalid,
    timedOut: TracingErrorReason.searchTimedOut)

  /// The newest first; of those of one moment, by their identifiers.
  static let standardOrder = ["timestamp DESC", "trace_id ASC"]

  static let schema = SearchSchema(
    table: "traces as trace", alias: "trace",
    columns: """
      trace.id, trace.experiment_id, trace.public_id, trace.state, trace.request_time_ms,
          trace.execution_ms, trace.request_preview, trace.response_preview,
          trace.client_request_id
      """,
    columnCount: 9,
    entities: ["attributes", "attribute", "attr", "trace"],
    attributes: [
      SearchAttribute(["trace_id", "request_id"], "public_id", .text),
      SearchAttribute(["timestamp", "timestamp_ms"], "request_time_ms", .integer),
      SearchAttribute(
        ["execution_time", "execution_time_ms"], "execution_ms", .integer, isNullable: true),
      SearchAttribute(["end_time", "end_time_ms"], "end_time_ms", .integer),
      SearchAttribute(
        ["status", "state"], "state",
        .word(
          aliases: ["STATE_UNSPECIFIED": "UNSPECIFIED"],
          all: ["OK", "ERROR", "IN_PROGRESS", "UNSPECIFIED"])),
      SearchAttribute(["client_request_id"], "client_request_id", .text, isNullable: true),
      SearchAttribute(["experiment_id"], "experiment_id", .uuid),
    ],
    pairs: [
      SearchPairs(texts: ["tags", "tag"], "trace_tags", owner: "trace_id"),
      SearchPairs(
        texts: ["metadata", "request_metadata"], "trace_metadata", owner: "trace_id"),
      SearchPairs(several: ["runs"], "trace_run_fields", owner: "trace_id", keys: ["run_id"]),
      SearchPairs(
        parts: ["span", "spans"], "trace_spans", owner: "trace_id",
        columns: ["name": "name", "type": "type", "status": "status", "content": "content"],
        open: SearchOpenField(
          prefix: "attributes.", function: "needletail_span_attribute", of: "content")),
      SearchPairs(
        either: ["feedback"], "trace_feedback", owner: "trace_id", number: "value_number",
        lent: "trace_session_feedback"),
      SearchPairs(
        either: ["expectation"], "trace_expectations", owner: "trace_id",
        number: "value_number", lent: "trace_session_expectations"),
      SearchPairs(several: ["issue"], "trace_issue_fields", owner: "trace_id", keys: ["id"]),
    ],
    shortcuts: [
      SearchShortcut("name", pairs: 0, key: "mlflow.traceName"),
      SearchShortcut("session_id", pairs: 1, key: "mlflow.trace.session"),
      SearchShortcut("run_id", pairs: 2, key: "run_id"),
      SearchShortcut("text", pairs: 3, key: "content"),
    ])

  /// Bounds a search to live experiments of a project: to these, or to all.
  static func restriction(
    _ call: CallContext, _ projectID: UUID, _ experimentIDs: [UUID]
  ) -> @Sendable (inout ComposedStatement) -> Void {
    let organizationID = call.principal.organizationID
    return { sql in
      sql.add("\n    and trace.project_id = ")
      sql.add(uuid: projectID)
      sql.addExperiments(experimentIDs, of: "trace")
      // The experiments are asked once, and not once a row.
      sql.add("\n    and trace.experiment_id = any(array(select experiment.resource_id")
      sql.add(" from resource_projects as experiment where experiment.organization_id = ")
      sql.add(uuid: organizationID)
      sql.add(" and experiment.resource_type = 'experiment' and experiment.project_id = ")
      sql.add(uuid: projectID)
      sql.add("))")
    }
  }
}

extension TracingService {
  /// A search of a project's traces, once it is sure that the caller may look at it.
  func traceSearch(
    _ filter: String, in projectID: UUID, of experimentIDs: [UUID], orderBy: [String] = [],
    _ call: CallContext
  ) async throws(CallError) -> Search {
    try await requireLook(at: projectID, call)
    let search = try call.search(
      TraceSearch.schema, filter: filter, orderBy: orderBy, isNarrow: true, TraceSearch.reasons,
      restriction: TraceSearch.restriction(call, projectID, experimentIDs))
    return try await call.lending(search, "tracing.lendAssessments", TraceSearch.reasons)
  }

  /// Finds traces by a filter, in any order.
  public func searchTraces(
    _ request: SearchTracesRequest, _ call: CallContext
  ) async throws(CallError) -> SearchTracesResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let most = TraceBounds.experimentIDsMax
    if request.experimentIDs.count > most {
      validator.refuse("experiment_ids", "must be at most \(most)")
    }
    var experimentIDs: [UUID] = []
    for (index, text) in request.experimentIDs.prefix(most).enumerated() {
      experimentIDs.append(validator.id("experiment_ids[\(index)]", text))
    }
    let size = validator.pageSize(
      request.pageSize, standard: TraceBounds.pageSize, max: TraceBounds.pageSizeMax)
    try validator.finish()

    let search = try await traceSearch(
      request.filter, in: projectID, of: experimentIDs,
      orderBy: request.orderBy.isEmpty ? TraceSearch.standardOrder : request.orderBy, call)
    let purpose =
      ([
        "trace search", projectID.description,
        experimentIDs.map(\.description).joined(separator: " "), request.filter,
      ] + request.orderBy).joined(separator: "\u{1f}")
    let page = try await call.page(
      search, "tracing.searchTraces", size: size, token: request.pageToken, purpose: purpose,
      TraceSearch.reasons, id: \.id
    ) { row throws(PostgresError) in try TraceRecord(row) }
    var response = SearchTracesResponse()
    response.traces = try await complete(page.values, call)
    response.nextPageToken = page.next(after: response.traces.count)
    return response
  }
}
