import Messages
import RPC
import Testing
import Wire

@testable import Tracing

/// What spans tell of their trace.
struct ToldTracesTests {
  private static func span(
    _ id: String, under parent: String? = nil, _ times: ClosedRange<Int64>? = nil,
    status: String = "OK"
  ) -> Span {
    var span = Span()
    span.spanID = id
    span.parentSpanID = parent
    span.name = id
    span.status = status
    span.contentJSON = "{}"
    span.startNs = (times?.lowerBound ?? 0) * 1_000_000
    span.endNs = times.map { $0.upperBound * 1_000_000 }
    return span
  }

  private static func told(_ spans: Span...) -> (ToldTrace, [String]) {
    var trace = TraceSpans()
    trace.traceID = "t"
    trace.spans = spans
    var validator = Validator()
    let told = ToldTrace(trace, "traces[0]", &validator)
    do throws(CallError) {
      try validator.finish()
      return (told, [])
    } catch {
      return (told, error.status.fieldViolations.map(\.field))
    }
  }

  @Test("A trace begins with its first span, ends with its last, and stands as its root does")
  func times() {
    let (told, wrong) = Self.told(
      Self.span("b", under: "a", 5...9), Self.span("a", 7...8, status: "ERROR"),
      Self.span("c", under: "a"))
    #expect(wrong == [])
    #expect((told.startMs, told.endMs, told.state) == (0, 9, "error"))
  }

  @Test("Without a root it is in progress, and without an end it has none")
  func progress() {
    let (told, _) = Self.told(Self.span("b", under: "a"))
    #expect((told.endMs, told.state) == (-1, "in_progress"))
    #expect(Self.told(Self.span("a")).0.state == "ok")
  }

  @Test("A clock that went back ends nothing before it began")
  func clock() {
    var span = Self.span("a", 5...9)
    span.endNs = 1_000_000
    let (told, wrong) = Self.told(span)
    #expect(wrong == [])
    #expect((told.startMs, told.endMs) == (5, 5))
  }

  @Test("Of spans with one identifier the last counts, in the place of the first")
  func twice() {
    var again = Self.span("a")
    again.name = "again"
    let (told, _) = Self.told(Self.span("a"), Self.span("b"), again)
    #expect(told.spans.map(\.name) == ["again", "b"])
  }

  @Test("Each bad field is named")
  func refusals() {
    var span = Self.span("", under: "")
    span.name = String(repeating: "x", count: SpanBounds.nameBytesMax + 1)
    span.contentJSON = ""
    span.startNs = -1
    span.endNs = -1
    #expect(
      Set(Self.told(span).1)
        == Set(
          ["span_id", "parent_span_id", "name", "content_json", "start_ns", "end_ns"]
            .map { "traces[0].spans[0].\($0)" }))
  }

  @Test("A request tells of each trace once, and of at least one span")
  func requests() {
    var trace = TraceSpans()
    trace.traceID = "t"
    trace.spans = [Self.span("a")]
    for (traces, isGood) in [
      ([trace], true), ([trace, trace], false), ([], false), ([TraceSpans()], false),
    ] {
      var validator = Validator()
      _ = ToldTraces(traces, &validator)
      #expect(((try? validator.finish()) != nil) == isGood)
    }
  }
}
