/// Points of one metric in buckets of 2^exponent steps.
struct BucketGrid {
  let exponent: Int64
  private let firstCell: Int64
  private var buckets: [Bucket?]

  /// The grid of at most `count` buckets over the steps; of two for steps on both sides of 0, which
  /// no shift brings together.
  init(from firstStep: Int64, to lastStep: Int64, count: Int) {
    var exponent: Int64 = 0
    while exponent < 63, !BucketGrid.fits(firstStep, lastStep, exponent, count) { exponent += 1 }
    self.init(from: firstStep, to: lastStep, exponent: exponent)
  }

  /// The grid of buckets of a width.
  init(from firstStep: Int64, to lastStep: Int64, exponent: Int64) {
    self.exponent = exponent
    firstCell = firstStep >> exponent
    buckets = Array(repeating: nil, count: Int((lastStep >> exponent) - firstCell) + 1)
  }

  private static func fits(
    _ firstStep: Int64, _ lastStep: Int64, _ exponent: Int64, _ count: Int
  ) -> Bool {
    let (span, overflow) = (lastStep >> exponent).subtractingReportingOverflow(
      firstStep >> exponent)
    return !overflow && span < Int64(count)
  }

  /// The buckets that have points, each with its number.
  var filled: [(cell: Int64, bucket: Bucket)] {
    buckets.enumerated().compactMap { index, bucket in
      bucket.map { (firstCell + Int64(index), $0) }
    }
  }

  /// Adds a point, if it is on the grid.
  mutating func add(_ point: MetricPoint) {
    add(Bucket(point), at: point.step >> exponent)
  }

  /// Adds a bucket of a grid that is as fine as this one, or finer.
  mutating func add(_ bucket: Bucket, cell: Int64, exponent finer: Int64) {
    add(bucket, at: cell >> (exponent - finer))
  }

  private mutating func add(_ bucket: Bucket, at cell: Int64) {
    let (index, overflow) = cell.subtractingReportingOverflow(firstCell)
    guard !overflow, index >= 0, index < buckets.count else { return }
    if buckets[Int(index)] == nil {
      buckets[Int(index)] = bucket
    } else {
      buckets[Int(index)]?.add(bucket)
    }
  }
}

/// What some points come to.
struct Bucket {
  var count: Int64
  var nanCount: Int64
  /// Of values that are not NaN; NaN where there is none.
  var low: (value: Double, step: Int64)
  var high: (value: Double, step: Int64)
  var sum: Double
  var first: MetricPoint
  var last: MetricPoint

  init(
    count: Int64, nanCount: Int64, low: (value: Double, step: Int64),
    high: (value: Double, step: Int64), sum: Double, first: MetricPoint, last: MetricPoint
  ) {
    self.count = count
    self.nanCount = nanCount
    self.low = low
    self.high = high
    self.sum = sum
    self.first = first
    self.last = last
  }

  /// The bucket of one point.
  init(_ point: MetricPoint) {
    let isNumber = !point.value.isNaN
    let extreme = (point.value, isNumber ? point.step : 0)
    self.init(
      count: 1, nanCount: isNumber ? 0 : 1, low: extreme, high: extreme,
      sum: isNumber ? point.value : 0, first: point, last: point)
  }

  /// Of values that are not NaN; NaN where there is none.
  var mean: Double { count > nanCount ? sum / Double(count - nanCount) : .nan }

  /// Adds other points.
  mutating func add(_ other: Bucket) {
    count += other.count
    nanCount += other.nanCount
    if Bucket.isBeyond(other.low, low, <) { low = other.low }
    if Bucket.isBeyond(other.high, high, >) { high = other.high }
    sum += other.sum
    if MetricPoint.precedes(other.first, first) { first = other.first }
    if MetricPoint.precedes(last, other.last) { last = other.last }
  }

  /// Whether one extreme goes before another: the value decides, then the smaller step.
  private static func isBeyond(
    _ one: (value: Double, step: Int64), _ other: (value: Double, step: Int64),
    _ precedes: (Double, Double) -> Bool
  ) -> Bool {
    if one.value.isNaN { return false }
    if other.value.isNaN || precedes(one.value, other.value) { return true }
    return one.value == other.value && one.step < other.step
  }
}
