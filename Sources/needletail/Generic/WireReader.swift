/// Why bytes or a JSON document are not a message of the expected type.
struct GenericError: Error, Equatable, CustomStringConvertible {
  /// Where: `runs[3].series[0].key`; empty for the whole.
  let path: String
  /// What is wrong there.
  let problem: String

  var description: String { path.isEmpty ? problem : "\(path): \(problem)" }
}

/// Reads the fields of one message, whatever its type.
struct WireReader {
  /// The content of one field as it is on the wire.
  enum Value: Equatable {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    case bytes(ArraySlice<UInt8>)
  }

  private let bytes: ArraySlice<UInt8>
  private var offset: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    offset = bytes.startIndex
  }

  init(_ bytes: [UInt8]) { self.init(bytes[...]) }

  private var malformed: GenericError {
    GenericError(path: "", problem: "the bytes are no protobuf message")
  }

  /// Whether nothing is left.
  var isAtEnd: Bool { offset == bytes.endIndex }

  /// The next field's number and content; nil at the end.
  mutating func next() throws(GenericError) -> (number: Int, value: Value)? {
    guard !isAtEnd else { return nil }
    let tag = try varint()
    guard let number = Int(exactly: tag >> 3), number > 0, number < 1 << 29 else {
      throw malformed
    }
    switch tag & 7 {
    case 0: return (number, .varint(try varint()))
    case 1: return (number, .fixed64(try fixed64()))
    case 2:
      guard let count = Int(exactly: try varint()), count <= bytes.endIndex - offset else {
        throw malformed
      }
      defer { offset += count }
      return (number, .bytes(bytes[offset..<offset + count]))
    case 5: return (number, .fixed32(try fixed32()))
    default: throw malformed
    }
  }

  mutating func varint() throws(GenericError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while !isAtEnd, shift < 64 {
      let byte = UInt64(bytes[offset])
      offset += 1
      value |= (byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw malformed
  }

  mutating func fixed64() throws(GenericError) -> UInt64 {
    UInt64(try fixed32()) | UInt64(try fixed32()) << 32
  }

  mutating func fixed32() throws(GenericError) -> UInt32 {
    guard bytes.endIndex - offset >= 4 else { throw malformed }
    var value: UInt32 = 0
    for index in (0..<4).reversed() { value = value << 8 | UInt32(bytes[offset + index]) }
    offset += 4
    return value
  }
}

/// Writes the fields of one message, whatever its type.
struct WireWriter {
  private(set) var bytes: [UInt8] = []

  mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  mutating func fixed32(_ value: UInt32) {
    for shift in stride(from: 0, to: 32, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift)))
    }
  }

  mutating func fixed64(_ value: UInt64) {
    fixed32(UInt32(truncatingIfNeeded: value))
    fixed32(UInt32(truncatingIfNeeded: value >> 32))
  }

  /// A field's tag, by its number and wire type.
  mutating func tag(_ number: Int, _ wireType: UInt64) {
    varint(UInt64(number) << 3 | wireType)
  }

  mutating func lengthDelimited(_ number: Int, _ content: some Collection<UInt8>) {
    tag(number, 2)
    varint(UInt64(content.count))
    bytes += content
  }

  mutating func append(_ content: [UInt8]) { bytes += content }
}
