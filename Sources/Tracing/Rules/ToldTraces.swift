internal import Messages
internal import RPC

/// What spans of one trace tell of it.
struct ToldTrace {
  let traceID: String
  let spans: [Span]
  let tags: TracePairs
  let metadata: TracePairs
  let requestPreview: String?
  let responsePreview: String?
  /// That of the root; in progress while there is none.
  let state: String
  /// When the first span begins, in milliseconds since 1970.
  let startMs: Int64
  /// When the last span that has ended does; -1 while none has.
  let endMs: Int64

  init(_ told: TraceSpans, _ field: String, _ validator: inout Validator) {
    traceID = told.traceID
    validator.traceID("\(field).trace_id", told.traceID)
    if told.spans.isEmpty { validator.refuse("\(field).spans", "must be at least one") }
    spans = ToldTrace.last(of: told.spans)
    for (index, span) in told.spans.prefix(SpanBounds.perRequestMax).enumerated() {
      validator.check(span, "\(field).spans[\(index)]")
    }
    tags = TracePairs("\(field).tags", told.tags, &validator)
    metadata = TracePairs("\(field).metadata", told.metadata, &validator)
    validator.optionalText(
      "\(field).request_preview", told.requestPreview, bytesMax: TraceBounds.previewBytesMax)
    validator.optionalText(
      "\(field).response_preview", told.responsePreview, bytesMax: TraceBounds.previewBytesMax)
    requestPreview = told.requestPreview
    responsePreview = told.responsePreview
    let root = spans.first { $0.parentSpanID == nil }
    state = root.map { $0.status == "ERROR" ? "error" : "ok" } ?? "in_progress"
    let start = (spans.map(\.startNs).min() ?? 0) / 1_000_000
    startMs = start
    // A clock that went back ends nothing before it began.
    endMs = spans.compactMap(\.endNs).max().map { max($0 / 1_000_000, start) } ?? -1
  }

  /// Each span once: the last of those with one identifier.
  private static func last(of spans: [Span]) -> [Span] {
    var places: [ExactText: Int] = [:]
    var kept: [Span] = []
    for span in spans {
      if let place = places[ExactText(span.spanID)] {
        kept[place] = span
      } else {
        places[ExactText(span.spanID)] = kept.count
        kept.append(span)
      }
    }
    return kept
  }
}

/// What a request tells of traces.
struct ToldTraces {
  private(set) var traces: [ToldTrace] = []

  var spanCount: Int { traces.reduce(0) { $0 + $1.spans.count } }

  init(_ told: [TraceSpans], _ validator: inout Validator) {
    let count = told.reduce(0) { $0 + $1.spans.count }
    guard !told.isEmpty, count <= SpanBounds.perRequestMax else {
      validator.refuse(
        "traces", "must be 1 to \(SpanBounds.perRequestMax) spans together, are \(count)")
      return
    }
    var seen: Set<ExactText> = []
    for (index, trace) in told.enumerated() {
      if !seen.insert(ExactText(trace.traceID)).inserted {
        validator.refuse("traces[\(index)].trace_id", "must not come twice")
      }
      traces.append(ToldTrace(trace, "traces[\(index)]", &validator))
    }
  }
}

extension Validator {
  fileprivate mutating func check(_ span: Span, _ field: String) {
    name("\(field).span_id", span.spanID, bytes: SpanBounds.idBytes)
    if let parent = span.parentSpanID {
      name("\(field).parent_span_id", parent, bytes: SpanBounds.idBytes)
    }
    text("\(field).name", span.name, bytesMax: SpanBounds.nameBytesMax)
    optionalText("\(field).type", span.type, bytesMax: SpanBounds.typeBytesMax)
    text("\(field).status", span.status, bytesMax: SpanBounds.statusBytesMax)
    if span.startNs < 0 { refuse("\(field).start_ns", "must be 0 or more") }
    if let end = span.endNs, end < 0 { refuse("\(field).end_ns", "must be 0 or more") }
    if jsonObject(
      "\(field).content_json", span.contentJSON, bytesMax: SpanBounds.contentBytesMax
    ) != span.contentJSON {
      refuse("\(field).content_json", "must be a JSON object, at least {}")
    }
  }
}
