public import Messages
internal import Postgres
public import RPC

extension TracingService {
  /// Lists sessions of an experiment that have ended.
  public func listTraceSessions(
    _ request: ListTraceSessionsRequest, _ call: CallContext
  ) async throws(CallError) -> ListTraceSessionsResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentID = validator.id("experiment_id", request.experimentID)
    let count = validator.pageSize(
      request.countMax, standard: MeasureBounds.sessionsStandard, max: MeasureBounds.sessionsMax)
    try validator.finish()
    let search = try await traceSearch(
      request.filter, in: projectID, of: [experimentID], call)
    let organizationID = call.principal.organizationID
    let query = search.gathered(
      "tracing.listTraceSessions",
      { $0.add("select session.name, session.first_ms, session.last_ms") },
      joins: { sql in
        // The filter asks for the first trace of each.
        sql.add(
          """

          inner join (
              select
                  entry.value as name,
                  min(one.request_time_ms) as first_ms,
                  max(one.request_time_ms) as last_ms,
                  (array_agg(one.id order by one.request_time_ms, one.id))[1] as first_id
              from traces as one
              inner join trace_metadata as entry
                  on one.organization_id = entry.organization_id and one.id = entry.trace_id
              where
                  entry.key = 'mlflow.trace.session'
          """)
        sql.add(" and one.organization_id = ")
        sql.add(uuid: organizationID)
        sql.add(" and one.experiment_id = ")
        sql.add(uuid: experimentID)
        sql.add("\n    group by entry.value\n    having max(one.request_time_ms) between ")
        sql.add(int8: request.lastTimeMsMin)
        sql.add(" and ")
        sql.add(int8: request.lastTimeMsMax)
        sql.add("\n) as session on trace.id = session.first_id")
      },
      tail: { sql in
        sql.add("\norder by session.last_ms, session.name collate \"C\"\nlimit ")
        sql.add(int8: Int64(count))
      }
    ) { row throws(PostgresError) in
      var session = TraceSession()
      session.sessionID = try row.text(0)
      session.firstTimeMs = try row.int8(1)
      session.lastTimeMs = try row.int8(2)
      return session
    }
    var response = ListTraceSessionsResponse()
    response.sessions = try await call.read(query, TraceSearch.reasons)
    return response
  }
}
