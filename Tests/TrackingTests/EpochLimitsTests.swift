import Messages
import Postgres
import RPC
import TestSupport
import Testing
import Wire

@testable import Tracking

/// Which points of a run later epochs shadow.
struct EpochLimitsTests {
  /// By the definition, point by point.
  private static func isVisible(
    _ step: Int64, of epoch: Int64, _ epochs: [(epoch: Int64, fromStep: Int64)]
  ) -> Bool {
    !epochs.contains { $0.epoch > epoch && $0.fromStep <= step }
  }

  @Test("A run that was never restarted shadows nothing")
  func none() {
    let limits = EpochLimits()
    #expect(limits.current == 0)
    #expect(limits.limit(of: 0) == nil)
  }

  @Test("The last epoch has no limit, and each before it the least first step of those after it")
  func steps() {
    let limits = EpochLimits([(1, 50), (2, 70), (3, 60)])
    #expect(limits.current == 3)
    #expect((0...3).map { limits.limit(of: $0) } == [50, 60, 60, nil])
  }

  @Test(
    "What is cut off is what some later epoch shadows", arguments: 1...40 as ClosedRange<UInt64>)
  func matchesDefinition(seed: UInt64) {
    var random = SplitMix(seed: seed)
    let epochs = (1...Int64.random(in: 1...8, using: &random)).map {
      (epoch: $0, fromStep: Int64.random(in: -5...5, using: &random))
    }
    let limits = EpochLimits(epochs)
    for epoch in 0...(epochs.last?.epoch ?? 0) {
      for step in Int64(-7)...7 {
        let isCut = limits.limit(of: epoch).map { step >= $0 } ?? false
        #expect(isCut == !Self.isVisible(step, of: epoch, epochs), "\(epoch) \(step)")
      }
    }
  }

  private static func chunk(_ steps: [Int64], epoch: Int64) -> MetricChunk {
    MetricChunk(
      pointCount: steps.count, minStep: steps.min() ?? 0,
      steps: ChunkColumn(first: steps[0], wide: steps),
      times: ChunkColumn(first: 0, stride: 0), values: steps.map { Double($0) }, epoch: epoch)
  }

  @Test("A history leaves out what is shadowed, and what two epochs share counts once")
  func merged() {
    var merge = HistoryMerge(after: nil, limits: EpochLimits([(1, 3)]))
    merge.add(Self.chunk([1, 2, 3, 4, 9], epoch: 0))
    merge.add(Self.chunk([2, 3, 4, 5], epoch: 1))
    #expect(merge.takeFinal(before: nil).map(\.step) == [1, 2, 3, 4, 5])
  }

  @Test("A history with what is shadowed tells the epochs apart")
  func everything() {
    var merge = HistoryMerge(
      after: MetricPoint(step: 3, timeUs: 0, value: 3, epoch: 0),
      limits: EpochLimits([(1, 3)]), includesShadowed: true)
    merge.add(Self.chunk([1, 2, 3, 4, 9], epoch: 0))
    merge.add(Self.chunk([3, 4, 4], epoch: 1))
    let points = merge.takeFinal(before: nil)
    #expect(points.map(\.step) == [3, 4, 4, 9])
    #expect(points.map(\.epoch) == [1, 0, 1, 0])
    #expect(MetricSeries("loss", points).epochs == [1, 0, 1, 0])
  }

  private static func request(epoch: UInt64, fromStep: Int64?) -> AppendMetricsRequest {
    var run = RunMetrics()
    run.runID = UUID.zero.description
    run.epoch = epoch
    run.fromStep = fromStep
    var request = AppendMetricsRequest()
    request.runs = [run]
    return request
  }

  @Test("An epoch is opened from any step, and only where a step is named")
  func opening() throws {
    #expect(try EpochOpening.read(Self.request(epoch: 7, fromStep: nil)) == [])
    #expect(
      try EpochOpening.read(Self.request(epoch: 10_000, fromStep: .min))
        == [EpochOpening(runID: .zero, epoch: 10_000, fromStep: .min)])
  }

  @Test(
    "Epoch 0 cannot be opened, nor one beyond the bound",
    arguments: [(0, 5), (10_001, nil), (.max, 5)] as [(UInt64, Int64?)])
  func badOpening(epoch: UInt64, fromStep: Int64?) {
    let error = #expect(throws: CallError.self) {
      _ = try EpochOpening.read(Self.request(epoch: epoch, fromStep: fromStep))
    }
    #expect(error?.status.reason == "FIELD_INVALID")
  }
}
