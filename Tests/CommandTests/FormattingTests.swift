import Messages
import Testing

@testable import needletail

@Suite struct FormattingTests {
  @Test(
    "A curve rises with its values",
    arguments: [
      ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
      ([5, 5, 5], 8, "▄▄▄"),
      ([], 8, ""),
      ([1], 8, "▄"),
      ([.nan, 0, .infinity, 1], 8, "·▁·█"),
      ([.nan, .nan], 8, "··"),
      ([0, 0, 1, 1], 2, "▁█"),
      ([-1e308, 1e308], 8, "▁█"),
    ] as [([Double], Int, String)])
  func sparkline(values: [Double], width: Int, expected: String) {
    var line = Sparkline(width: width)
    for value in values { line.add(value) }
    #expect(line.text == expected)
  }

  @Test(
    "What a server sends neither commands a terminal nor turns its lines around",
    arguments: [
      "\u{1b}", "\n", "\u{85}", "\u{61c}", "\u{200f}", "\u{2028}", "\u{202e}", "\u{2066}",
      "\u{2069}",
    ])
  func unharmed(text: String) {
    #expect(visible("a\(text)b") == "a\u{fffd}b")
    #expect(
      visible("\u{e9}va \u{5d0}\u{5d3} \u{1f469}\u{200d}\u{1f52c}")
        == "\u{e9}va \u{5d0}\u{5d3} \u{1f469}\u{200d}\u{1f52c}")
  }

  @Test("A curve of many values keeps its width and its shape")
  func longSparkline() {
    var line = Sparkline(width: 10)
    for value in 0..<100_003 { line.add(Double(value)) }
    #expect(line.text.count == 10)
    #expect(line.text.first == "▁")
    #expect(line.text.last == "█")
    #expect(line.text == String(line.text.sorted()))
  }

  @Test(
    "Numbers are short",
    arguments: [
      (0, "0"), (-0.0, "0"), (1, "1"), (-1.5, "-1.5"), (0.1, "0.1"), (1.0 / 3, "0.333333"),
      (123_456.789, "123457"), (0.00012345678, "0.000123457"), (0.0000123, "1.23e-5"),
      (1e15, "1e15"), (123_456_789, "123456789"), (-2.5e20, "-2.5e20"), (9.999_999_9e-6, "1e-5"),
      (.nan, "NaN"), (.infinity, "Inf"), (-.infinity, "-Inf"),
      (.leastNonzeroMagnitude, "4.94066e-324"),
    ] as [(Double, String)])
  func shortNumbers(value: Double, expected: String) {
    #expect(short(value) == expected)
  }

  @Test(
    "Durations are told in two units at most",
    arguments: [
      (0, "0 ms"), (999, "999 ms"), (3_210, "3.2 s"), (250_000, "4 min 10 s"),
      (7_500_000, "2 h 5 min"),
    ] as [(Int64, String)])
  func durations(milliseconds: Int64, expected: String) {
    #expect(duration(milliseconds: milliseconds) == expected)
  }

  @Test(
    "Times are read and written as RFC 3339",
    arguments: [
      ("1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z"),
      ("0001-01-01T00:00:00Z", -62_135_596_800, 0, "0001-01-01T00:00:00Z"),
      (
        "9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999,
        "9999-12-31T23:59:59.999999999Z"
      ),
      ("2024-02-29T12:30:00.12-05:30", 1_709_229_600, 120_000_000, "2024-02-29T18:00:00.120Z"),
      ("1969-12-31t23:59:59.000001z", -1, 1_000, "1969-12-31T23:59:59.000001Z"),
    ] as [(String, Int64, Int32, String)])
  func times(text: String, seconds: Int64, nanoseconds: Int32, written: String) throws {
    let time = try #require(CalendarTime.parse(text))
    #expect(time == (seconds, nanoseconds))
    #expect(CalendarTime.format(seconds: seconds, nanoseconds: nanoseconds) == written)
  }

  @Test(
    "What is no time is refused",
    arguments: [
      "", "2026-01-02", "2026-01-02T03:04:05", "2026-13-01T00:00:00Z", "2026-04-31T00:00:00Z",
      "2026-01-02T24:00:00Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05.1234567890Z",
      "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "2026-01-02T03:04:05Z ",
      "٢026-01-02T03:04:05Z",
    ])
  func noTimes(text: String) {
    #expect(CalendarTime.parse(text) == nil)
  }

  @Test("Base64 comes back as it was, in any of its spellings")
  func base64() {
    for count in 0..<20 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 89 + 200) }
      let text = Base64.encode(bytes)
      #expect(Base64.decode(text) == bytes)
      #expect(Base64.decode(text.replacing("=", with: "")) == bytes)
      #expect(text.count % 4 == 0)
    }
    for text in ["A", "AB=", "AB===", "A=BC", "AB C", "AR==", "====", "é"] {
      #expect(Base64.decode(text) == nil, "\(text)")
    }
  }

  @Test("A table aligns its columns and shows no control characters")
  func table() {
    var table = Table([("A", .left), ("NUMBER", .right)])
    table.add(["long\u{1B}[2J", "7"])
    table.add(["x", "12"])
    #expect(table.text == "A         NUMBER\nlong\u{FFFD}[2J       7\nx             12\n")
  }

  @Test("A histogram's quantiles are within two per cent")
  func histogram() {
    var all = Histogram()
    var part = Histogram()
    for value in 1...100_000 as ClosedRange<UInt64> {
      if value % 2 == 0 { all.add(value * 1_000) } else { part.add(value * 1_000) }
    }
    all.add(part)
    #expect(all.count == 100_000)
    for (fraction, exact) in [(0.5, 50_000_000.0), (0.9, 90_000_000), (0.99, 99_000_000)] {
      #expect(abs(Double(all.quantile(fraction)) / exact - 1) < 0.02)
    }
    #expect(all.quantile(1) == 100_000_000)
    #expect(Histogram().quantile(0.5) == 0)
    var edges = Histogram()
    for value in [0, 63, 64, .max] as [UInt64] { edges.add(value) }
    #expect(edges.quantile(0) == 0)
    #expect(edges.quantile(1) == .max)
  }
}
