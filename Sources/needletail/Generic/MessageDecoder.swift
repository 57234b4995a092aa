internal import Client

/// Turns the bytes of a message into JSON, by the rules of proto3's JSON mapping.
///
/// Absent and unknown fields are left out; 64-bit integers are strings.
struct MessageDecoder {
  let schema: Schema
  /// Whether fields without presence are written at their defaults, too.
  let includesDefaults: Bool

  /// The JSON of a message of a type.
  func decode(_ bytes: [UInt8], as typeName: String) throws(GenericError) -> JSONValue {
    try message(bytes[...], typeName, "", depth: 1)
  }

  private func message(
    _ bytes: ArraySlice<UInt8>, _ typeName: String, _ path: String, depth: Int
  ) throws(GenericError) -> JSONValue {
    guard depth <= MessageEncoder.nestingMax else {
      throw GenericError(path: path, problem: "nested too deep")
    }
    if typeName == WellKnown.timestamp { return try timestamp(bytes, path) }
    guard let type = schema.messages[typeName] else {
      throw GenericError(path: path, problem: "the server does not describe \(typeName)")
    }
    var found: [Int: [WireReader.Value]] = [:]
    var reader = WireReader(bytes)
    while let (number, value) = try reader.next() { found[number, default: []].append(value) }

    var members: [JSONValue.Member] = []
    for field in type.fields {
      guard let values = found[field.number] else {
        if let json = absent(field) { members.append(JSONValue.Member(field.jsonName, json)) }
        continue
      }
      let place = path.isEmpty ? field.name : "\(path).\(field.name)"
      guard let json = try self.field(values, field, place, depth: depth) else { continue }
      members.append(JSONValue.Member(field.jsonName, json))
    }
    return .object(members)
  }

  /// A field's JSON; nil for a default that says nothing.
  private func field(
    _ values: [WireReader.Value], _ field: FieldType, _ path: String, depth: Int
  ) throws(GenericError) -> JSONValue? {
    if let entry = schema.messages[field.typeName], entry.isMapEntry {
      return try map(values, entry, path, depth: depth)
    }
    if field.isRepeated {
      var elements: [JSONValue] = []
      for value in values {
        if case .bytes(let packed) = value, field.kind.wireType != 2 {
          var reader = WireReader(packed)
          while !reader.isAtEnd {
            elements.append(try scalar(try unpack(&reader, field.kind), field, path))
          }
        } else {
          let place = "\(path)[\(elements.count)]"
          elements.append(try self.value(value, field, place, depth: depth))
        }
      }
      return elements.isEmpty ? nil : .array(elements)
    }
    if field.kind == .message {
      // Parts of one message are merged as their bytes are put together.
      var whole: [UInt8] = []
      for case .bytes(let bytes) in values { whole += bytes }
      return try message(whole[...], field.typeName, path, depth: depth + 1)
    }
    guard let last = values.last else { return nil }
    let hasPresence = field.isOptional || field.oneof != nil
    if !hasPresence, !includesDefaults, Self.isDefault(last) { return nil }
    return try value(last, field, path, depth: depth)
  }

  /// What stands for a field that the bytes do not have; nil for nothing.
  private func absent(_ field: FieldType) -> JSONValue? {
    guard includesDefaults else { return nil }
    if field.isRepeated {
      return schema.messages[field.typeName]?.isMapEntry == true ? .object([]) : .array([])
    }
    let hasPresence = field.isOptional || field.oneof != nil || field.kind == .message
    guard !hasPresence else { return nil }
    // A zero of the field's own wire type always reads.
    return try? value(Self.zero(field.kind), field, "", depth: 1)
  }

  private static func isDefault(_ value: WireReader.Value) -> Bool {
    switch value {
    case .varint(let number), .fixed64(let number): number == 0
    case .fixed32(let number): number == 0
    case .bytes(let bytes): bytes.isEmpty
    }
  }

  private func map(
    _ values: [WireReader.Value], _ entry: MessageType, _ path: String, depth: Int
  ) throws(GenericError) -> JSONValue? {
    guard let keyField = entry.field(1), let valueField = entry.field(2) else { return nil }
    var members: [JSONValue.Member] = []
    for value in values {
      guard case .bytes(let pair) = value else { continue }
      var key = Self.zero(keyField.kind)
      var content = Self.zero(valueField.kind)
      var reader = WireReader(pair)
      while let (number, value) = try reader.next() {
        if number == 1 { key = value }
        if number == 2 { content = value }
      }
      let text =
        switch try self.value(key, keyField, path, depth: depth) {
        case .string(let text), .number(let text): text
        case .bool(let value): "\(value)"
        default: ""
        }
      members.removeAll { $0.key == text }
      let place = "\(path)[\"\(text)\"]"
      let json = try self.value(content, valueField, place, depth: depth)
      members.append(JSONValue.Member(text, json))
    }
    return members.isEmpty ? nil : .object(members)
  }

  private static func zero(_ kind: FieldType.Kind) -> WireReader.Value {
    switch kind.wireType {
    case 0: .varint(0)
    case 1: .fixed64(0)
    case 5: .fixed32(0)
    default: .bytes([])
    }
  }

  private func value(
    _ value: WireReader.Value, _ field: FieldType, _ path: String, depth: Int
  ) throws(GenericError) -> JSONValue {
    guard case .bytes(let bytes) = value, field.kind.wireType == 2 else {
      return try scalar(value, field, path)
    }
    switch field.kind {
    case .message: return try message(bytes, field.typeName, path, depth: depth + 1)
    case .bytes: return .string(Base64.encode(bytes))
    default:
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw GenericError(path: path, problem: "the text is not UTF-8")
      }
      return .string(text)
    }
  }

  private func unpack(
    _ reader: inout WireReader, _ kind: FieldType.Kind
  ) throws(GenericError) -> WireReader.Value {
    switch kind.wireType {
    case 1: .fixed64(try reader.fixed64())
    case 5: .fixed32(try reader.fixed32())
    default: .varint(try reader.varint())
    }
  }

  private func scalar(
    _ value: WireReader.Value, _ field: FieldType, _ path: String
  ) throws(GenericError) -> JSONValue {
    switch (field.kind, value) {
    case (.double, .fixed64(let bits)): return Self.number(Double(bitPattern: bits))
    case (.float, .fixed32(let bits)): return Self.number(Float(bitPattern: bits))
    case (.int64, .varint(let bits)), (.sfixed64, .fixed64(let bits)):
      return .string(String(Int64(bitPattern: bits)))
    case (.sint64, .varint(let bits)): return .string(String(Self.unzigzag(bits)))
    case (.uint64, .varint(let bits)), (.fixed64, .fixed64(let bits)):
      return .string(String(bits))
    case (.int32, .varint(let bits)):
      return .number(String(Int32(truncatingIfNeeded: bits)))
    case (.sint32, .varint(let bits)):
      return .number(String(Self.unzigzag(UInt64(UInt32(truncatingIfNeeded: bits)))))
    case (.sfixed32, .fixed32(let bits)): return .number(String(Int32(bitPattern: bits)))
    case (.uint32, .varint(let bits)): return .number(String(UInt32(truncatingIfNeeded: bits)))
    case (.fixed32, .fixed32(let bits)): return .number(String(bits))
    case (.bool, .varint(let bits)): return .bool(bits != 0)
    case (.enum, .varint(let bits)):
      let number = Int32(truncatingIfNeeded: bits)
      let name = schema.enums[field.typeName]?.name(of: number)
      return name.map { .string($0) } ?? .number(String(number))
    default:
      throw GenericError(path: path, problem: "the bytes are of another type than \(field.kind)")
    }
  }

  private static func unzigzag(_ bits: UInt64) -> Int64 {
    Int64(bitPattern: bits >> 1) ^ -Int64(bits & 1)
  }

  private static func number<Number: BinaryFloatingPoint & LosslessStringConvertible>(
    _ number: Number
  ) -> JSONValue {
    if number.isNaN { return .string("NaN") }
    if number.isInfinite { return .string(number < 0 ? "-Infinity" : "Infinity") }
    let text = String(number)
    return .number(text.hasSuffix(".0") ? String(text.dropLast(2)) : text)
  }

  private func timestamp(
    _ bytes: ArraySlice<UInt8>, _ path: String
  ) throws(GenericError) -> JSONValue {
    var seconds: Int64 = 0
    var nanoseconds: Int64 = 0
    var reader = WireReader(bytes)
    while let (number, value) = try reader.next() {
      guard case .varint(let bits) = value else { continue }
      if number == 1 { seconds = Int64(bitPattern: bits) }
      if number == 2 { nanoseconds = Int64(bitPattern: bits) }
    }
    guard CalendarTime.secondsRange.contains(seconds), (0..<1_000_000_000).contains(nanoseconds)
    else { throw GenericError(path: path, problem: "the time is out of range") }
    return .string(CalendarTime.format(seconds: seconds, nanoseconds: Int32(nanoseconds)))
  }
}
