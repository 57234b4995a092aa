import Messages
import Testing

@testable import Tracking

@Suite("What metrics are defined to be")
struct MetricDefinitionsTests {
  private static func definitions(_ patterns: String...) -> MetricDefinitions {
    MetricDefinitions(
      patterns.map { pattern in
        var definition = MetricDefinition()
        definition.pattern = pattern
        return definition
      })
  }

  @Test(
    "A whole key goes before the longest beginning",
    arguments: [
      ("val/loss", "val/loss"), ("val/acc", "val/*"), ("val/", "val/*"), ("val", "*"),
      ("val/top/1", "val/top/*"), ("train", "*"), ("val/loss/x", "val/*"),
    ])
  func lookup(key: String, pattern: String) {
    let all = Self.definitions("*", "val/top/*", "val/*", "val/loss")
    #expect(all[key]?.pattern == pattern)
  }

  @Test("A metric that no pattern is for has no definition")
  func none() {
    let all = Self.definitions("val/*", "loss")
    #expect(all["train/loss"] == nil)
    #expect(all["los"] == nil)
    #expect(all["losses"] == nil)
  }

  @Test("Keys that only look the same are told apart")
  func exactBytes() {
    let all = Self.definitions("caf\u{e9}", "cafe\u{301}*")
    #expect(all["caf\u{e9}"]?.pattern.utf8.count == 5)
    #expect(all["cafe\u{301}"]?.pattern.utf8.last == UInt8(ascii: "*"))
    #expect(all["caf\u{e9}!"] == nil)
  }

  @Test("The best value is the least or the greatest, by the goal")
  func best() {
    var definition = MetricDefinition()
    definition.pattern = "loss"
    func summary(_ goal: MetricGoal, _ least: Double, _ greatest: Double) -> MetricSummary {
      definition.goal = goal
      var summary = MetricSummary()
      summary.key = "loss"
      summary.minValue = least
      summary.maxValue = greatest
      summary.minStep = 4
      summary.maxStep = 2
      summary.define(by: MetricDefinitions([definition]))
      return summary
    }
    #expect(summary(.minimize, 1, 3).bestValue == 1)
    #expect(summary(.minimize, 1, 3).bestStep == 4)
    #expect(summary(.maximize, 1, 3).bestValue == 3)
    #expect(summary(.maximize, 1, 3).bestStep == 2)
    #expect(summary(.unspecified, 1, 3).bestValue == nil)
    #expect(summary(.minimize, .nan, .nan).bestValue == nil)
    #expect(summary(.unspecified, 1, 3).definition?.pattern == "loss")
  }
}
