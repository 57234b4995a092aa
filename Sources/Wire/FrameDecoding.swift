/// Bounds on the fields of frames: part of the protocol, no settings.
public enum FieldBounds {
  /// Bytes of a method's name.
  public static var methodBytesMax: Int { 256 }
  /// Bytes of an idempotency key.
  public static var idempotencyKeyBytesMax: Int { 64 }
  /// Bytes of a traceparent.
  public static var traceparentBytesMax: Int { 256 }
  /// Entries of a Call's metadata, counted as they are on the wire.
  public static var metadataEntriesMax: Int { 32 }
  /// Bytes of a Call's metadata: the sum over its keys and values.
  public static var metadataBytesMax: Int { 8 << 10 }
  /// Entries of a Status's field_violations, and of its details.
  public static var statusElementsMax: Int { 10_000 }
}

extension Frame {
  /// Decodes the body that ``splitFrame(_:at:frameBytesMax:)`` found.
  ///
  /// Ranges in the result count from the start of `body`. Unknown fields are ignored; a frame
  /// cannot nest deeper than its schema, since unknown fields are not descended into and groups
  /// are refused.
  ///
  /// - Throws: ``ProtocolError``, for bytes that are not one well-formed frame.
  public static func decode(_ body: RawSpan) throws(ProtocolError) -> Frame {
    var cursor = FieldCursor(0..<body.byteCount)
    var stream: UInt32 = 0
    var found: (number: BodyNumber, content: Range<Int>)?
    while let tag = try cursor.tag(in: body, of: "frame") {
      if tag == Tag.stream {
        try cursor.once(1, field: "frame.stream")
        stream = try cursor.varint32(in: body, field: "frame.stream")
      } else if tag & 7 == WireType.lengthDelimited.rawValue,
        let number = BodyNumber(rawValue: UInt8(truncatingIfNeeded: min(tag >> 3, 0xFF)))
      {
        guard found == nil else { throw .repeatedField(field: "frame.body") }
        found = (number, try cursor.content(in: body, field: "frame.body"))
      } else {
        try cursor.skip(tag, in: body, of: "frame", known: 1...11)
      }
    }
    guard let found else { throw .missingBody }
    return Frame(
      stream: stream, body: try decode(found.number, body, found.content))
  }

  private static func decode(
    _ number: BodyNumber, _ bytes: RawSpan, _ range: Range<Int>
  ) throws(ProtocolError) -> Body {
    switch number {
    case .call: .call(try decodeCall(bytes, range))
    case .data: .data(try decodeData(bytes, range))
    case .end: .end(try decodeEnd(bytes, range))
    case .cancel: try decodeCancel(bytes, range)
    case .credit: .credit(bytes: try decodeCredit(bytes, range))
    case .ping: .ping(token: try decodeToken(bytes, range, "ping", "ping.token"))
    case .pong: .pong(token: try decodeToken(bytes, range, "pong", "pong.token"))
    case .hello: .hello(try Hello(bytes, range))
    case .welcome: .welcome(try Welcome(bytes, range))
    case .goaway: .goaway(try Goaway(bytes, range))
    }
  }

  private static func decodeCall(
    _ bytes: RawSpan, _ range: Range<Int>
  ) throws(ProtocolError) -> Call {
    var cursor = FieldCursor(range)
    let empty = range.lowerBound..<range.lowerBound
    var call = Call(method: empty, message: empty, endOfRequests: false)
    var metadata = MapBudget(
      field: "call.metadata", entriesMax: FieldBounds.metadataEntriesMax,
      bytesMax: FieldBounds.metadataBytesMax)
    while let tag = try cursor.tag(in: bytes, of: "call") {
      switch tag {
      case Tag.text(1):
        try cursor.once(1, field: "call.method")
        call.method = try cursor.textRange(
          in: bytes, field: "call.method", bytesMax: FieldBounds.methodBytesMax)
      case Tag.varint(2):
        try cursor.once(2, field: "call.timeout_ms")
        call.timeoutMilliseconds = try cursor.varint32(in: bytes, field: "call.timeout_ms")
      case Tag.text(3):
        try cursor.once(3, field: "call.idempotency_key")
        call.idempotencyKey = try cursor.text(
          in: bytes, field: "call.idempotency_key", bytesMax: FieldBounds.idempotencyKeyBytesMax)
      case Tag.text(4):
        try cursor.once(4, field: "call.traceparent")
        call.traceparent = try cursor.text(
          in: bytes, field: "call.traceparent", bytesMax: FieldBounds.traceparentBytesMax)
      case Tag.text(5):
        try cursor.once(5, field: "call.message")
        call.message = try cursor.content(in: bytes, field: "call.message")
      case Tag.varint(6):
        try cursor.once(6, field: "call.end_of_requests")
        call.endOfRequests = try cursor.varint(in: bytes, field: "call.end_of_requests") != 0
      case Tag.varint(7):
        try cursor.once(7, field: "call.no_message")
        call.hasNoMessage = try cursor.varint(in: bytes, field: "call.no_message") != 0
      case Tag.text(8):
        try cursor.mapEntry(in: bytes, budget: &metadata, into: &call.metadata)
      default:
        try cursor.skip(tag, in: bytes, of: "call", known: 1...8)
      }
    }
    return call
  }

  private static func decodeData(
    _ bytes: RawSpan, _ range: Range<Int>
  ) throws(ProtocolError) -> Data {
    var cursor = FieldCursor(range)
    var data = Data(message: range.lowerBound..<range.lowerBound, endOfRequests: false)
    while let tag = try cursor.tag(in: bytes, of: "data") {
      switch tag {
      case Tag.text(1):
        try cursor.once(1, field: "data.message")
        data.message = try cursor.content(in: bytes, field: "data.message")
      case Tag.varint(2):
        try cursor.once(2, field: "data.end_of_requests")
        data.endOfRequests = try cursor.varint(in: bytes, field: "data.end_of_requests") != 0
      default:
        try cursor.skip(tag, in: bytes, of: "data", known: 1...2)
      }
    }
    return data
  }

  private static func decodeEnd(
    _ bytes: RawSpan, _ range: Range<Int>
  ) throws(ProtocolError) -> End {
    var cursor = FieldCursor(range)
    var end = End(status: nil, message: range.lowerBound..<range.lowerBound)
    while let tag = try cursor.tag(in: bytes, of: "end") {
      switch tag {
      case Tag.text(1):
        try cursor.once(1, field: "end.status")
        end.status = try Status(bytes, try cursor.content(in: bytes, field: "end.status"))
      case Tag.text(2):
        try cursor.once(2, field: "end.message")
        end.message = try cursor.content(in: bytes, field: "end.message")
      default:
        try cursor.skip(tag, in: bytes, of: "end", known: 1...2)
      }
    }
    return end
  }

  private static func decodeCancel(
    _ bytes: RawSpan, _ range: Range<Int>
  ) throws(ProtocolError) -> Body {
    var cursor = FieldCursor(range)
    while let tag = try cursor.tag(in: bytes, of: "cancel") {
      // Cancel has no fields yet: 0 is no field's number.
      try cursor.skip(tag, in: bytes, of: "cancel", known: 0...0)
    }
    return .cancel
  }

  private static func decodeCredit(
    _ bytes: RawSpan, _ range: Range<Int>
  ) throws(ProtocolError) -> UInt64 {
    var cursor = FieldCursor(range)
    var credit: UInt64 = 0
    while let tag = try cursor.tag(in: bytes, of: "credit") {
      if tag == Tag.varint(1) {
        try cursor.once(1, field: "credit.bytes")
        credit = try cursor.varint(in: bytes, field: "credit.bytes")
      } else {
        try cursor.skip(tag, in: bytes, of: "credit", known: 1...1)
      }
    }
    return credit
  }

  private static func decodeToken(
    _ bytes: RawSpan, _ range: Range<Int>, _ message: String, _ field: String
  ) throws(ProtocolError) -> UInt64 {
    var cursor = FieldCursor(range)
    var token: UInt64 = 0
    while let tag = try cursor.tag(in: bytes, of: message) {
      if tag == Tag.fixed64(1) {
        try cursor.once(1, field: field)
        token = try cursor.fixed64(in: bytes, field: field)
      } else {
        try cursor.skip(tag, in: bytes, of: message, known: 1...1)
      }
    }
    return token
  }
}

/// Tags as they are on the wire.
enum Tag {
  static let stream = varint(1)

  @inline(__always) static func varint(_ number: UInt32) -> UInt32 { number << 3 }
  @inline(__always) static func fixed64(_ number: UInt32) -> UInt32 { number << 3 | 1 }
  @inline(__always) static func text(_ number: UInt32) -> UInt32 { number << 3 | 2 }
}
