internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail traces`.
struct Traces: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look at traces of applications and their spans, and delete them.",
    subcommands: [TracesList.self, TracesShow.self, TracesDelete.self])
}

extension SearchTracesRequest: PageRequest {}
extension SearchTracesResponse: PageResponse {}

/// The command `needletail traces list`.
struct TracesList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List traces, newest first unless sorted.")
  static var document: Document? { Document(listOf: Trace.self, in: "traces") }

  /// The most that the server gives in one page of traces.
  private static let pageSizeMax = 500
  /// How much of what was asked is shown.
  private static let previewMax = 60

  @OptionGroup var global: GlobalOptions

  @Option(help: "The project, by its id or its slug.")
  var project: String

  @Option(help: "Only those of this experiment, by its id or its name; again for another.")
  var experiment: [String] = []

  @Option(help: "Only those that it finds: \"status = 'ERROR'\" (Docs/traces.md).")
  var filter: String?

  @Option(help: "Sort by this field, such as \"execution_time DESC\"; again for among equals.")
  var orderBy: [String] = []

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = SearchTracesRequest()
    request.projectID = try await projectID(project, context)
    request.experimentIDs = try await experimentIDs(
      experiment, in: request.projectID, context)
    request.filter = filter ?? ""
    request.orderBy = orderBy
    let all = try await context.list(
      TracingMethods.searchTraces, request, \SearchTracesResponse.traces, limit: most.limit,
      pageSizeMax: Self.pageSizeMax)
    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("TRACE", .left), ("STATE", .left), ("BEGAN", .left), ("TOOK", .right), ("NAME", .left),
      ("REQUEST", .left),
    ])
    for trace in all.traces {
      table.add([
        trace.traceID, word(trace.state), began(trace), took(trace), trace.name,
        String((trace.requestPreview ?? "").prefix(Self.previewMax)),
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail traces show`.
struct TracesShow: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a trace with the tree of its spans.")
  static var document: Document? { Document(Trace.self, in: "trace", of: ["trace", "spans"]) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The trace's id.")
  var trace: String

  @Option(help: "The project, by its id or its slug.")
  var project: String

  func run(_ context: CommandContext) async throws {
    let projectID = try await projectID(project, context)
    let found = try await trace(trace, in: projectID, context)
    var spans = ListSpansResponse()
    var request = ListSpansRequest()
    request.projectID = projectID
    request.traceIDs = [trace]
    repeat {
      let page = try await context.call(
        TracingMethods.listSpans, request, for: ListSpansResponse.self)
      spans.spans += page.spans
      request.pageToken = page.nextPageToken
    } while !request.pageToken.isEmpty
    if global.output == .json {
      let list = try context.json(spans)["spans"] ?? .array([])
      return context.write(
        .object([.init("trace", try context.json(found)), .init("spans", list)]))
    }
    Console.write(fields(pairs(of: found)))
    let tree = SpanTree(spans.spans.compactMap(\.span))
    if !tree.lines.isEmpty { Console.write("\n" + table(tree)) }
  }

  private func table(_ tree: SpanTree) -> String {
    var table = Table([
      ("SPAN", .left), ("TYPE", .left), ("STATUS", .left), ("AFTER", .right), ("TOOK", .right),
    ])
    for line in tree.lines {
      table.add([
        String(repeating: "  ", count: line.depth) + line.span.name, line.span.type ?? "",
        line.span.status, nanoseconds(line.span.startNs &- tree.startNs),
        line.span.endNs.map { nanoseconds($0 &- line.span.startNs) } ?? "–",
      ])
    }
    return table.text
  }
}

/// The command `needletail traces delete`.
struct TracesDelete: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Delete traces for good: those that are named, or the old ones of an experiment.")
  static var document: Document? { Document(DeleteTracesResponse.self) }

  /// The most that the server deletes in one call.
  private static let countMax = 1_000

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The traces' ids.")
  var traces: [String] = []

  @Option(help: "The project, by its id or its slug.")
  var project: String

  @Option(help: "The experiment whose old traces go, by its id or its name; with --before.")
  var experiment: String?

  @Option(help: "Those that began before: a time, a day, or how long ago, such as 30d.")
  var before: MomentArgument?

  @OptionGroup var confirmation: Confirmation

  func validate() throws {
    guard (experiment == nil) == (before == nil), traces.isEmpty != (experiment == nil) else {
      throw ValidationError("Name traces, or say --experiment and --before.")
    }
    guard traces.count <= Self.countMax else {
      throw ValidationError("At most \(Self.countMax) traces can be named.")
    }
  }

  var intention: String {
    guard let experiment else { return "Delete \(traces.count) traces for good" }
    return "Delete the old traces of the experiment \(experiment) for good"
  }

  func run(_ context: CommandContext) async throws {
    let projectID = try await projectID(project, context)
    var answer = DeleteTracesResponse()
    if let experiment, let before {
      var request = DeleteTracesRequest()
      request.projectID = projectID
      request.experimentID = try await experimentID(experiment, in: projectID, context)
      request.requestTimeMsMax = before.time.microseconds / 1_000 - 1
      var count: Int64
      repeat {
        count = try await deleted(request, context)
        answer.count += count
      } while count == Self.countMax
    } else {
      for trace in traces {
        var request = DeleteTracesRequest()
        request.projectID = projectID
        request.experimentID = try await self.trace(trace, in: projectID, context).experimentID
        request.traceIDs = [trace]
        answer.count += try await deleted(request, context)
      }
    }
    if global.output == .json { return try context.write(answer) }
    Console.line("deleted \(answer.count)")
  }

  private func deleted(
    _ request: DeleteTracesRequest, _ context: CommandContext
  ) async throws -> Int64 {
    try await context.call(TracingMethods.deleteTraces, request, for: DeleteTracesResponse.self)
      .count
  }
}

extension ClientCommand {
  /// One trace, which there is.
  fileprivate func trace(
    _ id: String, in projectID: String, _ context: CommandContext
  ) async throws -> Trace {
    var request = GetTracesRequest()
    request.projectID = projectID
    request.traceIDs = [id]
    let answer = try await context.call(
      TracingMethods.getTraces, request, for: GetTracesResponse.self)
    guard let trace = answer.traces.first else {
      throw CommandFailure(
        .notFound, reason: "TRACE_NOT_FOUND", "There is no trace \(id) in the project.")
    }
    return trace
  }
}

extension Trace {
  /// What its client called it.
  fileprivate var name: String { tags.first { $0.key == "mlflow.traceName" }?.value ?? "" }
}

/// "in progress" for TRACE_STATE_IN_PROGRESS.
private func word(_ state: TraceState) -> String {
  state.name.replacing("TRACE_STATE_", with: "").lowercased().replacing("_", with: " ")
}

private func began(_ trace: Trace) -> String {
  short(Timestamp(microseconds: trace.requestTimeMs * 1_000))
}

private func took(_ trace: Trace) -> String {
  trace.executionMs.map { duration(milliseconds: $0) } ?? "–"
}

/// "850 µs", "3.2 s".
private func nanoseconds(_ count: Int64) -> String {
  count.magnitude < 1_000_000 ? "\(count / 1_000) µs" : duration(milliseconds: count / 1_000_000)
}

/// What is worth a line of a trace.
private func pairs(of trace: Trace) -> [(String, String)] {
  var pairs = [
    ("trace", trace.traceID), ("experiment", trace.experimentID), ("state", word(trace.state)),
    ("began", began(trace)), ("took", took(trace)),
  ]
  for (name, text) in [
    ("request", trace.requestPreview), ("response", trace.responsePreview),
    ("client request", trace.clientRequestID),
  ] {
    if let text { pairs.append((name, text)) }
  }
  pairs += trace.tags.map { ("tag \($0.key)", $0.value) }
  pairs += trace.metadata.map { ("metadata \($0.key)", $0.value) }
  pairs += trace.assessments.map { assessment in
    let kind = assessment.kind.name.replacing("ASSESSMENT_KIND_", with: "").lowercased()
    return (
      "\(kind) \(assessment.name)",
      assessment.valueJSON + (assessment.valid ? "" : " (overridden)")
    )
  }
  return pairs
}
