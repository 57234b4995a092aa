/// One stored chunk of a metric, in columns as the database keeps them.
struct MetricChunk {
  var pointCount: Int
  var minStep: Int64
  var steps: ChunkColumn
  var times: ChunkColumn
  var values: [Double]
  var epoch: Int64 = 0

  /// Its points in the order they were stored.
  var points: [MetricPoint] {
    values.indices.map { index in
      MetricPoint(step: steps[index], timeUs: times[index], value: values[index])
    }
  }

  /// Its points before a step, in the order they were stored.
  func points(before limit: Int64?) -> [MetricPoint] {
    guard let limit else { return points }
    return points.filter { $0.step < limit }
  }
}

/// A stored column of whole numbers: as they are, or as first + index × stride + offset.
struct ChunkColumn {
  var first: Int64
  var stride: Int64?
  var offsets: [Int32]?
  var wide: [Int64]?

  subscript(index: Int) -> Int64 {
    if let wide { return wide[index] }
    return first &+ Int64(index) &* (stride ?? 0) &+ Int64(offsets?[index] ?? 0)
  }
}

/// Puts the points of chunks, which come in the order of their least step, into the order of the
/// API.
///
/// A point can be given out once no chunk can follow that has a smaller step, so what is held back
/// is what overlaps.
struct HistoryMerge {
  /// Points that are held back at most.
  static let heldPointsMax = 4_000_000

  private let limits: EpochLimits
  private let includesShadowed: Bool
  private var held: [MetricPoint] = []
  private var last: MetricPoint?

  /// Begins behind `after`; nil = at the beginning.
  ///
  /// With shadowed points every one knows its epoch; without, what two epochs have in common counts
  /// once.
  init(
    after: MetricPoint?, limits: EpochLimits = EpochLimits(), includesShadowed: Bool = false
  ) {
    last = after
    self.limits = limits
    self.includesShadowed = includesShadowed
  }

  /// Whether more overlaps than can be held.
  var isOverfull: Bool { held.count > HistoryMerge.heldPointsMax }

  /// The step of the last point that was given out.
  var lastStep: Int64? { last?.step }

  /// Lets go of what was not given out.
  mutating func forgetHeld() {
    held = []
  }

  /// Adds a chunk.
  mutating func add(_ chunk: MetricChunk) {
    if includesShadowed {
      held += chunk.points.map { point in
        var point = point
        point.epoch = chunk.epoch
        return point
      }
    } else {
      held += chunk.points(before: limits.limit(of: chunk.epoch))
    }
  }

  /// The points that are final: those below `frontier`, or all when no chunk follows.
  mutating func takeFinal(before frontier: Int64?) -> [MetricPoint] {
    held.sort(by: MetricPoint.precedes)
    var end = held.count
    if let frontier {
      end = held.firstIndex { $0.step >= frontier } ?? held.count
    }
    var result: [MetricPoint] = []
    result.reserveCapacity(end)
    for point in held[..<end] {
      if let last, !MetricPoint.precedes(last, point) { continue }
      result.append(point)
      last = point
    }
    held.removeFirst(end)
    return result
  }
}
