public import Messages
internal import Postgres
public import RPC

/// What a request measures, and of what.
struct TraceMeasure {
  let subject: TraceSubject
  let name: String
  /// What is looked up in tokens or costs.
  let part: String
  let groups: [String]
  let request: MeasureTracesRequest

  /// Whether there is nothing but a number of them.
  var isCount: Bool { name == "count" || name == "sessions" }

  /// By subject.
  private static let names: [TraceSubject: Set<String>] = [
    .traces: ["count", "sessions", "duration", "tokens"], .spans: ["count", "duration", "cost"],
    .assessments: ["count", "value"],
  ]
  private static let groupNames: [TraceSubject: Set<String>] = [
    .traces: ["name", "status"], .spans: ["name", "type", "status", "model", "provider"],
    .assessments: ["name", "value"],
  ]

  /// Reads a request, and notes what is wrong with it.
  init(_ request: MeasureTracesRequest, _ validator: inout Validator) {
    self.request = request
    subject = request.subject
    let words = request.measure.split(separator: ".", maxSplits: 1).map(String.init)
    name = words.first ?? ""
    part = words.count > 1 ? words[1] : ""
    groups = request.groupBy
    guard let known = Self.names[subject], let knownGroups = Self.groupNames[subject] else {
      validator.refuse("subject", "must be TRACES, SPANS or ASSESSMENTS")
      return
    }
    let hasPart = ["tokens", "cost"].contains(name)
    if !known.contains(name) || hasPart == part.isEmpty {
      validator.refuse("measure", "must be one of \(known.sorted().joined(separator: ", "))")
    }
    validator.text("measure", request.measure, bytesMax: TraceBounds.measureBytesMax)
    if Set(groups).count < groups.count || !knownGroups.isSuperset(of: groups) {
      validator.refuse(
        "group_by", "must be of \(knownGroups.sorted().joined(separator: ", ")), each once")
    }
    if request.percentiles.count > MeasureBounds.percentilesMax
      || !request.percentiles.allSatisfy({ (0...100).contains($0) })
    {
      validator.refuse(
        "percentiles", "must be 0 to 100, and \(MeasureBounds.percentilesMax) at most")
    }
    if request.intervalMs > UInt64(TraceBounds.timeMsMax) {
      validator.refuse("interval_ms", "must be at most \(TraceBounds.timeMsMax)")
    }
    for (field, text) in [
      ("name", request.name), ("type", request.type), ("status", request.status),
    ] {
      validator.optionalText(field, text, bytesMax: SpanBounds.nameBytesMax)
    }
  }

  // MARK: The statement

  private static let columns: [StaticString] = ["g0", "g1", "g2", "g3"]

  /// What each group tells, then each thing that is measured, up to its tables.
  func addHead(to sql: inout ComposedStatement) {
    sql.add("select item.moment")
    for column in Self.columns.prefix(groups.count) {
      sql.add(", ")
      sql.add("item", column)
    }
    sql.add(name == "sessions" ? ", count(distinct item.value)" : ", count(item.value)")
    if !isCount {
      sql.add(", sum(item.value), avg(item.value), min(item.value), max(item.value)")
      for percentile in request.percentiles {
        sql.add(", percentile_cont(")
        sql.add(float8: percentile / 100)
        sql.add(") within group (order by item.value)")
      }
    }
    sql.add("\nfrom (\nselect ")
    addMoment(to: &sql)
    sql.add(" as moment, ")
    for (column, group) in zip(Self.columns, groups) {
      addGroup(group, to: &sql)
      sql.add(" as ")
      sql.add(column)
      sql.add(", ")
    }
    addValue(to: &sql)
    sql.add(" as value")
  }

  private func addTime(to sql: inout ComposedStatement) {
    switch (subject, name) {
    case (.spans, "cost"): sql.add("(span.start_ns / 1000000)")
    case (.assessments, _): sql.add("assessment.create_time_ms")
    default: sql.add("trace.request_time_ms")
    }
  }

  private func addMoment(to sql: inout ComposedStatement) {
    guard request.intervalMs > 0 else { return sql.add("0::bigint") }
    func addStart(_ rest: StaticString) {
      // A span is in the interval in which it began itself.
      if subject == .spans { sql.add("(span.start_ns / 1000000)") } else { addTime(to: &sql) }
      sql.add(rest)
    }
    addStart(" - ")
    addStart(" % ")
    sql.add(int8: Int64(clamping: request.intervalMs))
  }

  private func addGroup(_ group: String, to sql: inout ComposedStatement) {
    switch (subject, group) {
    case (.traces, "name"):
      sql.add(
        """
        (select tag.value from trace_tags as tag
        where tag.organization_id = trace.organization_id and tag.trace_id = trace.id
        and tag.key = 'mlflow.traceName')
        """)
    case (.traces, _): sql.add("upper(trace.state)")
    case (.spans, "name"): sql.add("span.name")
    case (.spans, "type"): sql.add("span.type")
    case (.spans, "status"): sql.add("span.status")
    case (.spans, "model"):
      sql.add("needletail_span_attribute(span.content, 'mlflow.llm.model')")
    case (.spans, _): sql.add("needletail_span_attribute(span.content, 'mlflow.llm.provider')")
    case (_, "name"): sql.add("assessment.name")
    default: sql.add("assessment.value_json")
    }
  }

  private func addValue(to sql: inout ComposedStatement) {
    switch (subject, name) {
    case (.traces, "sessions"): addMetadata("mlflow.trace.session", to: &sql)
    case (.traces, "tokens"):
      sql.add("needletail_json_number(")
      addMetadata("mlflow.trace.tokenUsage", to: &sql)
      sql.add(", ")
      sql.add(text: part)
      sql.add(")")
    case (.traces, "duration"): sql.add("trace.execution_ms::float8")
    case (.spans, "duration"): sql.add("((span.end_ns - span.start_ns) / 1000000)::float8")
    case (.spans, "cost"):
      sql.add("needletail_json_number(needletail_span_attribute(span.content, 'mlflow.llm.cost'), ")
      sql.add(text: part)
      sql.add(")")
    case (.assessments, "value"):
      sql.add(
        """
        coalesce(assessment.value_number, case
        when assessment.value_json = 'true' then 1 when assessment.value_json = 'false' then 0
        when lower(btrim(assessment.value)) = 'yes' then 1
        when lower(btrim(assessment.value)) = 'no' then 0 end::float8)
        """)
    default: sql.add("1")
    }
  }

  private func addMetadata(_ key: String, to sql: inout ComposedStatement) {
    sql.add(
      """
      (select entry.value from trace_metadata as entry
      where entry.organization_id = trace.organization_id and entry.trace_id = trace.id
      and entry.key =
      """)
    sql.add(" ")
    sql.add(text: key)
    sql.add(")")
  }

  func addJoins(to sql: inout ComposedStatement) {
    switch subject {
    case .spans:
      sql.add(
        """

        inner join trace_spans as span
        on trace.organization_id = span.organization_id and trace.id = span.trace_id
        """)
    case .assessments:
      sql.add(
        """

        inner join trace_assessments as assessment
        on trace.organization_id = assessment.organization_id
        and trace.id = assessment.trace_id and assessment.is_valid
        """)
    default: break
    }
  }

  func addTail(_ count: Int, to sql: inout ComposedStatement) {
    func bound(_ sign: StaticString, _ value: Int64?) {
      guard let value else { return }
      sql.add("\n    and ")
      addTime(to: &sql)
      sql.add(sign)
      sql.add(int8: value)
    }
    bound(" >= ", request.startMs)
    bound(" <= ", request.endMs)
    func equal(_ column: StaticString, _ value: String?) {
      guard let value else { return }
      sql.add("\n    and ")
      sql.add(subject == .spans ? "span" : "assessment", column)
      sql.add(" = ")
      sql.add(text: value)
    }
    if subject != .traces {
      equal("name", request.name)
      equal(subject == .spans ? "type" : "kind", request.type)
      if subject == .spans { equal("status", request.status) }
    }
    sql.add("\n) as item\nwhere item.value is not null")
    for column in Self.columns.prefix(groups.count) {
      sql.add(" and ")
      sql.add("item", column)
      sql.add(" is not null")
    }
    for clause: StaticString in ["\ngroup by item.moment", "\norder by item.moment"] {
      sql.add(clause)
      for column in Self.columns.prefix(groups.count) {
        sql.add(", ")
        sql.add("item", column)
      }
    }
    sql.add("\nlimit ")
    sql.add(int8: Int64(count))
  }

  /// A group as the statement returns it.
  func measurement(_ row: borrowing Row) throws(PostgresError) -> TraceMeasurement {
    var found = TraceMeasurement()
    found.intervalStartMs = try row.int8(0)
    var column = 1
    for _ in groups {
      found.groups.append(try row.text(column))
      column += 1
    }
    found.count = try row.int8(column)
    guard !isCount else { return found }
    found.sum = try row.float8OrNil(column + 1)
    found.mean = try row.float8OrNil(column + 2)
    found.least = try row.float8OrNil(column + 3)
    found.greatest = try row.float8OrNil(column + 4)
    for index in request.percentiles.indices {
      found.percentiles.append(try row.float8(column + 5 + index))
    }
    return found
  }
}

extension TracingService {
  /// Returns how many traces a filter finds.
  public func countTraces(
    _ request: CountTracesRequest, _ call: CallContext
  ) async throws(CallError) -> CountTracesResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentIDs = validator.evaluationIDs(
      "experiment_ids", request.experimentIDs, count: 0...TraceBounds.experimentIDsMax)
    try validator.finish()
    let search = try await traceSearch(
      request.filter, in: projectID, of: experimentIDs, call)
    var response = CountTracesResponse()
    response.count = try await call.count(search, "tracing.countTraces", TraceSearch.reasons)
    return response
  }

  /// Measures traces, their spans or their assessments, by groups.
  public func measureTraces(
    _ request: MeasureTracesRequest, _ call: CallContext
  ) async throws(CallError) -> MeasureTracesResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentIDs = validator.evaluationIDs(
      "experiment_ids", request.experimentIDs, count: 0...TraceBounds.experimentIDsMax)
    let measure = TraceMeasure(request, &validator)
    let count = validator.pageSize(
      request.groupCountMax, standard: MeasureBounds.groupsStandard,
      max: MeasureBounds.groupsMax)
    try validator.finish()
    let search = try await traceSearch(
      request.filter, in: projectID, of: experimentIDs, call)
    let query = search.gathered(
      "tracing.measureTraces", { measure.addHead(to: &$0) },
      joins: { measure.addJoins(to: &$0) }, tail: { measure.addTail(count, to: &$0) }
    ) { row throws(PostgresError) in try measure.measurement(row) }
    var response = MeasureTracesResponse()
    response.measurements = try await call.read(query, TraceSearch.reasons)
    return response
  }
}

/// The bounds of measurements.
enum MeasureBounds {
  static let percentilesMax = 10
  /// Groups of one answer.
  static let groupsMax = 10_000
  static let groupsStandard = 1_000
  /// Sessions of one answer.
  static let sessionsMax = 10_000
  static let sessionsStandard = 1_000
}
