internal import Testing

@testable import needletail

@Suite("Plots")
struct PlotTests {
  private func plot(
    width: Int = 4, height: Int = 2, steps: ClosedRange<Int64> = 0...7, curves: Int = 1,
    log: Bool = false
  ) -> Plot {
    Plot(width: width, height: height, steps: steps, curves: curves, isLogarithmic: log)
  }

  @Test("A line goes from the lower left to the upper right, with its axes")
  func line() {
    var plot = plot()
    for step in 0..<8 { plot.add(Double(step), at: Int64(step), to: 0) }
    let lines = ["7 ┤  ⡠⠊", "0 ┤⡠⠊  ", "  └────", "   0  7", ""]
    #expect(plot.text(isColored: false) == lines.joined(separator: "\n"))
  }

  @Test("A column keeps what stands out of the many points in it")
  func extremes() {
    var plot = plot(width: 1, height: 1, steps: 0...1_000_000)
    for step in 0..<1_000 { plot.add(step == 500 ? 9 : 1, at: Int64(step), to: 0) }
    #expect(plot.text(isColored: false).contains("┤⡇"))
  }

  @Test("Without colours letters tell curves apart, and the later one is seen where they meet")
  func letters() {
    var plot = plot(width: 2, height: 2, steps: 0...1, curves: 2)
    plot.add(0, at: 0, to: 0)
    plot.add(1, at: 1, to: 0)
    plot.add(1, at: 1, to: 1)
    let text = plot.text(isColored: false)
    #expect(text.contains("1 ┤ b"))
    #expect(text.contains("0 ┤a"))
  }

  @Test("A logarithm leaves out what is not above 0, and says how much that was")
  func logarithm() {
    var plot = plot(height: 3, log: true)
    for (step, value) in [1.0, 10, 100, 0, -1].enumerated() {
      plot.add(value, at: Int64(step), to: 0)
    }
    #expect(plot.leftOut == 2)
    let text = plot.text(isColored: false)
    #expect(text.contains("100 ┤"))
    #expect(text.contains("1 ┤"))
  }

  @Test("What is no number leaves a gap; steps and values of any size have a place")
  func bounds() {
    var plot = plot(steps: .min ... .max)
    plot.add(.nan, at: 0, to: 0)
    plot.add(.infinity, at: 0, to: 0)
    #expect(plot.text(isColored: false) == "no points to show\n")
    plot.add(.greatestFiniteMagnitude, at: .max, to: 0)
    plot.add(-.greatestFiniteMagnitude, at: .min, to: 0)
    #expect(plot.text(isColored: false).contains("┤"))
  }
}
