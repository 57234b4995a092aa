import Testing

@testable import Tracking

/// Points add up to what they come to, in whatever order and by whichever axis.
struct BucketGridTests {
  private static func grid(
    of place: BucketPlace, _ points: [MetricPoint], count: Int
  ) -> BucketGrid {
    let places = points.map { place == .step ? $0.step : $0.timeUs }
    var grid = BucketGrid(
      of: place, from: places.min() ?? 0, to: places.max() ?? 0, count: count)
    for point in points { grid.add(point) }
    return grid
  }

  @Test(
    "The grid is the finest of powers of two that has so few buckets",
    arguments: [
      (0, 999, 1_000, 0), (0, 1_000, 1_000, 1), (5, 5, 1, 0), (-1, 0, 1, 63), (64, 127, 1, 6),
      (Int64.min, Int64.max, 2, 63), (Int64.min, Int64.max, 1_000, 55),
    ] as [(Int64, Int64, Int, Int64)])
  func exponents(first: Int64, last: Int64, count: Int, exponent: Int64) {
    #expect(BucketGrid(from: first, to: last, count: count).exponent == exponent)
  }

  @Test("The first and the last bucket are whole")
  func ends() {
    let grid = BucketGrid(from: 100, to: 130, exponent: 5)
    #expect((grid.first, grid.last) == (96, 159))
    let below = BucketGrid(from: -1, to: 0, exponent: 4)
    #expect((below.first, below.last) == (-16, 15))
    let widest = BucketGrid(from: .min, to: .max, exponent: 63)
    #expect((widest.first, widest.last) == (.min, .max))
  }

  @Test("By time the first point and the first of equal values are those of the least time")
  func time() {
    let points = [
      MetricPoint(step: 1, timeUs: 900, value: 2), MetricPoint(step: 2, timeUs: 500, value: 2),
      MetricPoint(step: 3, timeUs: 500, value: .nan), MetricPoint(step: 4, timeUs: 700, value: -1),
    ]
    for points in [points, points.reversed()] {
      let filled = Self.grid(of: .time, points, count: 1).filled
      #expect(filled.map(\.cell) == [0])
      let bucket = filled[0].bucket
      #expect((bucket.count, bucket.nanCount) == (4, 1))
      #expect(bucket.high == (2, 2, 500))
      #expect(bucket.low == (-1, 4, 700))
      #expect((bucket.first.step, bucket.last.step) == (2, 1))
      let byStep = Self.grid(of: .step, points, count: 1).filled
      #expect(byStep.map(\.bucket.high.step) == [1])
      #expect(byStep.map(\.bucket.first.timeUs) == [900])
    }
  }

  @Test("Buckets of a finer grid come to the same as their points")
  func finer() {
    var points: [MetricPoint] = []
    for index: Int64 in 0..<500 {
      points.append(
        MetricPoint(step: index % 50, timeUs: index * 37 % 991, value: Double(index % 7)))
    }
    for place in [BucketPlace.step, .time] {
      let whole = Self.grid(of: place, points, count: 4)
      var sum = BucketGrid(of: place, from: whole.first, to: whole.last, exponent: whole.exponent)
      let fine = Self.grid(of: place, points, count: 300)
      for (cell, bucket) in fine.filled { sum.add(bucket, cell: cell, exponent: fine.exponent) }
      #expect(sum.filled.map(\.cell) == whole.filled.map(\.cell))
      for (one, other) in zip(sum.filled, whole.filled) {
        #expect(one.bucket.count == other.bucket.count)
        #expect(one.bucket.low == other.bucket.low)
        #expect(one.bucket.high == other.bucket.high)
        #expect(one.bucket.sum == other.bucket.sum)
        #expect(one.bucket.first == other.bucket.first)
        #expect(one.bucket.last == other.bucket.last)
      }
    }
  }

  @Test("A column in two halves tells its numbers")
  func halves() {
    let numbers: [Int64] = [10, 30, 25, 1_000_000, -5_000_000, 60]
    let first: Int64 = 10
    let stride: Int64 = 10
    let offsets = numbers.enumerated().map { $1 - first - Int64($0) * stride }
    let lows = offsets.map { Int16(truncatingIfNeeded: $0) }
    let highs = zip(offsets, lows).map { Int16(($0 - Int64($1)) >> 16) }
    let column = ChunkColumn(first: first, stride: stride, lows: lows, highs: highs)
    #expect(column.numbers(numbers.count) == numbers)
    let near = ChunkColumn(first: first, stride: stride, lows: [0, -1, 2])
    #expect(near.numbers(3) == [10, 19, 32])
  }
}
