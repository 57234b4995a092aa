import Testing
import Wire

/// Readers that are too slow, by made-up clocks.
struct OutflowTests {
  private static let second: UInt64 = 1_000_000_000
  private static func outflow() -> Outflow {
    Outflow(period: .seconds(60), bytesPerSecondMin: 1_024)
  }

  private static func isStalled(_ outflow: inout Outflow, _ now: UInt64) -> Bool {
    outflow.isStalled(now: now)
  }

  @Test("Whoever takes nothing for a period is stalled, and not before")
  func nothing() {
    var outflow = Self.outflow()
    outflow.wrote(100, waiting: 1, now: 5 * Self.second)
    #expect(Self.isStalled(&outflow, 65 * Self.second - 1) == false)
    #expect(Self.isStalled(&outflow, 65 * Self.second) == true)
  }

  @Test("Whoever takes a little now and then is stalled at the end of the period")
  func trickle() {
    var outflow = Self.outflow()
    outflow.wrote(0, waiting: 1 << 20, now: 0)
    for second in 1..<60 {
      outflow.wrote(1_024, waiting: 1 << 20, now: UInt64(second) * Self.second)
      #expect(Self.isStalled(&outflow, UInt64(second) * Self.second) == false)
    }
    #expect(Self.isStalled(&outflow, 60 * Self.second) == true)
  }

  @Test("Whoever takes the least that is asked for goes on, period by period")
  func slow() {
    var outflow = Self.outflow()
    outflow.wrote(0, waiting: 1 << 20, now: 0)
    for second in 1...600 {
      outflow.wrote(1_024, waiting: 1 << 20, now: UInt64(second) * Self.second)
      #expect(Self.isStalled(&outflow, UInt64(second) * Self.second) == false)
    }
  }

  @Test("Whoever has taken everything begins anew")
  func everything() {
    var outflow = Self.outflow()
    #expect(Self.isStalled(&outflow, .max) == false)
    outflow.wrote(0, waiting: 10, now: 0)
    outflow.wrote(10, waiting: 0, now: 59 * Self.second)
    #expect(Self.isStalled(&outflow, 600 * Self.second) == false)
    outflow.wrote(0, waiting: 10, now: 600 * Self.second)
    #expect(Self.isStalled(&outflow, 659 * Self.second) == false)
    #expect(Self.isStalled(&outflow, 660 * Self.second) == true)
  }

  @Test("No bound is too large to be held")
  func extremes() {
    var outflow = Outflow(period: .seconds(3_000_000_000), bytesPerSecondMin: .max)
    outflow.wrote(0, waiting: 1, now: 0)
    outflow.wrote(.max, waiting: 1, now: .max - 1)
    #expect(Self.isStalled(&outflow, .max) == true)
  }
}
