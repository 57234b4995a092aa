internal import Messages

extension Schema {
  /// Reads a serialized `google.protobuf.FileDescriptorSet`.
  init(fileDescriptorSet bytes: [UInt8]) throws(GenericError) {
    self.init()
    var reader = WireReader(bytes)
    while let (number, value) = try reader.next() {
      if number == 1, case .bytes(let file) = value {
        var fileReader = FileReader(schema: self)
        try fileReader.read(file)
        self = fileReader.schema
      }
    }
  }
}

/// Reads one FileDescriptorProto.
///
/// The numbers are those of descriptor.proto.
private struct FileReader {
  var schema: Schema
  private var package = ""
  /// Comments before declarations, by their paths in the file.
  private var comments: [[Int]: String] = [:]

  init(schema: Schema) { self.schema = schema }

  mutating func read(_ bytes: ArraySlice<UInt8>) throws(GenericError) {
    let fields = try Fields(bytes)
    package = fields.text(2)
    for info in fields.messages(9) {
      for location in try Fields(info).messages(1) { try comment(try Fields(location)) }
    }
    for (index, message) in fields.messages(4).enumerated() {
      try self.message(message, within: package, [4, index])
    }
    for (index, type) in fields.messages(5).enumerated() {
      try enumeration(type, within: package, [5, index])
    }
    for (index, service) in fields.messages(6).enumerated() {
      try self.service(service, [6, index])
    }
  }

  private mutating func comment(_ location: Fields) throws(GenericError) {
    let text = location.text(3)
    guard !text.isEmpty else { return }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.hasPrefix(" ") ? line.dropFirst() : line
    }
    comments[try location.packedNumbers(1)] = lines.joined(separator: "\n").trimmed
  }

  private func name(_ name: String, within scope: String) -> String {
    scope.isEmpty ? name : "\(scope).\(name)"
  }

  private mutating func message(
    _ bytes: ArraySlice<UInt8>, within scope: String, _ path: [Int]
  ) throws(GenericError) {
    let fields = try Fields(bytes)
    var message = MessageType(fullName: name(fields.text(1), within: scope))
    message.comment = comments[path] ?? ""
    for oneof in fields.messages(8) { message.oneofs.append(try Fields(oneof).text(1)) }
    for (index, field) in fields.messages(2).enumerated() {
      message.fields.append(try self.field(field, path + [2, index]))
    }
    for options in fields.messages(7) { message.isMapEntry = try Fields(options).flag(7) }
    schema.add(message)
    for (index, nested) in fields.messages(3).enumerated() {
      try self.message(nested, within: message.fullName, path + [3, index])
    }
    for (index, type) in fields.messages(4).enumerated() {
      try enumeration(type, within: message.fullName, path + [4, index])
    }
  }

  private func field(_ bytes: ArraySlice<UInt8>, _ path: [Int]) throws(GenericError) -> FieldType {
    let fields = try Fields(bytes)
    var field = FieldType()
    field.name = fields.text(1)
    field.jsonName = fields.text(10)
    if field.jsonName.isEmpty { field.jsonName = field.name }
    field.number = fields.number(3)
    field.isRepeated = fields.number(4) == 3
    guard let kind = FieldType.Kind(rawValue: fields.number(5)), kind != .group else {
      throw GenericError(path: field.name, problem: "the field has no type of proto3")
    }
    field.kind = kind
    field.typeName = String(fields.text(6).drop { $0 == "." })
    field.isOptional = fields.flag(17)
    if fields.has(9), !field.isOptional { field.oneof = fields.number(9) }
    for options in fields.messages(8) {
      let options = try Fields(options)
      if options.has(2) { field.isPacked = options.flag(2) }
    }
    field.comment = comments[path] ?? ""
    return field
  }

  private mutating func enumeration(
    _ bytes: ArraySlice<UInt8>, within scope: String, _ path: [Int]
  ) throws(GenericError) {
    let fields = try Fields(bytes)
    var type = EnumType(fullName: name(fields.text(1), within: scope))
    type.comment = comments[path] ?? ""
    for (index, value) in fields.messages(2).enumerated() {
      let value = try Fields(value)
      type.values.append(
        (
          value.text(1), Int32(truncatingIfNeeded: value.number(2)),
          comments[path + [2, index]] ?? ""
        ))
    }
    schema.add(type)
  }

  private mutating func service(_ bytes: ArraySlice<UInt8>, _ path: [Int]) throws(GenericError) {
    let fields = try Fields(bytes)
    var service = ServiceType(fullName: name(fields.text(1), within: package))
    service.comment = comments[path] ?? ""
    for (index, method) in fields.messages(2).enumerated() {
      let fields = try Fields(method)
      var method = MethodType(name: "\(service.fullName)/\(fields.text(1))")
      method.request = String(fields.text(2).drop { $0 == "." })
      method.response = String(fields.text(3).drop { $0 == "." })
      method.streamsRequests = fields.flag(5)
      method.streamsResponses = fields.flag(6)
      method.comment = comments[path + [2, index]] ?? ""
      for options in fields.messages(4) { try Self.rule(try Fields(options), &method) }
      service.methods.append(method)
    }
    schema.add(service)
  }

  /// The option `needletail.rpc.v1.rule`.
  private static func rule(_ options: Fields, _ method: inout MethodType) throws(GenericError) {
    for rule in options.messages(50_801) {
      let rule = try Fields(rule)
      method.permission = rule.text(1)
      method.isAudited = rule.flag(2)
      method.idempotency =
        switch rule.number(3) {
        case 1: .read
        case 2: .keyed
        default: .sequenced
        }
    }
  }
}

/// The fields of one message, by number.
private struct Fields {
  private var values: [Int: [WireReader.Value]] = [:]

  init(_ bytes: ArraySlice<UInt8>) throws(GenericError) {
    var reader = WireReader(bytes)
    while let (number, value) = try reader.next() { values[number, default: []].append(value) }
  }

  func has(_ number: Int) -> Bool { values[number] != nil }

  func messages(_ number: Int) -> [ArraySlice<UInt8>] {
    (values[number] ?? []).compactMap { if case .bytes(let bytes) = $0 { bytes } else { nil } }
  }

  func text(_ number: Int) -> String {
    messages(number).last.map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  func number(_ number: Int) -> Int {
    if case .varint(let value)? = values[number]?.last { Int(truncatingIfNeeded: value) } else { 0 }
  }

  func flag(_ number: Int) -> Bool { self.number(number) != 0 }

  func packedNumbers(_ number: Int) throws(GenericError) -> [Int] {
    var numbers: [Int] = []
    for packed in messages(number) {
      var reader = WireReader(packed)
      while !reader.isAtEnd { numbers.append(Int(truncatingIfNeeded: try reader.varint())) }
    }
    return numbers
  }
}

extension String {
  /// Without white space at its ends.
  var trimmed: String {
    var rest = self[...]
    while rest.last?.isWhitespace == true { rest.removeLast() }
    return String(rest.drop(while: \.isWhitespace))
  }
}
