internal import ArgumentParser
internal import Client
internal import Glibc
internal import Messages

/// The command `needletail runs plot`.
struct RunsPlot: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "plot", abstract: "Draw a metric of one run or several in the terminal.",
    discussion: "Each column shows the least and the greatest value of its steps, or times.")

  /// How many curves can still be told apart.
  private static let runsMax = 20
  /// What the axis and its labels take of the terminal's width.
  private static let margin = 16
  /// How many buckets a curve is asked for; the widest plot has 1,000 columns.
  private static let buckets: UInt32 = 8_000

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The runs' ids, or latest.")
  var runs: [String]

  @Option(help: "The metric's key.")
  var metric: String

  @Option(
    help: """
      What the x axis is: time, for when points were logged; or the key of a metric, by equal \
      steps, where metric:time is the metric of that name; else the step is.
      """)
  var x: String?

  /// What `--x` says.
  private enum Axis {
    case step
    case time
    case metric(String)
  }

  private static let metricPrefix = "metric:"

  private var axis: Axis {
    guard let x else { return .step }
    if x == "time" { return .time }
    return .metric(
      x.hasPrefix(Self.metricPrefix) ? String(x.dropFirst(Self.metricPrefix.count)) : x)
  }

  @Option(help: "How wide the plot is, in characters; else as wide as the terminal.")
  var width: Int?

  @Option(help: "How high the plot is, in characters.")
  var height = 15

  @Flag(help: "Show the values' logarithms; values that are not above 0 are left out.")
  var log = false

  func validate() throws {
    guard (1...Self.runsMax).contains(runs.count) else {
      throw ValidationError("Name 1 to \(Self.runsMax) runs.")
    }
    guard (10...1_000).contains(width ?? 10) else {
      throw ValidationError("--width is 10 to 1000.")
    }
    guard (2...200).contains(height) else { throw ValidationError("--height is 2 to 200.") }
    guard global.output != .json else {
      throw ValidationError("A plot is no JSON; runs export --histories writes the points.")
    }
  }

  func run(_ context: CommandContext) async throws {
    var found: [Run] = []
    var places: [MetricSummary] = []
    for argument in runs {
      let run = try await getRun(try await runID(argument, context), context)
      // A run that is named twice is one curve.
      if found.contains(where: { $0.id == run.id }) { continue }
      found.append(run)
      if case .metric(let x) = axis {
        places += try await summaries(of: run.id, context).filter { $0.key == x }
      }
    }
    let extents = try await extents(of: found.map(\.id), context)
    guard let first = extents.flatMap(\.firstSteps).min(),
      let last = extents.flatMap(\.lastSteps).max()
    else {
      throw CommandFailure(
        .notFound, reason: "METRIC_NOT_FOUND", "None of these runs has a metric \(metric).")
    }
    let width = width ?? max(10, Terminal.width - Self.margin)
    var plot = Plot(
      width: width, height: height, steps: first...last, curves: found.count, isLogarithmic: log)
    // Which values an axis of logarithms leaves out is told of each.
    var readsPoints = log
    switch axis {
    case .step: break
    case .time:
      let times = try await self.extents(of: found.map(\.id), by: .time, context)
      let first = times.flatMap(\.firstTimesUs).min() ?? 0
      let last = times.flatMap(\.lastTimesUs).max() ?? 0
      plot = Plot(
        width: width, height: height, axis: Double(first)...Double(last),
        ends: (short(Timestamp(microseconds: first)), short(Timestamp(microseconds: last))),
        curves: found.count, isLogarithmic: log)
    case .metric(let x):
      let range = try range(of: x, places)
      plot = Plot(
        width: width, height: height, axis: range,
        ends: (short(range.lowerBound), short(range.upperBound)), curves: found.count,
        isLogarithmic: log)
      // Buckets know no other metric.
      readsPoints = true
    }
    if readsPoints {
      try await readPoints(found.map(\.id), into: &plot, context)
    } else {
      try await readBuckets(found.map(\.id), into: &plot, context)
    }
    Console.line(Console.styled(visible(metric), .bold))
    Console.write(plot.text(isColored: Console.isColored))
    tellLegend(found, extents)
    if plot.leftOut > 0 {
      Console.complain("needletail: \(plot.leftOut) values that are not above 0 are left out")
    }
  }

  private func summaries(
    of run: String, _ context: CommandContext
  ) async throws -> [MetricSummary] {
    var request = ListRunMetricsRequest()
    request.runID = run
    return try await context.list(
      TrackingMethods.listRunMetrics, request, \ListRunMetricsResponse.metrics, limit: .max
    ).metrics
  }

  /// From the least to the greatest value of the metric that is the x axis.
  private func range(
    of x: String, _ summaries: [MetricSummary]
  ) throws -> ClosedRange<Double> {
    // What is not a number or infinite has no place.
    let values = summaries.flatMap { [$0.minValue, $0.maxValue] }.filter(\.isFinite)
    guard let least = values.min(), let greatest = values.max() else {
      throw CommandFailure(
        .notFound, reason: "METRIC_NOT_FOUND",
        "None of these runs has a metric \(x) with two ends: its least and its greatest value.")
    }
    return least...greatest
  }

  /// From where to where the curves go, with what forks have inherited, which no summary tells.
  private func extents(
    of ids: [String], by axis: BucketAxis = .step, _ context: CommandContext
  ) async throws -> [MetricBuckets] {
    var request = DownsampleMetricHistoryRequest()
    request.runIDs = ids
    request.keys = [metric]
    request.axis = axis
    request.bucketCount = 1
    let found: DownsampleMetricHistoryResponse = try await context.connection.unary(
      TrackingMethods.downsampleMetricHistory, request, context.global.callOptions)
    if !found.lackingRunIDs.isEmpty {
      Console.complain(
        "needletail: a run is missing that was forked, and with it the beginning of "
          + found.lackingRunIDs.joined(separator: ", "))
    }
    return found.series
  }

  /// Draws the extremes of buckets that are finer than a column: of ever so many points a few
  /// thousand buckets come.
  private func readBuckets(
    _ ids: [String], into plot: inout Plot, _ context: CommandContext
  ) async throws {
    var request = DownsampleMetricHistoryRequest()
    request.runIDs = ids
    request.keys = [metric]
    request.bucketCount = Self.buckets
    if case .time = axis { request.axis = .time }
    let answer = try await context.call(
      TrackingMethods.downsampleMetricHistory, request, for: DownsampleMetricHistoryResponse.self)
    for series in answer.series {
      guard let curve = ids.firstIndex(of: series.runID) else { continue }
      // First and last too: an extreme that is infinite is not drawn.
      let isByTime = request.axis == .time
      for (places, values) in [
        (isByTime ? series.minTimesUs : series.minSteps, series.minValues),
        (isByTime ? series.maxTimesUs : series.maxSteps, series.maxValues),
        (isByTime ? series.firstTimesUs : series.firstSteps, series.firstValues),
        (isByTime ? series.lastTimesUs : series.lastSteps, series.lastValues),
      ] {
        for (place, value) in zip(places, values) { plot.add(value, at: place, to: curve) }
      }
    }
  }

  private func readPoints(
    _ ids: [String], into plot: inout Plot, _ context: CommandContext
  ) async throws {
    var request = StreamMetricHistoriesRequest()
    request.runIDs = ids
    request.keys = [metric]
    if case .metric(let x) = axis { request.xKey = x }
    let parts: ResponseReader<StreamMetricHistoriesResponse> =
      try await context.connection.serverStreaming(
        TrackingMethods.streamMetricHistories, request, context.global.callOptions)
    while let part = try await parts.next() {
      guard let curve = ids.firstIndex(of: part.runID), let series = part.series else { continue }
      switch axis {
      case .step:
        for (step, value) in zip(series.steps, series.values) {
          plot.add(value, at: step, to: curve)
        }
      case .time:
        for (time, value) in zip(series.timesUs, series.values) {
          plot.add(value, at: time, to: curve)
        }
      case .metric:
        for (place, value) in zip(series.xs, series.values) {
          plot.add(value, x: place, to: curve)
        }
      }
    }
  }

  private func tellLegend(_ found: [Run], _ extents: [MetricBuckets]) {
    for (index, run) in found.enumerated() {
      let mark = Plot.mark(index)
      let letter = found.count > 1 ? Console.styled(String(mark.letter), mark.style) + "  " : ""
      let value = extents.first { $0.runID == run.id }?.lastValues.last
      let last = value.map { "last \(short($0))" } ?? "no points"
      Console.line("\(letter)\(visible(run.name))  \(last)  \(run.id)")
    }
  }
}

/// One run, by its id.
func getRun(_ id: String, _ context: CommandContext) async throws -> Run {
  var request = GetRunRequest()
  request.id = id
  let answer = try await context.call(TrackingMethods.getRun, request, for: GetRunResponse.self)
  guard let run = answer.run else {
    throw CommandFailure(.other, reason: "RUN_MISSING", "The server's answer holds no run.")
  }
  return run
}

extension ListRunMetricsRequest: PageRequest {}
extension ListRunMetricsResponse: PageResponse {}

extension Terminal {
  /// What is assumed where nobody says.
  private static let usualWidth = 80

  /// How many characters fit into a line of standard output.
  static var width: Int {
    if let said = unsafe getenv("COLUMNS"), let width = Int(unsafe String(cString: said)),
      (1...10_000).contains(width)
    {
      return width
    }
    var size = winsize()
    let hasSize = unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0
    return hasSize && size.ws_col > 0 ? Int(size.ws_col) : usualWidth
  }
}
