import Messages
import Postgres
import RPC
import Testing
import Wire

@testable import Tracking

/// Reading batches of points, and joining what is of one metric.
struct MetricColumnsTests {
  private static let runID = "0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50"
  private static let otherID = "0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f51"
  private static let now: Int64 = 1_700_000_000_000_000

  private static func series(
    _ key: String = "loss", steps: [Int64] = [1, 2], times: [Int64] = [],
    values: [Double] = [0.5, 0.25]
  ) -> MetricSeries {
    MetricSeries(key: key, steps: steps, timesUs: times, values: values, epochs: [], xs: [])
  }

  private static func request(_ runs: [(String, [MetricSeries])]) -> AppendMetricsRequest {
    AppendMetricsRequest(
      writerID: "", sequence: 1,
      runs: runs.map { RunMetrics(runID: $0.0, series: $0.1, epoch: 0, fromStep: nil) })
  }

  private static func violations(_ request: AppendMetricsRequest) -> [FieldViolation] {
    do {
      _ = try MetricColumns.read(request, receivedAt: now)
      return []
    } catch {
      #expect(error.status.reason == "FIELD_INVALID")
      #expect(error.status.code == .invalidArgument)
      return error.status.fieldViolations
    }
  }

  private static func one(_ series: MetricSeries) -> AppendMetricsRequest {
    request([(runID, [series])])
  }

  @Test("A good batch is read in its order, a series without times at the time of receipt")
  func good() throws {
    let columns = try MetricColumns.read(
      Self.request([
        (Self.runID.uppercased(), [Self.series(), Self.series("lr", times: [7, 8])]),
        (Self.otherID, [Self.series(steps: [.min], values: [.nan])]),
      ]), receivedAt: Self.now)
    #expect(columns.map(\.runID.description) == [Self.runID, Self.runID, Self.otherID])
    #expect(columns.map(\.key) == ["loss", "lr", "loss"])
    #expect(columns.map(\.steps) == [[1, 2], [1, 2], [.min]])
    #expect(columns.map(\.timesUs) == [[Self.now, Self.now], [7, 8], [Self.now]])
    #expect(columns[0].values == [0.5, 0.25])
    #expect(columns[2].values[0].isNaN)
  }

  @Test(
    "A bad field is named with what it should be",
    arguments: [
      (request([]), "runs", "must hold at least one point"),
      (request([(runID, [])]), "runs", "must hold at least one point"),
      (request([("x", [series()])]), "runs[0].run_id", "must be a UUID"),
      (request([("", [series()])]), "runs[0].run_id", "must be a UUID"),
      (one(series("")), "runs[0].series[0].key", "must be 1 to 250 characters, is 0"),
      (
        one(series(String(repeating: "é", count: 251))), "runs[0].series[0].key",
        "must be 1 to 250 characters, is 251"
      ),
      (one(series("a\tb")), "runs[0].series[0].key", "must not contain control characters"),
      (one(series("a\u{85}")), "runs[0].series[0].key", "must not contain control characters"),
      (one(series(" a")), "runs[0].series[0].key", "must not begin or end with a space"),
      (one(series("a ")), "runs[0].series[0].key", "must not begin or end with a space"),
      (one(series(steps: [], values: [])), "runs[0].series[0].steps", "must not be empty"),
      (
        one(series(values: [1])), "runs[0].series[0].values",
        "must be as many as steps (2), are 1"
      ),
      (
        one(series(values: [1, 2, 3])), "runs[0].series[0].values",
        "must be as many as steps (2), are 3"
      ),
      (
        one(series(times: [1])), "runs[0].series[0].times_us",
        "must be none or as many as steps (2), are 1"
      ),
      (
        one(series(times: [0, -1])), "runs[0].series[0].times_us[1]",
        "must be of the years 1970 to 9999"
      ),
      (
        one(series(times: [253_402_300_800_000_000, 0])), "runs[0].series[0].times_us[0]",
        "must be of the years 1970 to 9999"
      ),
    ])
  func refused(request: AppendMetricsRequest, field: String, text: String) {
    let found = Self.violations(request)
    #expect(
      found.contains { $0.field == field && $0.description.hasPrefix(text) }, "found \(found)")
  }

  @Test("Every bad field of a batch is named at once, each with its place")
  func allAtOnce() {
    let found = Self.violations(
      Self.request([
        ("nonsense", [Self.series(), Self.series("", values: [1])]),
        (Self.runID, [Self.series(steps: [], times: [-1], values: [1])]),
      ]))
    #expect(
      found.map(\.field) == [
        "runs[0].run_id", "runs[0].series[1].key", "runs[0].series[1].values",
        "runs[1].series[0].steps", "runs[1].series[0].values", "runs[1].series[0].times_us",
        "runs[1].series[0].times_us[0]",
      ])
  }

  @Test("The bounds themselves are good: the longest key, the first and the last microsecond")
  func bounds() throws {
    let key = String(repeating: "k", count: 250)
    let columns = try MetricColumns.read(
      Self.one(
        Self.series(key, steps: [.min, .max], times: [0, 253_402_300_799_999_999])),
      receivedAt: Self.now)
    #expect(columns[0].key == key)
    #expect(columns[0].steps == [.min, .max])
  }

  @Test("10,000 points of all series together are a batch, one more is not")
  func points() throws {
    func batch(_ count: Int) -> AppendMetricsRequest {
      let half = count / 2
      let parts = [half, count - half].map { part in
        Self.series(
          steps: Array(repeating: 1, count: part), values: Array(repeating: 1, count: part))
      }
      return Self.request([(Self.runID, [parts[0]]), (Self.otherID, [parts[1]])])
    }
    #expect(try MetricColumns.read(batch(10_000), receivedAt: Self.now).count == 2)
    #expect(
      Self.violations(batch(10_001)).map(\.description)
        == ["must hold at most 10000 points, hold 10001"])
  }

  private static func columns(_ run: UInt64, _ key: String, _ step: Int64) -> MetricColumns {
    MetricColumns(
      runID: UUID(high: 1, low: run), key: key, steps: [step], timesUs: [step * 10],
      values: [Double(step)])
  }

  @Test("What is of one metric of one run is joined, in the order of the first appearance")
  func joined() {
    let result = MetricColumns.joined([
      Self.columns(1, "a", 1), Self.columns(2, "a", 2), Self.columns(1, "b", 3),
      Self.columns(1, "a", 4), Self.columns(2, "a", 5), Self.columns(1, "a", 6),
    ])
    #expect(result.map(\.runID.low) == [1, 2, 1])
    #expect(result.map(\.key) == ["a", "a", "b"])
    #expect(result.map(\.steps) == [[1, 4, 6], [2, 5], [3]])
    #expect(result.map(\.timesUs) == [[10, 40, 60], [20, 50], [30]])
    #expect(result.map(\.values) == [[1, 4, 6], [2, 5], [3]])
    #expect(MetricColumns.joined([]).isEmpty)
  }

  @Test("Keys that look the same but differ in their bytes stay two metrics, as in the database")
  func joinedByBytes() {
    let result = MetricColumns.joined([
      Self.columns(1, "caf\u{E9}", 1), Self.columns(1, "cafe\u{301}", 2),
      Self.columns(1, "caf\u{E9}", 3),
    ])
    #expect(
      result.map { Array($0.key.utf8) } == [Array("caf\u{E9}".utf8), Array("cafe\u{301}".utf8)])
    #expect(result.map(\.steps) == [[1, 3], [2]])
  }
}
