import Postgres
import TestSupport
import Testing

@testable import Tracking

/// The order of points, and what a batch adds to a summary.
struct MetricPointTests {
  /// In the order that PostgreSQL's `order by step, time, value` gives.
  private static let ascending: [MetricPoint] = [
    MetricPoint(step: .min, timeUs: 9, value: .nan),
    MetricPoint(step: -1, timeUs: 0, value: 0),
    MetricPoint(step: 0, timeUs: 0, value: .nan),
    MetricPoint(step: 0, timeUs: 1, value: -.infinity),
    MetricPoint(step: 0, timeUs: 1, value: -Double.greatestFiniteMagnitude),
    MetricPoint(step: 0, timeUs: 1, value: -Double.leastNonzeroMagnitude),
    MetricPoint(step: 0, timeUs: 1, value: 0),
    MetricPoint(step: 0, timeUs: 1, value: Double.leastNonzeroMagnitude),
    MetricPoint(step: 0, timeUs: 1, value: .infinity),
    MetricPoint(step: 0, timeUs: 1, value: .nan),
    MetricPoint(step: 0, timeUs: 2, value: -1),
    MetricPoint(step: .max, timeUs: 0, value: 0),
  ]

  @Test("Points are in order by step, then time, then value, NaN after every number")
  func order() {
    for (left, a) in Self.ascending.enumerated() {
      for (right, b) in Self.ascending.enumerated() {
        #expect(MetricPoint.precedes(a, b) == (left < right), "\(a) and \(b)")
        #expect(MetricPoint.isSame(a, b) == (left == right), "\(a) and \(b)")
      }
    }
  }

  @Test("Every NaN is the same value, and both zeros are, as in PostgreSQL")
  func same() {
    func point(_ value: Double) -> MetricPoint { MetricPoint(step: 1, timeUs: 1, value: value) }
    #expect(MetricPoint.isSame(point(.nan), point(-Double.nan)))
    #expect(MetricPoint.isSame(point(.nan), point(Double(nan: 7, signaling: false))))
    #expect(MetricPoint.isSame(point(0), point(-0.0)))
    #expect(!MetricPoint.isSame(point(.nan), point(.infinity)))
  }

  private static func extent(_ points: [(Int64, Int64, Double)]) -> MetricExtent {
    MetricExtent(
      MetricColumns(
        runID: .zero, key: "loss", steps: points.map(\.0), timesUs: points.map(\.1),
        values: points.map(\.2)))
  }

  @Test("The extent of one point is that point")
  func one() {
    let extent = Self.extent([(3, 4, 5)])
    #expect(extent.minStep == 3 && extent.maxStep == 3)
    #expect(extent.minValue == 5 && extent.maxValue == 5)
    #expect(extent.last == MetricPoint(step: 3, timeUs: 4, value: 5))
  }

  @Test(
    "The sum is of what is a number, and keeps what each addition rounds off",
    arguments: [
      ([], 0, 0), ([.nan], 0, 0), ([.nan, 2, 1], 2, 3),
      ([1, 1e100, 1, -1e100], 4, 2), (Array(repeating: 0.1, count: 10), 10, 1),
      ([1, .infinity], 2, .infinity), ([.greatestFiniteMagnitude, 1e308], 2, .infinity),
    ] as [([Double], Int64, Double)])
  func sum(values: [Double], count: Int64, sum: Double) {
    // One that is no number comes first, so that there is a point in any case.
    let extent = Self.extent(([.nan] + values).map { (1, 1, $0) })
    #expect(extent.numberCount == count)
    #expect(extent.valueSum == sum)
  }

  @Test("An extreme is of the first step that reached it, in whatever order points come")
  func stepsOfExtremes() {
    let extent = Self.extent([
      (9, 1, .nan), (5, 1, 1), (2, 1, 7), (3, 1, 1), (8, 1, 7), (4, 1, 2), (1, 1, .nan),
    ])
    #expect(extent.minValue == 1 && extent.minValueStep == 3)
    #expect(extent.maxValue == 7 && extent.maxValueStep == 2)
    let negative = Self.extent([(-3, 1, .infinity), (-5, 1, -.infinity), (-7, 1, -.infinity)])
    #expect(negative.minValueStep == -7 && negative.maxValueStep == -3)
  }

  @Test("Infinities of both signs have no sum")
  func noSum() {
    #expect(Self.extent([(1, 1, .infinity), (2, 1, -.infinity)]).valueSum.isNaN)
  }

  @Test(
    "NaN is no least and no greatest value unless there is no other",
    arguments: [
      ([.nan, 2, 1], 1, 2), ([2, .nan, 1], 1, 2), ([1, 2, .nan], 1, 2),
      ([.nan, -.infinity, .infinity], -.infinity, .infinity),
      ([.infinity, .nan], .infinity, .infinity), ([-0.0, .nan], 0, 0),
    ] as [([Double], Double, Double)])
  func values(values: [Double], least: Double, greatest: Double) {
    let extent = Self.extent(values.map { (1, 1, $0) })
    #expect(extent.minValue == least)
    #expect(extent.maxValue == greatest)
  }

  @Test("Where every value is NaN, the least and the greatest are NaN")
  func onlyNaN() {
    let extent = Self.extent([(1, 1, .nan), (2, 1, .nan)])
    #expect(extent.minValue.isNaN && extent.maxValue.isNaN)
    #expect(extent.last.value.isNaN && extent.last.step == 2)
  }

  @Test(
    "The last point is the greatest by step, time and value, wherever it stands",
    arguments: [
      ([(1, 9, 9), (2, 1, 1)], 1), ([(2, 1, 1), (1, 9, 9)], 0), ([(1, 1, 9), (1, 2, 1)], 1),
      ([(1, 1, 1), (1, 1, 2)], 1), ([(1, 1, .nan), (1, 1, .infinity)], 0),
      ([(.min, 1, 1), (.max, 0, 0), (0, 5, 5)], 1),
    ] as [([(Int64, Int64, Double)], Int)])
  func last(points: [(Int64, Int64, Double)], expected: Int) {
    let last = Self.extent(points).last
    let (step, time, value) = points[expected]
    #expect(MetricPoint.isSame(last, MetricPoint(step: step, timeUs: time, value: value)))
  }

  @Test("The extent is that of the sorted points", arguments: 1...20 as ClosedRange<UInt64>)
  func model(seed: UInt64) {
    var random = SplitMix(seed: seed)
    for _ in 0..<50 {
      let points = (0..<Int.random(in: 1...12, using: &random)).map { _ in
        Self.random(&random)
      }
      let extent = Self.extent(points.map { ($0.step, $0.timeUs, $0.value) })
      let sorted = points.sorted(by: MetricPoint.precedes)
      let numbers = points.map(\.value).filter { !$0.isNaN }
      #expect(extent.minStep == points.map(\.step).min())
      #expect(extent.maxStep == points.map(\.step).max())
      #expect(sorted.last.map { MetricPoint.isSame($0, extent.last) } == true)
      #expect(numbers.isEmpty ? extent.minValue.isNaN : extent.minValue == numbers.min())
      #expect(numbers.isEmpty ? extent.maxValue.isNaN : extent.maxValue == numbers.max())
    }
  }

  /// A point of a small world, so that ties are frequent.
  static func random(_ random: inout SplitMix) -> MetricPoint {
    let values: [Double] = [-.infinity, -1, 0, 1, .infinity, .nan]
    return MetricPoint(
      step: Int64.random(in: 0...5, using: &random),
      timeUs: Int64.random(in: 0...2, using: &random),
      value: values[Int.random(in: 0..<values.count, using: &random)])
  }
}
