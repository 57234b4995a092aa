internal import Messages
internal import Postgres
internal import RPC

/// Places points of a metric at the values of another one, by equal steps.
///
/// Both are read in the order of their steps, so that neither is held whole.
struct MetricAxis {
  private let key: String
  /// Reads the metric that is the axis; nil = the step is.
  private var reader: LineageReader?
  /// Of the axis, what was read and may still be asked for.
  private var held: ArraySlice<MetricPoint> = []

  /// The axis of the metric `key`.
  init(of key: String, _ reader: LineageReader?) {
    self.key = key
    self.reader = reader
  }

  /// Those of `points` that have a place, whose places are appended to `xs`; all of them, and no
  /// place, where the step is the axis.
  ///
  /// - Precondition: The points come after those of the call before.
  mutating func place(
    _ points: [MetricPoint], _ xs: inout [Double]
  ) async throws(CallError) -> [MetricPoint] {
    guard reader != nil else { return points }
    var placed: [MetricPoint] = []
    for point in points {
      guard let x = try await value(at: point.step) else { continue }
      placed.append(point)
      xs.append(x)
    }
    return placed
  }

  /// The points from a step on, as many series as they need.
  mutating func series(
    of points: [MetricPoint], from step: Int64
  ) async throws(CallError) -> [MetricSeries] {
    var xs: [Double] = []
    var rest = try await place(Array(points.drop { $0.step < step }), &xs)[...]
    var restOfXs = xs[...]
    var all: [MetricSeries] = []
    while !rest.isEmpty {
      var series = MetricSeries(key, rest.prefix(HistoryBounds.pagePointsMax))
      series.xs = Array(restOfXs.prefix(HistoryBounds.pagePointsMax))
      all.append(series)
      rest = rest.dropFirst(HistoryBounds.pagePointsMax)
      restOfXs = restOfXs.dropFirst(HistoryBounds.pagePointsMax)
    }
    return all
  }

  /// The last value of the axis at a step, which is not before one that was asked for.
  private mutating func value(at step: Int64) async throws(CallError) -> Double? {
    while true {
      held = held.drop { $0.step < step }
      // The last point of the step is known once one of a later step is, or the end.
      if let last = held.last, last.step > step { break }
      guard let more = try await reader?.next() else { break }
      held.append(contentsOf: more)
    }
    return held.prefix { $0.step == step }.last?.value
  }
}

extension TrackingService {
  /// The axis of a metric's points from a step on: another metric of the lineage, the step for an
  /// empty key.
  func axis(
    _ xKey: String, of key: String, _ lineage: Lineage, fromStep: Int64, _ call: CallContext
  ) async throws(CallError) -> MetricAxis {
    guard !xKey.isEmpty else { return MetricAxis(of: key, nil) }
    return MetricAxis(
      of: key,
      try await lineageReader(
        of: xKey, lineage, fromStep: fromStep, after: nil, includesShadowed: false, call))
  }
}

extension Validator {
  /// Reads the key of the metric that is the x axis, empty for the step.
  mutating func xKey(_ key: String, includesShadowed: Bool) {
    guard !key.isEmpty else { return }
    name("x_key", key, characters: MetricBounds.keyCharacters)
    if includesShadowed { refuse("x_key", "must be empty where shadowed points are asked for") }
  }
}
