public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Says what metrics of a run are to whoever looks at them.
  public func defineMetrics(
    _ request: DefineMetricsRequest, _ call: CallContext
  ) async throws(CallError) -> DefineMetricsResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let wanted = DefinitionColumns(request.definitions, &validator)
    validator.deletePatterns(request.deletePatterns, besides: wanted)
    try validator.finish()

    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: TagsQueries.holdRun(organizationID: organizationID, id: id),
      locking: DefinitionsQueries.getRunToDefineMetrics(
        userID: call.principal.id, askedPatterns: wanted.patterns + request.deletePatterns,
        organizationID: organizationID, id: id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw runNotFound(id) }
      try call.require(row.role, unseen: runNotFound(id))
      let before = DefinitionColumns(
        patterns: row.patterns, goals: row.goals, summaries: row.summaries,
        stepMetrics: row.stepMetrics, hidings: row.hidings)
      let change = DescriptionChange(
        set: wanted.described, delete: request.deletePatterns, before: before.described)
      let count = Int(row.definitionCount) + change.growth
      guard count <= DefinitionBounds.max || change.growth <= 0 else {
        throw CallError(
          TrackingErrorReason.metricDefinitionLimitReached,
          "The run would have \(count) definitions, and \(DefinitionBounds.max) is the most; "
            + "define many metrics at once by the beginning of their keys, as val/*.")
      }
      write(wanted, change, of: id, &batch, call)
      let audited = change.audited("definitions")
      return (
        DefineMetricsResponse(),
        Change(
          action: "run.define_metrics", event: "run.metrics_defined", resourceType: "run",
          resourceID: id, projectID: row.projectID,
          detailsJSON: JSONText.beforeAndAfter(audited.before, audited.after))
      )
    }
  }

  /// Adds the statements that write what changes of definitions.
  private func write(
    _ wanted: DefinitionColumns, _ change: DescriptionChange, of id: UUID, _ batch: inout Batch,
    _ call: CallContext
  ) {
    let new = wanted.only(change.added.keys + change.replaced.keys)
    if !new.patterns.isEmpty {
      batch.add(
        DefinitionsQueries.writeMetricDefinitions(
          organizationID: call.principal.organizationID, runID: id, patterns: new.patterns,
          goals: new.goals, summaries: new.summaries, stepMetrics: new.stepMetrics,
          hidings: new.hidings))
    }
    if !change.removed.isEmpty {
      batch.add(
        DefinitionsQueries.deleteMetricDefinitions(
          organizationID: call.principal.organizationID, runID: id, patterns: change.removed))
    }
  }

  /// Lists what metrics of a run were defined to be, by pattern.
  public func listMetricDefinitions(
    _ request: ListMetricDefinitionsRequest, _ call: CallContext
  ) async throws(CallError) -> ListMetricDefinitionsResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let size = validator.pageSize(
      request.pageSize, standard: DefinitionBounds.page, max: DefinitionBounds.pageMax)
    try validator.finish()
    let page = KeyPage(purpose: "metric definitions \(id)", size: size)
    let after = try page.start(request.pageToken)
    _ = try await run(id, call)
    let rows = try await call.read(
      DefinitionsQueries.listMetricDefinitions(
        organizationID: call.principal.organizationID, runID: id, afterPattern: after,
        pageSize: page.rowsToRead))
    var response = ListMetricDefinitionsResponse()
    response.definitions = rows.prefix(size).map { MetricDefinition($0) }
    response.nextPageToken = page.next(rows.map { ($0.pattern, $0.stepMetric) })
    return response
  }

  /// All that metrics of a run, which the caller sees, were defined to be.
  func metricDefinitions(of id: UUID, _ call: CallContext) async throws(CallError)
    -> MetricDefinitions
  {
    let rows = try await call.read(
      DefinitionsQueries.listMetricDefinitions(
        organizationID: call.principal.organizationID, runID: id, afterPattern: "",
        pageSize: Int64(DefinitionBounds.max)))
    return MetricDefinitions(rows.map { MetricDefinition($0) })
  }
}

extension MetricDefinition {
  /// A definition as a statement returned it.
  fileprivate init(_ row: DefinitionsQueries.ListMetricDefinitionsRow) {
    self.init()
    pattern = row.pattern
    goal = MetricGoal(word: row.goal)
    summary = MetricSummaryKind(word: row.summary)
    stepMetric = row.stepMetric
    isHidden = row.isHidden
  }
}
