internal import Messages
internal import RPC

/// The bounds of traces and of what belongs to them.
enum TraceBounds {
  static let idBytes = 1...250
  /// Unicode scalars.
  static let keyCharacters = 1...250
  static let measureBytesMax = 1_000
  static let valueBytesMax = 32_000
  static let previewBytesMax = 64 << 10
  static let clientRequestIDBytesMax = 1_000
  /// Milliseconds since 1970: the end of the year 9999.
  static let timeMsMax: Int64 = 253_402_300_799_999
  /// Tags, or pieces of metadata, in one request.
  static let pairsMax = 1_000
  /// Bytes of the tags of a trace, and of its metadata.
  ///
  /// With these two, its previews and its assessments, every trace fits an answer.
  static let pairsBytesMax: Int64 = 512 << 10
  /// Bytes of the assessments of a trace.
  static let assessmentsBytesMax: Int64 = 2 << 20
  /// Traces that one request asks for.
  static let readMax = 500
  /// Traces that one request deletes.
  static let deletedMax = 1_000
  /// Traces that one request links to a run.
  static let linkedMax = 100
  static let pageSize = 100
  static let pageSizeMax = 500
  static let experimentIDsMax = 1_000
  /// Bytes of one kind that come along with traces; what is beyond waits for the next answer.
  static let pageBytesMax: Int64 = 1 << 20
  /// The same of a trace that is alone in an answer.
  static let loneBytesMax: Int64 = 4 << 20
  /// Identifiers and keys that the audit log names of one change.
  static let auditedMax = 100
}

/// The bounds of spans.
enum SpanBounds {
  static let perRequestMax = 1_000
  static let idBytes = 1...50
  static let nameBytesMax = 1_000
  static let typeBytesMax = 500
  static let statusBytesMax = 50
  static let contentBytesMax = 2 << 20
  static let pageSize = 1_000
  static let pageSizeMax = 10_000
  static let pageBytesMax: Int64 = 1 << 20
}

/// The bounds of assessments.
enum AssessmentBounds {
  static let idBytesMax = 50
  static let nameCharacters = 1...250
  static let textBytesMax = 64 << 10
  static let sourceTypeBytesMax = 50
  static let sourceIDBytesMax = 250
}

/// Tags or metadata, each key once.
struct TracePairs {
  let keys: [String]
  let values: [String]

  var isEmpty: Bool { keys.isEmpty }

  /// Reads them, and notes every bad one.
  init(_ field: String, _ pairs: [TracePair], _ validator: inout Validator) {
    keys = pairs.map(\.key)
    values = pairs.map(\.value)
    if pairs.count > TraceBounds.pairsMax {
      validator.refuse(field, "must be at most \(TraceBounds.pairsMax), are \(pairs.count)")
    }
    var seen: Set<ExactText> = []
    for (index, pair) in pairs.enumerated() {
      validator.name("\(field)[\(index)].key", pair.key, characters: TraceBounds.keyCharacters)
      validator.text(
        "\(field)[\(index)].value", pair.value, bytesMax: TraceBounds.valueBytesMax)
      if !seen.insert(ExactText(pair.key)).inserted {
        validator.refuse("\(field)[\(index)].key", "must not come twice")
      }
    }
  }

  /// What the audit log keeps of them.
  func audited(_ name: String) -> [(String, String)] {
    zip(keys, values).prefix(TraceBounds.auditedMax).map { key, value in
      ("\(name).\(key)", String(value.unicodeScalars.prefix(200).map(Character.init)))
    }
  }
}

extension Validator {
  /// Checks the identifier that a client gave a trace.
  mutating func traceID(_ field: String, _ id: String) {
    name(field, id, bytes: TraceBounds.idBytes)
  }

  /// Checks identifiers of traces, each of which may come once.
  mutating func traceIDs(_ ids: [String], count: ClosedRange<Int>) {
    if !count.contains(ids.count) {
      refuse(
        "trace_ids", "must be \(count.lowerBound) to \(count.upperBound), are \(ids.count)")
    }
    var seen: Set<ExactText> = []
    for (index, id) in ids.prefix(count.upperBound).enumerated() {
      traceID("trace_ids[\(index)]", id)
      if !seen.insert(ExactText(id)).inserted {
        refuse("trace_ids[\(index)]", "must not come twice")
      }
    }
  }

  /// Checks a text that may be absent.
  mutating func optionalText(_ field: String, _ text: String?, bytesMax: Int) {
    if let text { self.text(field, text, bytesMax: bytesMax) }
  }

  /// Checks a time or a duration in milliseconds.
  mutating func milliseconds(_ field: String, _ value: Int64) {
    if !(0...TraceBounds.timeMsMax).contains(value) {
      refuse(field, "must be 0 to \(TraceBounds.timeMsMax)")
    }
  }

  /// Checks that a text is a JSON value of any kind.
  mutating func jsonValue(_ field: String, _ value: String, bytesMax: Int) {
    text(field, value, bytesMax: bytesMax)
    // What is a value alone and in a list is one value, and not several.
    let isOne =
      JSONText.problem(in: "{\"v\":\(value)}") == nil
      && JSONText.problem(in: "{\"v\":[\(value)]}") == nil
    if !isOne { refuse(field, "must be a JSON value, such as 0.9, \"yes\", true or null") }
  }
}

extension TraceState {
  /// As it is stored; nil for a number that this version does not know.
  var word: String? {
    switch self {
    case .unspecified: "unspecified"
    case .ok: "ok"
    case .error: "error"
    case .inProgress: "in_progress"
    case .unrecognized: nil
    }
  }

  /// As it was stored.
  init(word: String) {
    self =
      switch word {
      case "ok": .ok
      case "error": .error
      case "in_progress": .inProgress
      default: .unspecified
      }
  }
}

extension AssessmentKind {
  /// As it is stored; nil for one that is not.
  var word: String? {
    switch self {
    case .feedback: "feedback"
    case .expectation: "expectation"
    case .issue: "issue"
    case .unspecified, .unrecognized: nil
    }
  }

  /// As it was stored.
  init(word: String) {
    self =
      switch word {
      case "feedback": .feedback
      case "expectation": .expectation
      default: .issue
      }
  }
}
