import Foundation
import Testing

@testable import ControlPlane
@testable import EventLoop
@testable import Postgres
@testable import RPC

/// The text that a monitoring system reads.
struct MetricsTextTests {
  /// One line of numbers.
  private struct Sample {
    var name: String
    var labels: [String: String] = [:]
    var value: Double
  }

  /// A page by the rules of the format.
  private struct Page {
    var kinds: [String: String] = [:]
    var help: [String: String] = [:]
    var samples: [Sample] = []

    init(_ text: String) throws {
      #expect(text.hasSuffix("\n"))
      for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
        if let match = line.wholeMatch(of: /# HELP ([a-z_]+) (.+)/) {
          #expect(help.updateValue(String(match.2), forKey: String(match.1)) == nil)
        } else if let match = line.wholeMatch(of: /# TYPE ([a-z_]+) (counter|gauge|histogram)/) {
          #expect(kinds.updateValue(String(match.2), forKey: String(match.1)) == nil)
        } else {
          samples.append(try Page.sample(line))
        }
      }
    }

    private static func sample(_ line: Substring) throws -> Sample {
      let form = /([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)+)\})? (\S+)/
      let match = try #require(line.wholeMatch(of: form), "\(line)")
      let value = try #require(Double(match.3), "\(line)")
      var sample = Sample(name: String(match.1), value: value)
      for label in (match.2 ?? "").matches(of: /([a-z]+)="((?:[^"\\]|\\.)*)"/) {
        let text = label.2.replacing(/\\(.)/) { $0.1 == "n" ? "\n" : String($0.1) }
        #expect(sample.labels.updateValue(String(text), forKey: String(label.1)) == nil)
      }
      return sample
    }

    func values(_ name: String, _ labels: [String: String] = [:]) -> [Double] {
      samples.filter { sample in
        sample.name == name && labels.allSatisfy { sample.labels[$0.key] == $0.value }
      }.map(\.value)
    }
  }

  private static let odd = "odd\"method\\with\nall"

  private static func page(
    _ change: (inout ServerMetrics, inout DatabaseMetrics) -> Void = { _, _ in }
  ) throws -> Page {
    var server = ServerMetrics(methodCount: 2)
    var database = DatabaseMetrics()
    change(&server, &database)
    return try Page(
      MetricsText.render(
        methods: ["needletail.rpc.v1.Server/Echo", odd], server: server,
        databases: [database, database], loops: [LoopStatistics(), LoopStatistics()],
        software: "needletail/0.1.0"))
  }

  @Test("Every sample belongs to a metric with a help text and a type that fits its name")
  func form() throws {
    let page = try Self.page { server, _ in
      server.countStart(0)
      server.countEnd(0, code: 0, microseconds: 3)
    }
    #expect(Set(page.kinds.keys) == Set(page.help.keys))
    for sample in page.samples {
      let base = sample.name.replacing(/_(bucket|sum|count)$/, with: "")
      let kind = try #require(page.kinds[sample.name] ?? page.kinds[base], "\(sample.name)")
      #expect((kind == "counter") == sample.name.hasSuffix("_total"), "\(sample.name)")
      #expect(sample.name.hasPrefix("needletail_"))
    }
    for (name, kind) in page.kinds where kind != "histogram" {
      // These have a sample for each method or task that there was.
      let hasSamples =
        name != "needletail_rpc_handled_total" && !name.hasPrefix("needletail_maintenance_")
      #expect(!page.values(name).isEmpty || !hasSamples, "\(name)")
    }
  }

  @Test("The page of operations names every metric, and no other")
  func documentation() throws {
    let root = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let text = try String(
      contentsOf: root.appendingPathComponent("Docs/operations.md"), encoding: .utf8)
    let rows = text.matches(of: /\| `(needletail_[a-z_]+)` \| ([a-z]+) \|/)
    let documented = Dictionary(
      rows.map { (String($0.1), String($0.2)) }, uniquingKeysWith: { _, last in last })
    #expect(try documented == Self.page().kinds)
  }

  @Test("Labels are escaped so that they read as they are")
  func labels() throws {
    let page = try Self.page { server, _ in
      for _ in 0..<4 { server.countStart(1) }
    }
    #expect(page.values("needletail_rpc_started_total", ["method": Self.odd]) == [4])
    #expect(page.values("needletail_build_info", ["version": "needletail/0.1.0"]) == [1])
    #expect(page.values("needletail_loop_turns_total").count == 2)
  }

  @Test("A histogram counts upwards to its count, by bounds that grow to infinity")
  func histogram() throws {
    let durations: [UInt64] = [0, 1, 2, 3, 1_000, 1_000_000, 90_000_000, .max]
    let page = try Self.page { server, _ in
      for _ in durations { server.countStart(0) }
      for duration in durations.dropLast() { server.countEnd(0, code: 0, microseconds: duration) }
      server.countEnd(0, code: 13, microseconds: 200_000_000)
    }
    let name = "needletail_rpc_duration_seconds"
    let buckets = page.samples.filter { $0.name == "\(name)_bucket" }
    let bounds = try buckets.map { try #require(Double($0.labels["le"] ?? "")) }
    #expect(bounds.count == ServerMetrics.durationBuckets)
    #expect(bounds == bounds.sorted() && Set(bounds).count == bounds.count)
    #expect(bounds.last == .infinity)
    #expect(buckets.map(\.value) == buckets.map(\.value).sorted())
    #expect(buckets.last?.value == 8)
    #expect(page.values("\(name)_count") == [8])
    #expect(page.values("\(name)_sum") == [291.001006])
    for (bound, bucket) in zip(bounds, buckets) where bound < 60 {
      let below = durations.count { Double($0) / 1_000_000 < bound }
      #expect(bucket.value == Double(below), "below \(bound)")
    }
    // A method that was never called has none.
    #expect(buckets.allSatisfy { $0.labels["method"] == "needletail.rpc.v1.Server/Echo" })
  }

  @Test("Calls that ended are counted by the name of their code")
  func codes() throws {
    let page = try Self.page { server, _ in
      for code in UInt32(0)...16 { server.countEnd(0, code: code, microseconds: 1) }
      server.countEnd(0, code: 99, microseconds: 1)
    }
    let handled = page.samples.filter { $0.name == "needletail_rpc_handled_total" }
    #expect(handled.count == 17)
    #expect(Set(handled.compactMap { $0.labels["code"] }).count == 17)
    #expect(page.values("needletail_rpc_handled_total", ["code": "OK"]) == [1])
    #expect(page.values("needletail_rpc_handled_total", ["code": "UNAUTHENTICATED"]) == [2])
  }

  @Test("The counts of two loops are added up, each to its own")
  func loops() throws {
    var sum = ServerMetrics(methodCount: 2)
    for number in UInt64(1)...2 {
      var loop = ServerMetrics(methodCount: 2)
      for _ in 0..<number { loop.countStart(1) }
      loop.countEnd(1, code: 5, microseconds: 10 * number)
      loop.connections = Int(number)
      loop.bytesRead = 100 * number
      sum.add(loop)
    }
    #expect(sum.started(0) == 0 && sum.started(1) == 3)
    #expect(sum.ended(1).enumerated().filter { $1 > 0 }.map(\.offset) == [5])
    #expect(sum.durationSumMicroseconds(1) == 30)
    #expect(sum.durations(1).reduce(0, +) == 2)
    #expect(sum.connections == 3 && sum.bytesRead == 300 && sum.openStreams == 1)
  }

  @Test("The databases of all loops are added up")
  func databases() throws {
    let page = try Self.page { _, database in
      database.connectionsInUse = 3
      database.waits = 5
      database.waitTotal = .microseconds(1_500_001)
      database.statements = 1 << 40
    }
    #expect(page.values("needletail_pg_pool_in_use") == [6])
    #expect(page.values("needletail_pg_pool_waits_total") == [10])
    #expect(page.values("needletail_pg_pool_wait_seconds_total") == [3.000002])
    #expect(page.values("needletail_pg_statements_total") == [Double(1 << 41)])
  }
}
