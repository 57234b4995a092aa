/// Walks the fields of one message within a span, without taking anything on trust.
///
/// Invariant: `offset <= end <= bytes.byteCount`; every read checks its length against `end`
/// before it advances, so no message can reach into what follows it.
struct FieldCursor {
  private(set) var offset: Int
  let end: Int
  /// A bit for each singular field that was met, by its number.
  private var seen: UInt32 = 0

  init(_ range: Range<Int>) {
    offset = range.lowerBound
    end = range.upperBound
  }

  /// The next field's tag as it is on the wire (number × 8 + wire type), or nil at the end.
  mutating func tag(
    in bytes: RawSpan, of message: String
  ) throws(ProtocolError) -> UInt32? {
    guard offset < end else { return nil }
    let first = byte(at: offset, in: bytes)
    let tag: UInt64
    if first < 0x80 {
      offset += 1
      tag = UInt64(first)
    } else {
      tag = try longVarint(in: bytes, field: message)
    }
    guard tag >= 8, tag <= UInt64(UInt32.max), Self.hasKnownWireType(tag) else {
      throw .malformedTag(message: message)
    }
    return UInt32(tag)
  }

  mutating func varint(in bytes: RawSpan, field: String) throws(ProtocolError) -> UInt64 {
    guard offset < end else { throw .truncatedField(field: field) }
    let first = byte(at: offset, in: bytes)
    if first < 0x80 {
      offset += 1
      return UInt64(first)
    }
    return try longVarint(in: bytes, field: field)
  }

  mutating func varint32(in bytes: RawSpan, field: String) throws(ProtocolError) -> UInt32 {
    guard let value = UInt32(exactly: try varint(in: bytes, field: field)) else {
      throw .oversizeVarint(field: field)
    }
    return value
  }

  mutating func fixed64(in bytes: RawSpan, field: String) throws(ProtocolError) -> UInt64 {
    guard end - offset >= 8 else { throw .truncatedField(field: field) }
    let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
    offset += 8
    return UInt64(littleEndian: value)
  }

  /// Where a length-delimited field's content is.
  mutating func content(in bytes: RawSpan, field: String) throws(ProtocolError) -> Range<Int> {
    let length = try varint(in: bytes, field: field)
    guard length <= UInt64(end - offset) else { throw .truncatedField(field: field) }
    let range = offset..<offset + Int(length)
    offset = range.upperBound
    return range
  }

  /// Where a text field's content is, once it is known to be UTF-8 without U+0000.
  mutating func textRange(
    in bytes: RawSpan, field: String, bytesMax: Int
  ) throws(ProtocolError) -> Range<Int> {
    let range = try content(in: bytes, field: field)
    guard range.count <= bytesMax else { throw .fieldTooLarge(field: field, max: bytesMax) }
    guard isText(bytes, range) else { throw .invalidText(field: field) }
    return range
  }

  mutating func text(
    in bytes: RawSpan, field: String, bytesMax: Int = .max
  ) throws(ProtocolError) -> String {
    let range = try textRange(in: bytes, field: field, bytesMax: bytesMax)
    guard !range.isEmpty else { return "" }
    return unsafe bytes.withUnsafeBytes { all in
      unsafe String(decoding: all[range], as: UTF8.self)
    }
  }

  /// Marks a singular field as met.
  mutating func once(_ number: UInt32, field: String) throws(ProtocolError) {
    let bit: UInt32 = 1 << number
    guard seen & bit == 0 else { throw .repeatedField(field: field) }
    seen |= bit
  }

  /// Passes over a field that this version does not know.
  ///
  /// A field whose number it does know has the wrong wire type.
  mutating func skip(
    _ tag: UInt32, in bytes: RawSpan, of message: String, known: ClosedRange<UInt32>
  ) throws(ProtocolError) {
    let number = tag >> 3
    if known.contains(number) { throw .wrongWireType(message: message, number: number) }
    switch WireType(rawValue: UInt8(tag & 7)) {
    case .varint: _ = try varint(in: bytes, field: message)
    case .lengthDelimited: _ = try content(in: bytes, field: message)
    case .fixed64: try advance(8, of: message)
    case .fixed32: try advance(4, of: message)
    case nil: throw .malformedTag(message: message)
    }
  }

  private mutating func advance(_ count: Int, of message: String) throws(ProtocolError) {
    guard end - offset >= count else { throw .truncatedField(field: message) }
    offset += count
  }

  private mutating func longVarint(
    in bytes: RawSpan, field: String
  ) throws(ProtocolError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while offset < end {
      let next = UInt64(byte(at: offset, in: bytes))
      // The tenth byte holds the last of 64 bits.
      guard shift < 63 || next <= 1 else { throw .oversizeVarint(field: field) }
      offset += 1
      value |= (next & 0x7F) << shift
      if next < 0x80 { return value }
      shift += 7
    }
    throw .truncatedField(field: field)
  }

  /// Varint, fixed64, length-delimited and fixed32; not groups, not 6 and 7.
  private static func hasKnownWireType(_ tag: UInt64) -> Bool {
    0b0010_0111 & (1 << (tag & 7)) != 0
  }

  private func byte(at offset: Int, in bytes: RawSpan) -> UInt8 {
    unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }
}
