/// What a map field may still hold.
struct MapBudget {
  let field: String
  let entriesMax: Int
  let bytesMax: Int
  var entries = 0
  var bytes = 0

  init(field: String, entriesMax: Int, bytesMax: Int) {
    self.field = field
    self.entriesMax = entriesMax
    self.bytesMax = bytesMax
  }

  mutating func take(_ byteCount: Int) throws(ProtocolError) {
    entries += 1
    bytes += byteCount
    guard entries <= entriesMax else { throw .fieldTooLarge(field: field, max: entriesMax) }
    guard bytes <= bytesMax else { throw .fieldTooLarge(field: field, max: bytesMax) }
  }
}

extension FieldCursor {
  /// One entry of a map from text to text; a key that comes again replaces its value.
  mutating func mapEntry(
    in bytes: RawSpan, budget: inout MapBudget, into map: inout [String: String]
  ) throws(ProtocolError) {
    let field = budget.field
    var cursor = FieldCursor(try content(in: bytes, field: field))
    var key = ""
    var value = ""
    while let tag = try cursor.tag(in: bytes, of: field) {
      switch tag {
      case Tag.text(1):
        try cursor.once(1, field: field)
        key = try cursor.text(in: bytes, field: field)
      case Tag.text(2):
        try cursor.once(2, field: field)
        value = try cursor.text(in: bytes, field: field)
      default:
        try cursor.skip(tag, in: bytes, of: field, known: 1...2)
      }
    }
    try budget.take(key.utf8.count + value.utf8.count)
    map[key] = value
  }
}

extension Hello {
  init(_ bytes: RawSpan, _ range: Range<Int>) throws(ProtocolError) {
    self.init(apiKey: "", client: "", streamWindowBytes: 0)
    var cursor = FieldCursor(range)
    while let tag = try cursor.tag(in: bytes, of: "hello") {
      switch tag {
      case Tag.text(1):
        try cursor.once(1, field: "hello.api_key")
        apiKey = try cursor.text(in: bytes, field: "hello.api_key")
      case Tag.text(2):
        try cursor.once(2, field: "hello.client")
        client = try cursor.text(in: bytes, field: "hello.client")
      case Tag.varint(3):
        try cursor.once(3, field: "hello.stream_window_bytes")
        streamWindowBytes = try cursor.varint(in: bytes, field: "hello.stream_window_bytes")
      default:
        try cursor.skip(tag, in: bytes, of: "hello", known: 1...3)
      }
    }
  }
}

extension Welcome {
  init(_ bytes: RawSpan, _ range: Range<Int>) throws(ProtocolError) {
    self.init(
      server: "", organizationID: "", userID: "", apiKeyID: "", connectionID: "", limits: nil)
    var cursor = FieldCursor(range)
    while let tag = try cursor.tag(in: bytes, of: "welcome") {
      switch tag {
      case Tag.text(1):
        try cursor.once(1, field: "welcome.server")
        server = try cursor.text(in: bytes, field: "welcome.server")
      case Tag.text(2):
        try cursor.once(2, field: "welcome.organization_id")
        organizationID = try cursor.text(in: bytes, field: "welcome.organization_id")
      case Tag.text(3):
        try cursor.once(3, field: "welcome.user_id")
        userID = try cursor.text(in: bytes, field: "welcome.user_id")
      case Tag.text(4):
        try cursor.once(4, field: "welcome.api_key_id")
        apiKeyID = try cursor.text(in: bytes, field: "welcome.api_key_id")
      case Tag.text(5):
        try cursor.once(5, field: "welcome.connection_id")
        connectionID = try cursor.text(in: bytes, field: "welcome.connection_id")
      case Tag.text(6):
        try cursor.once(6, field: "welcome.limits")
        limits = try Limits(bytes, try cursor.content(in: bytes, field: "welcome.limits"))
      default:
        try cursor.skip(tag, in: bytes, of: "welcome", known: 1...6)
      }
    }
  }
}

extension Limits {
  init(_ bytes: RawSpan, _ range: Range<Int>) throws(ProtocolError) {
    self.init(
      frameBytesMax: 0, openStreamsMax: 0, streamWindowBytes: 0, connectionWindowBytes: 0,
      idleTimeoutMilliseconds: 0, callTimeoutMaxMilliseconds: 0)
    var cursor = FieldCursor(range)
    while let tag = try cursor.tag(in: bytes, of: "limits") {
      switch tag {
      case Tag.varint(1):
        try cursor.once(1, field: "limits.max_frame_bytes")
        frameBytesMax = try cursor.varint32(in: bytes, field: "limits.max_frame_bytes")
      case Tag.varint(2):
        try cursor.once(2, field: "limits.max_open_streams")
        openStreamsMax = try cursor.varint32(in: bytes, field: "limits.max_open_streams")
      case Tag.varint(3):
        try cursor.once(3, field: "limits.stream_window_bytes")
        streamWindowBytes = try cursor.varint(in: bytes, field: "limits.stream_window_bytes")
      case Tag.varint(4):
        let field = "limits.connection_window_bytes"
        try cursor.once(4, field: field)
        connectionWindowBytes = try cursor.varint(in: bytes, field: field)
      case Tag.varint(5):
        try cursor.once(5, field: "limits.idle_timeout_ms")
        idleTimeoutMilliseconds = try cursor.varint32(in: bytes, field: "limits.idle_timeout_ms")
      case Tag.varint(6):
        let field = "limits.max_call_timeout_ms"
        try cursor.once(6, field: field)
        callTimeoutMaxMilliseconds = try cursor.varint32(in: bytes, field: field)
      default:
        try cursor.skip(tag, in: bytes, of: "limits", known: 1...6)
      }
    }
  }
}

extension Goaway {
  init(_ bytes: RawSpan, _ range: Range<Int>) throws(ProtocolError) {
    self.init(lastStream: 0, status: nil)
    var cursor = FieldCursor(range)
    while let tag = try cursor.tag(in: bytes, of: "goaway") {
      switch tag {
      case Tag.varint(1):
        try cursor.once(1, field: "goaway.last_stream")
        lastStream = try cursor.varint32(in: bytes, field: "goaway.last_stream")
      case Tag.text(2):
        try cursor.once(2, field: "goaway.status")
        status = try Status(bytes, try cursor.content(in: bytes, field: "goaway.status"))
      default:
        try cursor.skip(tag, in: bytes, of: "goaway", known: 1...2)
      }
    }
  }
}

extension Status {
  init(_ bytes: RawSpan, _ range: Range<Int>) throws(ProtocolError) {
    self.init(.ok, reason: "", message: "")
    var cursor = FieldCursor(range)
    var budget = MapBudget(
      field: "status.details", entriesMax: FieldBounds.statusElementsMax, bytesMax: .max)
    while let tag = try cursor.tag(in: bytes, of: "status") {
      switch tag {
      case Tag.varint(1):
        try cursor.once(1, field: "status.code")
        codeNumber = UInt32(truncatingIfNeeded: try cursor.varint(in: bytes, field: "status.code"))
      case Tag.text(2):
        try cursor.once(2, field: "status.message")
        message = try cursor.text(in: bytes, field: "status.message")
      case Tag.text(3):
        try cursor.once(3, field: "status.reason")
        reason = try cursor.text(in: bytes, field: "status.reason")
      case Tag.text(4):
        guard fieldViolations.count < FieldBounds.statusElementsMax else {
          throw .fieldTooLarge(
            field: "status.field_violations", max: FieldBounds.statusElementsMax)
        }
        let content = try cursor.content(in: bytes, field: "status.field_violations")
        fieldViolations.append(try FieldViolation(bytes, content))
      case Tag.varint(5):
        try cursor.once(5, field: "status.retry_after_ms")
        retryAfterMilliseconds = try cursor.varint32(in: bytes, field: "status.retry_after_ms")
      case Tag.text(6):
        try cursor.mapEntry(in: bytes, budget: &budget, into: &details)
      case Tag.text(7):
        try cursor.once(7, field: "status.request_id")
        requestID = try cursor.text(in: bytes, field: "status.request_id")
      default:
        try cursor.skip(tag, in: bytes, of: "status", known: 1...7)
      }
    }
  }
}

extension FieldViolation {
  init(_ bytes: RawSpan, _ range: Range<Int>) throws(ProtocolError) {
    self.init(field: "", description: "")
    var cursor = FieldCursor(range)
    while let tag = try cursor.tag(in: bytes, of: "field_violation") {
      switch tag {
      case Tag.text(1):
        try cursor.once(1, field: "field_violation.field")
        field = try cursor.text(in: bytes, field: "field_violation.field")
      case Tag.text(2):
        try cursor.once(2, field: "field_violation.description")
        description = try cursor.text(in: bytes, field: "field_violation.description")
      default:
        try cursor.skip(tag, in: bytes, of: "field_violation", known: 1...2)
      }
    }
  }
}
