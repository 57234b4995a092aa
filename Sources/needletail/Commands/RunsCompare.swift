internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail runs compare`.
struct RunsCompare: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare", abstract: "Show where runs differ: parameters, metrics, tags.")
  static var document: Document? { Document(fields: ["runs", "fields"]) }

  private static let runsMax = 20

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The runs' ids, or latest; 2 to 20.")
  var runs: [String]

  @Flag(help: "Also what is the same in all of them.")
  var all = false

  func validate() throws {
    guard (2...Self.runsMax).contains(runs.count) else {
      throw ValidationError("Name 2 to \(Self.runsMax) runs.")
    }
  }

  func run(_ context: CommandContext) async throws {
    var described: [DescribedRun] = []
    for argument in runs {
      described.append(
        try await DescribedRun(try await runID(argument, context), context))
    }
    let rows = comparison(described).filter { all || $0.differs }
    if global.output == .json { return writeJSON(described, rows, context) }
    var table = Table(
      [("FIELD", .left)] + described.map { (visible(firstLine($0.run.name)), .right) })
    table.add(["id"] + described.map(\.run.id))
    for row in rows { table.add([row.field] + row.values.map { firstLine($0 ?? "–") }) }
    Console.write(table.text)
    if rows.isEmpty { Console.line("they do not differ; --all shows what they have") }
  }

  private func writeJSON(
    _ described: [DescribedRun], _ rows: [ComparedField], _ context: CommandContext
  ) {
    let fields = rows.map { row in
      JSONValue.object([
        .init("field", .string(row.field)), .init("differs", .bool(row.differs)),
        .init("values", .array(row.values.map { $0.map { .string($0) } ?? .null })),
      ])
    }
    context.write(
      .object([
        .init("runs", .array(described.map { .string($0.run.id) })),
        .init("fields", .array(fields)),
      ]))
  }
}

/// A run with all that describes it.
struct DescribedRun {
  let run: Run
  /// By the names of searches: `params.lr`, `metrics.loss`, `tags.team`.
  let fields: [String: String]

  /// The most that is read of each kind.
  private static let fieldsMax = 10_000

  init(_ id: String, _ context: CommandContext) async throws {
    run = try await getRun(id, context)
    var parameters = ListRunParametersRequest()
    parameters.runID = run.id
    var tags = ListRunTagsRequest()
    tags.runID = run.id
    var metrics = ListRunMetricsRequest()
    metrics.runID = run.id
    var found = FoundRun()
    found.run = run
    found.parameters = try await context.list(
      TrackingMethods.listRunParameters, parameters, \ListRunParametersResponse.parameters,
      limit: Self.fieldsMax
    ).parameters
    found.tags = try await context.list(
      TrackingMethods.listRunTags, tags, \ListRunTagsResponse.tags, limit: Self.fieldsMax
    ).tags
    found.metrics = try await context.list(
      TrackingMethods.listRunMetrics, metrics, \ListRunMetricsResponse.metrics,
      limit: Self.fieldsMax
    ).metrics
    fields = found.fields.merging([
      "attributes.duration": duration(milliseconds: run.durationMs)
    ]) { first, _ in first }
  }
}

extension FoundRun {
  /// What describes the run, by the names of searches; a metric's value is its last.
  var fields: [String: String] {
    var fields = ["attributes.status": run.map { word($0.status) } ?? ""]
    for one in parameters { fields["params.\(one.key)"] = one.value }
    for one in metrics { fields["metrics.\(one.key)"] = "\(one.lastValue)" }
    for one in tags { fields["tags.\(one.key)"] = one.value }
    return fields
  }
}

/// One thing that some of several runs have.
struct ComparedField {
  let field: String
  /// Of each run; nil for one that has no such thing.
  let values: [String?]

  var differs: Bool { Set(values).count > 1 }
}

private func comparison(_ runs: [DescribedRun]) -> [ComparedField] {
  let names = Set(runs.flatMap(\.fields.keys))
  return names.sorted().map { name in
    ComparedField(field: name, values: runs.map { $0.fields[name] })
  }
}
