internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail runs show`.
struct RunsShow: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a run, with a curve for each of its metrics.")
  static var document: Document? {
    Document(Run.self, in: "run", of: ["run", "metrics", "parameters", "tags"])
  }

  /// How many curves a call asks for.
  private static let curvesAtOnceMax = 50
  /// Parameters and tags of each that the table shows.
  private static let pairsMax = 50

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Flag(help: "Also when it was deleted and is not yet gone for good.")
  var deleted = false

  @Option(help: "How wide a curve is, in characters.")
  var width = 40

  func validate() throws {
    guard (2...1_000).contains(width) else { throw ValidationError("--width is 2 to 1000.") }
  }

  func run(_ context: CommandContext) async throws {
    var request = GetRunRequest()
    request.id = try await runID(run, context)
    request.includeDeleted = deleted
    let answer = try await context.call(TrackingMethods.getRun, request, for: GetRunResponse.self)
    guard let found = answer.run else {
      throw CommandFailure(.other, reason: "RUN_MISSING", "The server's answer holds no run.")
    }
    let metrics = try await metrics(of: found.id, context)
    let isWhole = global.output == .json
    let parameters = try await parameters(of: found.id, isWhole: isWhole, context)
    let tags = try await tags(of: found.id, isWhole: isWhole, context)
    if isWhole { return try writeJSON(found, metrics, parameters, tags, context) }
    let links = try await linkPairs(of: found.id, deleted: deleted, context)
    Console.write(fields(pairs(of: found) + links))
    tell("PARAMETER", parameters.parameters.map { ($0.key, $0.value) }, parameters.nextPageToken)
    tell("TAG", tags.tags.map { ($0.key, $0.value) }, tags.nextPageToken)
    guard !metrics.isEmpty else { return Console.line("\nno metrics yet") }
    let shown = metrics.filter { $0.definition?.isHidden != true }
    let curves = try await curves(of: shown, in: found.id, context)
    Console.write("\n" + table(shown, curves))
    if shown.count < metrics.count {
      Console.line("\(metrics.count - shown.count) hidden; runs definitions tells which")
    }
  }

  private func writeJSON(
    _ run: Run, _ metrics: [MetricSummary], _ parameters: ListRunParametersResponse,
    _ tags: ListRunTagsResponse, _ context: CommandContext
  ) throws {
    var list = ListRunMetricsResponse()
    list.metrics = metrics
    context.write(
      .object([
        .init("run", try context.json(run)),
        .init("metrics", try context.json(list)["metrics"] ?? .array([])),
        .init("parameters", try context.json(parameters)["parameters"] ?? .array([])),
        .init("tags", try context.json(tags)["tags"] ?? .array([])),
      ]))
  }

  private func parameters(
    of run: String, isWhole: Bool, _ context: CommandContext
  ) async throws -> ListRunParametersResponse {
    var request = ListRunParametersRequest()
    request.runID = run
    request.includeDeleted = deleted
    return try await context.list(
      TrackingMethods.listRunParameters, request, \ListRunParametersResponse.parameters,
      limit: isWhole ? .max : Self.pairsMax)
  }

  private func tags(
    of run: String, isWhole: Bool, _ context: CommandContext
  ) async throws -> ListRunTagsResponse {
    var request = ListRunTagsRequest()
    request.runID = run
    request.includeDeleted = deleted
    return try await context.list(
      TrackingMethods.listRunTags, request, \ListRunTagsResponse.tags,
      limit: isWhole ? .max : Self.pairsMax)
  }

  /// A table of its own where there are any.
  private func tell(_ title: String, _ pairs: [(String, String)], _ more: String) {
    guard !pairs.isEmpty else { return }
    Console.line("")
    writePairs(title, pairs)
    if !more.isEmpty { Console.line("and more: --json tells all") }
  }

  private func metrics(
    of run: String, _ context: CommandContext
  ) async throws -> [MetricSummary] {
    var request = ListRunMetricsRequest()
    request.runID = run
    request.includeDeleted = deleted
    request.pageSize = 1_000
    var metrics: [MetricSummary] = []
    repeat {
      let page = try await context.call(
        TrackingMethods.listRunMetrics, request, for: ListRunMetricsResponse.self)
      metrics += page.metrics
      request.pageToken = page.nextPageToken
    } while !request.pageToken.isEmpty
    return metrics
  }

  /// The curve of each metric, by its key, from buckets that are finer than its characters.
  private func curves(
    of metrics: [MetricSummary], in run: String, _ context: CommandContext
  ) async throws -> [String: String] {
    var request = DownsampleMetricHistoryRequest()
    request.runIDs = [run]
    request.bucketCount = UInt32(width * 4)
    // As the summary beside it.
    request.skipsInherited = true
    request.includeDeleted = deleted
    var curves: [String: String] = [:]
    for start in stride(from: 0, to: metrics.count, by: Self.curvesAtOnceMax) {
      request.keys = metrics[start..<min(start + Self.curvesAtOnceMax, metrics.count)].map(\.key)
      let found = try await context.call(
        TrackingMethods.downsampleMetricHistory, request, for: DownsampleMetricHistoryResponse.self)
      for buckets in found.series {
        var line = Sparkline(width: width)
        for mean in buckets.means { line.add(mean) }
        curves[buckets.key] = line.text
      }
    }
    return curves
  }

  private func table(_ metrics: [MetricSummary], _ curves: [String: String]) -> String {
    var table = Table([
      ("METRIC", .left), ("LAST", .right), ("MIN", .right), ("MAX", .right), ("MEAN", .right),
      ("BEST", .right),
      ("COUNT", .right), ("STEP", .right), ("CURVE", .left),
    ])
    for metric in metrics {
      table.add([
        metric.key, short(metric.lastValue), short(metric.minValue), short(metric.maxValue),
        short(metric.meanValue), best(of: metric), String(metric.count), String(metric.lastStep),
        curves[metric.key] ?? "",
      ])
    }
    return table.text
  }
}

/// The best value of a metric and its step; nothing where no goal is declared.
private func best(of metric: MetricSummary) -> String {
  guard let value = metric.bestValue else { return "" }
  return metric.bestStep.map { "\(short(value)) @\($0)" } ?? short(value)
}

/// What is worth a line of a run.
func pairs(of run: Run) -> [(String, String)] {
  var pairs = [
    ("run", run.id), ("name", run.name), ("status", word(run.status)),
    ("experiment", run.experimentID), ("project", run.projectID),
    ("started", short(run.startedAt)), ("ended", short(run.completedAt)),
    ("duration", duration(milliseconds: run.durationMs)), ("etag", run.etag),
  ]
  if !run.parentRunID.isEmpty { pairs.append(("nested under", run.parentRunID)) }
  if let fork = run.forkedFrom {
    pairs.append(("forked from", "\(fork.runID) at step \(fork.step)"))
  }
  if let source = run.source {
    for (name, value) in [
      ("source", source.entryPoint), ("commit", source.gitCommit + (source.gitDirty ? " *" : "")),
      ("branch", source.gitBranch), ("repository", source.gitRepository),
      ("code digest", source.codeDigest), ("host", source.host),
      ("process", source.processNumber == 0 ? "" : "\(source.processNumber)"),
    ] where !value.isEmpty {
      pairs.append((name, value))
    }
  }
  if run.pinned { pairs.append(("pinned", "yes")) }
  if run.archivedAt != nil { pairs.append(("archived", short(run.archivedAt))) }
  if run.deletedAt != nil {
    pairs.append(("deleted", short(run.deletedAt)))
    pairs.append(("gone", short(run.purgeAfter)))
  }
  if !run.description.isEmpty { pairs.append(("description", run.description)) }
  return pairs
}
