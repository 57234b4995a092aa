import TestSupport
import Testing

@testable import Tracking

/// Chunks that overlap become one ordered history without duplicates.
struct HistoryMergeTests {
  private static func chunk(_ points: [MetricPoint]) -> MetricChunk {
    MetricChunk(
      pointCount: points.count, minStep: points.map(\.step).min() ?? 0,
      steps: ChunkColumn(first: points[0].step, wide: points.map(\.step)),
      times: ChunkColumn(first: points[0].timeUs, wide: points.map(\.timeUs)),
      values: points.map(\.value))
  }

  private static func points(_ steps: [Int64]) -> [MetricPoint] {
    steps.map { MetricPoint(step: $0, timeUs: 0, value: Double($0)) }
  }

  /// What the history has to be: everything sorted, exact duplicates once.
  private static func model(_ points: [MetricPoint]) -> [MetricPoint] {
    var result: [MetricPoint] = []
    for point in points.sorted(by: MetricPoint.precedes) {
      if let last = result.last, MetricPoint.isSame(last, point) { continue }
      result.append(point)
    }
    return result
  }

  private static func areSame(_ left: [MetricPoint], _ right: [MetricPoint]) -> Bool {
    left.count == right.count && zip(left, right).allSatisfy { MetricPoint.isSame($0, $1) }
  }

  /// Reads chunks as a history does, so many at a time, from behind a point.
  private static func read(
    _ chunks: [MetricChunk], atATime count: Int, after: MetricPoint?
  ) -> [[MetricPoint]] {
    var merge = HistoryMerge(after: after)
    var pages: [[MetricPoint]] = []
    var rest = chunks[...]
    while true {
      let some = rest.prefix(count)
      rest = rest.dropFirst(count)
      for chunk in some { merge.add(chunk) }
      pages.append(merge.takeFinal(before: rest.isEmpty ? nil : some.last?.minStep))
      if rest.isEmpty { return pages }
    }
  }

  @Test("A point is held back until no chunk can follow that begins before it")
  func frontier() {
    var merge = HistoryMerge(after: nil)
    merge.add(Self.chunk(Self.points([0, 5, 10])))
    #expect(merge.takeFinal(before: 0).isEmpty)
    merge.add(Self.chunk(Self.points([4, 6])))
    #expect(merge.takeFinal(before: 4).map(\.step) == [0])
    #expect(merge.takeFinal(before: 4).isEmpty)
    merge.add(Self.chunk(Self.points([5, 5])))
    #expect(merge.takeFinal(before: nil).map(\.step) == [4, 5, 6, 10])
    #expect(merge.takeFinal(before: nil).isEmpty)
  }

  @Test("A history that begins behind a point gives neither it nor anything before it")
  func after() {
    var merge = HistoryMerge(after: MetricPoint(step: 2, timeUs: 0, value: 2))
    merge.add(Self.chunk(Self.points([1, 2, 2, 3])))
    #expect(merge.takeFinal(before: nil).map(\.step) == [3])
  }

  @Test("What is held is bounded")
  func bound() {
    var merge = HistoryMerge(after: nil)
    let count = HistoryMerge.heldPointsMax / 4 + 1
    let chunk = MetricChunk(
      pointCount: count, minStep: 1, steps: ChunkColumn(first: 1, stride: 0),
      times: ChunkColumn(first: 1, stride: 0), values: Array(repeating: 1, count: count))
    for _ in 0..<3 { merge.add(chunk) }
    #expect(!merge.isOverfull)
    merge.add(chunk)
    #expect(merge.isOverfull)
  }

  @Test("Chunks are read in each of their forms")
  func forms() {
    let chunk = MetricChunk(
      pointCount: 3, minStep: 10, steps: ChunkColumn(first: 10, stride: 2),
      times: ChunkColumn(first: 100, offsets: [0, -1, 7]), values: [1, 2, 3])
    #expect(chunk.points.map(\.step) == [10, 12, 14])
    #expect(chunk.points.map(\.timeUs) == [100, 99, 107])
    #expect(chunk.points.map(\.value) == [1, 2, 3])
  }

  @Test(
    "Overlapping chunks, read any number at a time, are the sorted points without duplicates",
    arguments: 1...60 as ClosedRange<UInt64>)
  func matchesModel(seed: UInt64) {
    var random = SplitMix(seed: seed)
    let chunks = Self.randomChunks(&random)
    let expected = Self.model(chunks.flatMap(\.points))
    for count in 1...chunks.count {
      let pages = Self.read(chunks, atATime: count, after: nil)
      #expect(Self.areSame(pages.flatMap { $0 }, expected), "\(count) at a time")
    }
  }

  @Test(
    "Pages of any size, each begun behind the last point of the one before, are the whole",
    arguments: 61...100 as ClosedRange<UInt64>)
  func paging(seed: UInt64) {
    var random = SplitMix(seed: seed)
    let chunks = Self.randomChunks(&random)
    let expected = Self.model(chunks.flatMap(\.points))
    for size in [1, 2, 3, 7, 1_000] {
      var result: [MetricPoint] = []
      while result.count <= expected.count {
        // A page asks for the chunks that reach its first step, as the statement does.
        let after = result.last
        let reached = chunks.filter { chunk in
          guard let after else { return true }
          return chunk.points.contains { $0.step >= after.step }
        }
        let page = Self.read(reached, atATime: 2, after: after).flatMap { $0 }.prefix(size)
        if page.isEmpty { break }
        result += page
      }
      #expect(Self.areSame(result, expected), "pages of \(size)")
    }
  }

  /// Chunks in the order of their least step, as the database gives them.
  private static func randomChunks(_ random: inout SplitMix) -> [MetricChunk] {
    (0..<Int.random(in: 1...8, using: &random)).map { _ in
      let shift = Int64.random(in: 0...12, using: &random)
      return chunk(
        (0..<Int.random(in: 1...10, using: &random)).map { _ in
          var point = MetricPointTests.random(&random)
          point.step += shift
          return point
        })
    }.sorted { $0.minStep < $1.minStep }
  }
}
