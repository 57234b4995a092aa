internal import Client

/// Turns JSON into the bytes of a message, by the rules of proto3's JSON mapping.
///
/// Fields may have their JSON names or those of the .proto; null is an absent field. What the type
/// does not have is an error that names its path.
struct MessageEncoder {
  let schema: Schema

  /// How deep messages may be nested, as servers allow it.
  static let nestingMax = 32

  /// The bytes of a message of a type.
  func encode(_ json: JSONValue, as typeName: String) throws(GenericError) -> [UInt8] {
    try message(json, typeName, "", depth: 1)
  }

  private func message(
    _ json: JSONValue, _ typeName: String, _ path: String, depth: Int
  ) throws(GenericError) -> [UInt8] {
    guard depth <= Self.nestingMax else {
      throw GenericError(path: path, problem: "nested more than \(Self.nestingMax) deep")
    }
    if typeName == WellKnown.timestamp { return try timestamp(json, path) }
    guard let type = schema.messages[typeName] else {
      throw GenericError(path: path, problem: "the server does not describe \(typeName)")
    }
    guard case .object(let members) = json else {
      throw GenericError(path: path, problem: "an object is expected, not \(json.kindName)")
    }
    var given: [Int: JSONValue] = [:]
    var oneofs: [Int: String] = [:]
    for member in members {
      let place = path.isEmpty ? member.key : "\(path).\(member.key)"
      guard let field = type.field(named: member.key) else {
        throw GenericError(path: place, problem: "\(type.fullName) has no such field")
      }
      if member.value == .null { continue }
      guard given.updateValue(member.value, forKey: field.number) == nil else {
        throw GenericError(path: place, problem: "the field is given under both of its names")
      }
      if let oneof = field.oneof, let other = oneofs.updateValue(field.name, forKey: oneof) {
        throw GenericError(path: place, problem: "only one of \(other) and it may be given")
      }
    }
    var writer = WireWriter()
    for field in type.fields.sorted(by: { $0.number < $1.number }) {
      guard let value = given[field.number] else { continue }
      let place = path.isEmpty ? field.name : "\(path).\(field.name)"
      try self.field(value, field, place, depth: depth, into: &writer)
    }
    return writer.bytes
  }

  private func field(
    _ json: JSONValue, _ field: FieldType, _ path: String, depth: Int, into writer: inout WireWriter
  ) throws(GenericError) {
    if let entry = schema.messages[field.typeName], entry.isMapEntry {
      return try map(json, field, entry, path, depth: depth, into: &writer)
    }
    guard field.isRepeated else {
      return try single(json, field, path, depth: depth, into: &writer)
    }
    guard case .array(let elements) = json else {
      throw GenericError(path: path, problem: "an array is expected, not \(json.kindName)")
    }
    if field.isPacked, field.kind.wireType != 2 {
      var packed = WireWriter()
      for (index, element) in elements.enumerated() {
        try scalar(element, field, "\(path)[\(index)]", into: &packed)
      }
      if !packed.bytes.isEmpty { writer.lengthDelimited(field.number, packed.bytes) }
      return
    }
    for (index, element) in elements.enumerated() {
      try value(element, field, "\(path)[\(index)]", depth: depth, into: &writer)
    }
  }

  /// A singular field; a default is left out unless its presence says something.
  private func single(
    _ json: JSONValue, _ field: FieldType, _ path: String, depth: Int, into writer: inout WireWriter
  ) throws(GenericError) {
    var alone = WireWriter()
    try value(json, field, path, depth: depth, into: &alone)
    let hasPresence = field.isOptional || field.oneof != nil || field.kind == .message
    var tag = WireWriter()
    tag.tag(field.number, field.kind.wireType)
    let content = alone.bytes.dropFirst(tag.bytes.count)
    if hasPresence || content.contains(where: { $0 != 0 }) { writer.append(alone.bytes) }
  }

  private func map(
    _ json: JSONValue, _ field: FieldType, _ entry: MessageType, _ path: String, depth: Int,
    into writer: inout WireWriter
  ) throws(GenericError) {
    guard case .object(let members) = json else {
      throw GenericError(path: path, problem: "an object is expected, not \(json.kindName)")
    }
    guard let key = entry.field(1), let content = entry.field(2) else {
      throw GenericError(path: path, problem: "the server's description of the map is incomplete")
    }
    for member in members {
      let place = "\(path)[\"\(member.key)\"]"
      var pair = WireWriter()
      let isText = key.kind == .string
      let keyValue: JSONValue =
        switch member.key {
        case "true" where key.kind == .bool: .bool(true)
        case "false" where key.kind == .bool: .bool(false)
        default: isText ? .string(member.key) : .number(member.key)
        }
      try value(keyValue, key, place, depth: depth, into: &pair)
      try value(member.value, content, place, depth: depth, into: &pair)
      writer.lengthDelimited(field.number, pair.bytes)
    }
  }

  private func value(
    _ json: JSONValue, _ field: FieldType, _ path: String, depth: Int, into writer: inout WireWriter
  ) throws(GenericError) {
    switch field.kind {
    case .message:
      let content = try message(json, field.typeName, path, depth: depth + 1)
      writer.lengthDelimited(field.number, content)
    case .string:
      guard let text = json.text else {
        throw GenericError(path: path, problem: "a string is expected, not \(json.kindName)")
      }
      writer.lengthDelimited(field.number, text.utf8)
    case .bytes:
      guard let text = json.text, let bytes = Base64.decode(text) else {
        throw GenericError(path: path, problem: "bytes are expected as a string in base64")
      }
      writer.lengthDelimited(field.number, bytes)
    default:
      writer.tag(field.number, field.kind.wireType)
      try scalar(json, field, path, into: &writer)
    }
  }

  /// A number, Boolean or enum, without its tag.
  private func scalar(
    _ json: JSONValue, _ field: FieldType, _ path: String, into writer: inout WireWriter
  ) throws(GenericError) {
    let numbers = JSONNumbers(path: path)
    switch field.kind {
    case .double: writer.fixed64(try numbers.double(json).bitPattern)
    case .float: writer.fixed32(try numbers.float(json).bitPattern)
    case .int32, .sfixed32, .sint32:
      let value = try numbers.integer(json, Int32.self)
      switch field.kind {
      case .sfixed32: writer.fixed32(UInt32(bitPattern: value))
      case .sint32: writer.varint(UInt64(UInt32(bitPattern: value << 1 ^ value >> 31)))
      default: writer.varint(UInt64(bitPattern: Int64(value)))
      }
    case .int64, .sfixed64, .sint64:
      let value = try numbers.integer(json, Int64.self)
      switch field.kind {
      case .sfixed64: writer.fixed64(UInt64(bitPattern: value))
      case .sint64: writer.varint(UInt64(bitPattern: value << 1 ^ value >> 63))
      default: writer.varint(UInt64(bitPattern: value))
      }
    case .uint32: writer.varint(UInt64(try numbers.integer(json, UInt32.self)))
    case .fixed32: writer.fixed32(try numbers.integer(json, UInt32.self))
    case .uint64: writer.varint(try numbers.integer(json, UInt64.self))
    case .fixed64: writer.fixed64(try numbers.integer(json, UInt64.self))
    case .bool:
      guard case .bool(let value) = json else {
        throw GenericError(path: path, problem: "true or false is expected, not \(json.kindName)")
      }
      writer.varint(value ? 1 : 0)
    case .enum:
      writer.varint(UInt64(bitPattern: Int64(try enumeration(json, field.typeName, path))))
    case .string, .bytes, .message, .group:
      throw GenericError(path: path, problem: "the field cannot be packed")
    }
  }

  private func enumeration(
    _ json: JSONValue, _ typeName: String, _ path: String
  ) throws(GenericError) -> Int32 {
    guard let text = json.text else { return try JSONNumbers(path: path).integer(json, Int32.self) }
    guard let type = schema.enums[typeName] else {
      throw GenericError(path: path, problem: "the server does not describe \(typeName)")
    }
    guard let number = type.number(of: text) else {
      let names = type.values.map(\.name).joined(separator: ", ")
      throw GenericError(path: path, problem: "\"\(text)\" is none of \(names)")
    }
    return number
  }

  private func timestamp(_ json: JSONValue, _ path: String) throws(GenericError) -> [UInt8] {
    guard let text = json.text, let time = CalendarTime.parse(text) else {
      throw GenericError(
        path: path, problem: "a time is expected, such as \"2026-01-02T03:04:05.678Z\"")
    }
    var writer = WireWriter()
    if time.seconds != 0 {
      writer.tag(1, 0)
      writer.varint(UInt64(bitPattern: time.seconds))
    }
    if time.nanoseconds != 0 {
      writer.tag(2, 0)
      writer.varint(UInt64(time.nanoseconds))
    }
    return writer.bytes
  }
}

/// Types whose JSON is not that of their fields.
enum WellKnown {
  static let timestamp = "google.protobuf.Timestamp"
}

/// Reads numbers, which JSON may also write as strings.
struct JSONNumbers {
  let path: String

  func integer<Integer: FixedWidthInteger>(
    _ json: JSONValue, _ type: Integer.Type
  ) throws(GenericError) -> Integer {
    let text = try digits(json)
    if let value = Integer(text), !text.hasPrefix("+") { return value }
    // 1e3 and 5.0 are integers too, as far as a Double holds them exactly.
    if let double = Double(text), double.magnitude <= 9_007_199_254_740_992,
      let value = Integer(exactly: double), json.text == nil
    {
      return value
    }
    throw GenericError(
      path: path, problem: "an integer from \(Integer.min) to \(Integer.max) is expected")
  }

  func double(_ json: JSONValue) throws(GenericError) -> Double {
    switch json.text {
    case "NaN": return .nan
    case "Infinity": return .infinity
    case "-Infinity": return -.infinity
    default: break
    }
    let text = try digits(json)
    // Double would read more than JSON's numbers: "nan", "0x1p3".
    guard text.utf8.allSatisfy({ "+-.0123456789eE".utf8.contains($0) }),
      let value = Double(text), value.isFinite
    else { throw GenericError(path: path, problem: "a number is expected") }
    return value
  }

  func float(_ json: JSONValue) throws(GenericError) -> Float {
    let double = try double(json)
    let float = Float(double)
    guard float.isFinite == double.isFinite else {
      throw GenericError(path: path, problem: "the number does not fit 32 bits")
    }
    return float
  }

  private func digits(_ json: JSONValue) throws(GenericError) -> String {
    switch json {
    case .number(let text), .string(let text): return text
    default:
      throw GenericError(path: path, problem: "a number is expected, not \(json.kindName)")
    }
  }
}
