internal import Messages

/// The spans of a trace in the order of their tree: each behind its parent, those of one parent by
/// when they began.
struct SpanTree {
  /// Each with how deep it is.
  let lines: [(depth: Int, span: Span)]
  /// When the first began, in nanoseconds since 1970.
  let startNs: Int64

  init(_ spans: [Span]) {
    startNs = spans.map(\.startNs).min() ?? 0
    let ids = Set(spans.map(\.spanID))
    var children: [String: [Span]] = [:]
    var roots: [Span] = []
    for span in spans.sorted(by: { ($0.startNs, $0.spanID) < ($1.startNs, $1.spanID) }) {
      // One whose parent never came stands at the top.
      if let parent = span.parentSpanID, ids.contains(parent) {
        children[parent, default: []].append(span)
      } else {
        roots.append(span)
      }
    }
    var lines: [(depth: Int, span: Span)] = []
    var waiting = roots.reversed().map { (depth: 0, span: $0) }
    while let next = waiting.popLast() {
      lines.append(next)
      let own = children.removeValue(forKey: next.span.spanID) ?? []
      waiting += own.reversed().map { (next.depth + 1, $0) }
    }
    // Those of a circle have no way from the top.
    let circle = children.values.joined().sorted { $0.startNs < $1.startNs }
    self.lines = lines + circle.map { (0, $0) }
  }
}
