import Messages
import Testing

@testable import needletail

/// How the spans of a trace are told.
struct SpanTreeTests {
  private static func span(_ id: String, _ parent: String?, _ start: Int64) -> Span {
    var span = Span()
    span.spanID = id
    span.parentSpanID = parent
    span.startNs = start
    return span
  }

  private static func told(_ spans: Span...) -> [String] {
    SpanTree(spans).lines.map { String(repeating: " ", count: $0.depth) + $0.span.spanID }
  }

  @Test("Each stands behind its parent, those of one parent by when they began")
  func order() {
    #expect(
      Self.told(
        Self.span("d", "b", 4), Self.span("c", "a", 3), Self.span("b", "a", 2),
        Self.span("a", nil, 5), Self.span("e", nil, 1)) == ["e", "a", " b", "  d", " c"])
    #expect(SpanTree([Self.span("a", nil, 5), Self.span("b", "a", 2)]).startNs == 2)
  }

  @Test("One whose parent never came stands at the top, and a circle is told all the same")
  func lost() {
    #expect(
      Self.told(Self.span("a", "never", 2), Self.span("b", "c", 3), Self.span("c", "b", 1))
        == ["a", "c", "b"])
    #expect(Self.told(Self.span("a", "a", 1)) == ["a"])
    #expect(Self.told() == [])
  }
}
