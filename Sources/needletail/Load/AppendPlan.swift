internal import Messages
internal import Wire

/// What the writers of `load append-metrics` append.
struct AppendPlan: Sendable {
  /// The points of one batch are cut from so many values, from another place each time.
  private static let poolCount = 1 << 16
  /// The values that no batch begins at, so that each finds its points in one piece.
  static let batchPointsMax = 10_000
  /// Microseconds from one step to the next.
  private static let stepUs: Int64 = 10_000

  /// Writers of each connection: each is a stream and has a run of its own.
  let writers: Int
  /// Metrics of a run; every batch has points of all.
  let metrics: Int
  /// Points of one metric in a batch.
  let seriesPoints: Int
  /// A run each writer, of all connections.
  let runIDs: [String]

  private let keys: [String]
  /// Values as they come from training: no two alike, which no compression makes smaller.
  private let values: [Double]
  /// How late a point was taken, in microseconds.
  private let jitter: [Int64]

  init(writers: Int, metrics: Int, batchPoints: Int, runIDs: [String]) {
    self.writers = writers
    self.metrics = metrics
    seriesPoints = max(1, batchPoints / metrics)
    self.runIDs = runIDs
    keys = (0..<metrics).map { "load/metric-\($0)" }
    values = (0..<Self.poolCount).map { _ in Double.random(in: 0..<1) }
    jitter = (0..<Self.poolCount).map { _ in Int64.random(in: 0..<2_000) }
  }

  /// Points of one batch.
  var batchPoints: Int { seriesPoints * metrics }

  /// The batch of a writer with a number, from 1.
  ///
  /// Its steps go on where the batch before ended.
  func batch(_ sequence: UInt64, of runID: String, from startUs: Int64) -> AppendMetricsRequest {
    let firstStep = Int64(clamping: sequence - 1) * Int64(seriesPoints)
    var run = RunMetrics()
    run.runID = runID
    run.series.reserveCapacity(metrics)
    let steps = (0..<Int64(seriesPoints)).map { firstStep + $0 }
    for metric in 0..<metrics {
      let places = Self.poolCount - seriesPoints
      let place = Int(truncatingIfNeeded: sequence &* 7_919 &+ UInt64(metric) &* 104_729)
      let from = Int(UInt(bitPattern: place) % UInt(places))
      let times = steps.indices.map { startUs + steps[$0] * Self.stepUs + jitter[from + $0] }
      run.series.append(
        MetricSeries(
          key: keys[metric], steps: steps, timesUs: times,
          values: Array(values[from..<from + seriesPoints]), epochs: [], xs: []))
    }
    var request = AppendMetricsRequest()
    request.sequence = sequence
    request.runs = [run]
    return request
  }
}
