/// What buckets are ranges of.
enum BucketPlace {
  case step
  case time
}

/// Points of one metric in buckets of 2^exponent steps or microseconds.
struct BucketGrid {
  let place: BucketPlace
  let exponent: Int64
  /// The first and the last step or time of its buckets.
  let first: Int64
  let last: Int64
  private let firstCell: Int64
  private var buckets: [Bucket?]

  /// The grid of at most `count` buckets over the steps or times; of two for those on both sides
  /// of 0, which no shift brings together.
  init(of place: BucketPlace = .step, from first: Int64, to last: Int64, count: Int) {
    var exponent: Int64 = 0
    while exponent < 63, !BucketGrid.fits(first, last, exponent, count) { exponent += 1 }
    self.init(of: place, from: first, to: last, exponent: exponent)
  }

  /// The grid of buckets of a width.
  init(of place: BucketPlace = .step, from first: Int64, to last: Int64, exponent: Int64) {
    self.place = place
    self.exponent = exponent
    let within = Int64(bitPattern: 1 << UInt64(exponent) &- 1)
    self.first = first & ~within
    self.last = last | within
    firstCell = first >> exponent
    buckets = Array(repeating: nil, count: Int((last >> exponent) - firstCell) + 1)
  }

  private static func fits(
    _ first: Int64, _ last: Int64, _ exponent: Int64, _ count: Int
  ) -> Bool {
    let (span, overflow) = (last >> exponent).subtractingReportingOverflow(first >> exponent)
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
    add(Bucket(point), at: (place == .step ? point.step : point.timeUs) >> exponent)
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
      buckets[Int(index)]?.add(bucket, by: place)
    }
  }
}

/// What some points come to.
struct Bucket {
  /// A value that is not NaN and where it was first; NaN where there is none.
  ///
  /// By step, the time is of no meaning.
  typealias Extreme = (value: Double, step: Int64, timeUs: Int64)

  var count: Int64
  var nanCount: Int64
  var low: Extreme
  var high: Extreme
  var sum: Double
  var first: MetricPoint
  var last: MetricPoint

  init(
    count: Int64, nanCount: Int64, low: Extreme, high: Extreme, sum: Double,
    first: MetricPoint, last: MetricPoint
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
    let extreme = (point.value, isNumber ? point.step : 0, isNumber ? point.timeUs : 0)
    self.init(
      count: 1, nanCount: isNumber ? 0 : 1, low: extreme, high: extreme,
      sum: isNumber ? point.value : 0, first: point, last: point)
  }

  /// Of values that are not NaN; NaN where there is none.
  var mean: Double { count > nanCount ? sum / Double(count - nanCount) : .nan }

  /// Adds other points.
  mutating func add(_ other: Bucket, by place: BucketPlace = .step) {
    count += other.count
    nanCount += other.nanCount
    if Bucket.isBeyond(other.low, low, place, <) { low = other.low }
    if Bucket.isBeyond(other.high, high, place, >) { high = other.high }
    sum += other.sum
    if Bucket.precedes(other.first, first, place) { first = other.first }
    if Bucket.precedes(last, other.last, place) { last = other.last }
  }

  /// Whether one extreme goes before another: the value decides, then which came first.
  private static func isBeyond(
    _ one: Extreme, _ other: Extreme, _ place: BucketPlace, _ precedes: (Double, Double) -> Bool
  ) -> Bool {
    if one.value.isNaN { return false }
    if other.value.isNaN || precedes(one.value, other.value) { return true }
    guard one.value == other.value else { return false }
    if place == .time, one.timeUs != other.timeUs { return one.timeUs < other.timeUs }
    return one.step < other.step
  }

  /// By (step, time, value), or by (time, step, value).
  private static func precedes(
    _ left: MetricPoint, _ right: MetricPoint, _ place: BucketPlace
  ) -> Bool {
    if place == .time, left.timeUs != right.timeUs { return left.timeUs < right.timeUs }
    return MetricPoint.precedes(left, right)
  }
}
