/// One stored chunk of a metric, in columns as the database keeps them.
struct MetricChunk {
  var pointCount: Int
  var minStep: Int64
  var steps: ChunkColumn
  var times: ChunkColumn
  var values: [Double]
  var epoch: Int64 = 0

  /// Its points in the order they were stored.
  var points: [MetricPoint] { points(before: nil) }

  /// Its points before a step, in the order they were stored.
  func points(before limit: Int64?) -> [MetricPoint] {
    var points: [MetricPoint] = []
    append(to: &points, before: limit)
    return points
  }

  /// Adds its points before a step, in the order they were stored, each with `epoch`.
  func append(to points: inout [MetricPoint], before limit: Int64?, as epoch: Int64 = 0) {
    let steps = steps.numbers(values.count)
    let times = times.numbers(values.count)
    points.reserveCapacity(points.count + values.count)
    for index in values.indices {
      if let limit, steps[index] >= limit { continue }
      points.append(
        MetricPoint(
          step: steps[index], timeUs: times[index], value: values[index], epoch: epoch))
    }
  }
}

/// A stored column of whole numbers: as they are, or as first + index × stride + offset.
struct ChunkColumn {
  var first: Int64
  var stride: Int64?
  var offsets: [Int32]?
  var wide: [Int64]?
  /// Offsets in two halves, the upper ones in `highs`, where they are not all 0.
  var lows: [Int16]?
  var highs: [Int16]?

  /// So many numbers, which is how many there are.
  func numbers(_ count: Int) -> [Int64] {
    if let wide { return wide }
    let stride = stride ?? 0
    if let offsets {
      return offsets.enumerated().map { first &+ Int64($0) &* stride &+ Int64($1) }
    }
    guard let lows else { return (0..<Int64(count)).map { first &+ $0 &* stride } }
    var numbers: [Int64] = []
    numbers.reserveCapacity(lows.count)
    var line = first
    for low in lows {
      numbers.append(line &+ Int64(low))
      line &+= stride
    }
    if let highs {
      for (index, high) in highs.enumerated() where high != 0 {
        numbers[index] &+= Int64(high) << 16
      }
    }
    return numbers
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
  /// Whether each point that is held comes before the next one, as chunks of one writer do.
  private var isInOrder = true
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
    isInOrder = true
  }

  /// Adds a chunk.
  mutating func add(_ chunk: MetricChunk) {
    let begin = max(held.count, 1)
    if includesShadowed {
      chunk.append(to: &held, before: nil, as: chunk.epoch)
    } else {
      chunk.append(to: &held, before: limits.limit(of: chunk.epoch))
    }
    var index = begin
    while isInOrder, index < held.count {
      isInOrder = MetricPoint.precedes(held[index - 1], held[index])
      index += 1
    }
  }

  /// The points that are final: those below `frontier`, or all when no chunk follows.
  mutating func takeFinal(before frontier: Int64?) -> [MetricPoint] {
    if !isInOrder { sort() }
    let end = frontier.map { frontier in place(where: { $0.step < frontier }) } ?? held.count
    let begin = last.map { last in place(where: { !MetricPoint.precedes(last, $0) }) } ?? 0
    guard begin < end else {
      held.removeFirst(end)
      return []
    }
    last = held[end - 1]
    if begin == 0, end == held.count {
      defer { held = [] }
      return held
    }
    defer { held.removeFirst(end) }
    return Array(held[begin..<end])
  }

  /// Puts what is held in order, exact duplicates once.
  private mutating func sort() {
    held.sort(by: MetricPoint.precedes)
    var count = 1
    for index in held.indices.dropFirst()
    where MetricPoint.precedes(held[count - 1], held[index]) {
      held[count] = held[index]
      count += 1
    }
    held.removeLast(held.count - count)
    isInOrder = true
  }

  /// Where the points begin that are not of the first ones, which `isFirst` knows.
  private func place(where isFirst: (MetricPoint) -> Bool) -> Int {
    var low = 0
    var high = held.count
    while low < high {
      let middle = (low + high) / 2
      if isFirst(held[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
