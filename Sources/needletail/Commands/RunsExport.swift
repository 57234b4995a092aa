internal import ArgumentParser
internal import Client
internal import Messages

/// How an export is written.
enum ExportForm: String, ExpressibleByArgument, CaseIterable, Sendable {
  case csv
  case jsonl
}

/// The command `needletail runs export`.
struct RunsExport: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write runs with all that describes them, or their points.",
    discussion: """
      Without --histories a row for each run, with its parameters, tags and the last values of its \
      metrics; with it, a row for each point.
      """)

  /// The most that a server gives in one page with everything.
  private static let pageSize: UInt32 = 100
  /// What one call reads of histories.
  private static let runsPerCall = 100

  @OptionGroup var global: GlobalOptions

  @Option(help: "Only those of this experiment, by its id or its name.")
  var experiment: String?

  @Option(help: "Only those of this project, by its id or its slug.")
  var project: String?

  @Option(
    help: "Only those that it finds: \"metrics.loss < 0.5 AND tags.team = 'a'\" (Docs/search.md).")
  var filter: String?

  @Option(help: "csv, or jsonl for a JSON document in each line.")
  var format = ExportForm.csv

  @Flag(help: "Every point of the metrics.")
  var histories = false

  @Option(name: .customLong("metric"), help: "With --histories: a key; several times for several.")
  var metrics: [String] = []

  @Option(help: "How many runs to write at most.")
  var limit = 10_000

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit must be above 0.") }
    guard metrics.isEmpty || histories else {
      throw ValidationError("--metric is of use only with --histories.")
    }
    guard metrics.count <= 100, Set(metrics).count == metrics.count else {
      throw ValidationError("--metric can be given 100 times, each key once.")
    }
  }

  func run(_ context: CommandContext) async throws {
    if histories { return try await writeHistories(context) }
    if format == .jsonl {
      return try await eachPage(context) { page in
        for found in page { try context.writeLine(found) }
      }
    }
    // Which columns there are, all runs together say.
    var all: [FoundRun] = []
    try await eachPage(context) { all += $0 }
    writeTable(all)
  }

  /// Reads the runs, page by page.
  private func eachPage(
    _ context: CommandContext, _ take: ([FoundRun]) async throws -> Void
  ) async throws {
    var request = SearchRunsRequest()
    (request.projectID, request.experimentIDs) = try await place(project, experiment, context)
    request.filter = filter ?? ""
    var everything = SearchInclude()
    everything.all = true
    if !histories {
      request.parameters = everything
      request.tags = everything
    }
    if metrics.isEmpty { request.metrics = everything }
    var left = limit
    repeat {
      request.pageSize = min(UInt32(clamping: left), Self.pageSize)
      let page = try await context.call(
        TrackingMethods.searchRuns, request, for: SearchRunsResponse.self)
      try await take(page.runs)
      left -= page.runs.count
      request.pageToken = page.nextPageToken
    } while !request.pageToken.isEmpty && left > 0
  }

  private func writeTable(_ all: [FoundRun]) {
    let names = Set(all.flatMap(\.fields.keys)).sorted()
    Console.line(
      CSV.row(["id", "name", "experiment_id", "started_at", "completed_at"] + names))
    for found in all {
      guard let run = found.run else { continue }
      let fields = found.fields
      Console.line(
        CSV.row(
          [run.id, run.name, run.experimentID, text(run.startedAt), text(run.completedAt)]
            + names.map { fields[$0] ?? "" }))
    }
  }

  private func writeHistories(_ context: CommandContext) async throws {
    if format == .csv { Console.line(CSV.row(["run_id", "key", "step", "time", "value"])) }
    try await eachPage(context) { page in
      let runs = page.compactMap(\.run?.id)
      guard !runs.isEmpty else { return }
      if !metrics.isEmpty { return try await writePoints(of: runs, metrics, context) }
      // Each run has its own.
      for found in page {
        guard let run = found.run?.id else { continue }
        let keys = found.metrics.map(\.key)
        for first in stride(from: 0, to: keys.count, by: Self.runsPerCall) {
          let some = Array(keys[first..<min(first + Self.runsPerCall, keys.count)])
          try await writePoints(of: [run], some, context)
        }
      }
    }
  }

  private func writePoints(
    of runs: [String], _ keys: [String], _ context: CommandContext
  ) async throws {
    var request = StreamMetricHistoriesRequest()
    request.runIDs = runs
    request.keys = keys
    // Each point once, with the run that logged it.
    request.skipsInherited = true
    let parts: ResponseReader<StreamMetricHistoriesResponse> =
      try await context.connection.serverStreaming(
        TrackingMethods.streamMetricHistories, request, context.global.callOptions)
    while let part = try await parts.next() {
      guard let series = part.series else { continue }
      var lines = ""
      for index in series.values.indices {
        let (step, value) = (series.steps[index], series.values[index])
        let time = text(Timestamp(microseconds: series.timesUs[index]))
        if format == .csv {
          lines += CSV.row([part.runID, series.key, String(step), time, "\(value)"]) + "\n"
        } else {
          lines += line(part.runID, series.key, step, time, value).compact + "\n"
        }
      }
      Console.write(lines)
    }
  }

  private func line(
    _ run: String, _ key: String, _ step: Int64, _ time: String, _ value: Double
  ) -> JSONValue {
    .object([
      .init("runId", .string(run)), .init("key", .string(key)),
      .init("step", .number(String(step))), .init("time", .string(time)),
      // JSON has no infinities and no NaN: they are texts, as in the JSON of messages.
      .init("value", value.isFinite ? .number("\(value)") : .string(short(value))),
    ])
  }

  private func text(_ time: Timestamp?) -> String {
    guard let time else { return "" }
    // Runs and points are of 1970 or later.
    return CalendarTime.format(
      seconds: time.microseconds / 1_000_000,
      nanoseconds: Int32(time.microseconds % 1_000_000) * 1_000)
  }
}
