internal import Client
internal import Messages

/// A schema in the words of the .proto files, and as JSON.
struct SchemaDescription {
  /// One thing of a schema, in both forms.
  struct Item {
    let text: String
    let json: JSONValue
  }

  let schema: Schema

  /// Every method with its signature, a line each.
  var list: String {
    var lines = ""
    for service in schema.services {
      lines += Console.styled(service.fullName, .bold) + "\n"
      for method in service.methods { lines += "  \(signature(method))\n" }
    }
    return lines
  }

  /// Every method.
  var listJSON: JSONValue { .array(schema.methods.map(json)) }

  /// What a name means; the end of a name is enough where only one thing ends so.
  func find(_ name: String) -> Item? {
    let methods = schema.methods(named: name)
    if methods.count == 1, let method = methods.first { return item(method) }
    func only<Value>(_ values: [Value], _ fullName: (Value) -> String) -> Value? {
      if let exact = values.first(where: { fullName($0) == name }) { return exact }
      let found = values.filter { fullName($0).hasSuffix(".\(name)") }
      return found.count == 1 ? found.first : nil
    }
    if let service = only(schema.services, \.fullName) { return item(service) }
    if let message = only(Array(schema.messages.values), \.fullName) { return item(message) }
    return only(Array(schema.enums.values), \.fullName).map(item)
  }

  // MARK: Text

  private func comment(_ text: String, _ indent: String) -> String {
    guard !text.isEmpty else { return "" }
    return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      Console.styled("\(indent)// \(visible(String(line)))", .dim) + "\n"
    }.joined()
  }

  /// A type's name without its package, where that is no other's.
  private func brief(_ fullName: String) -> String {
    let parts = fullName.split(separator: ".")
    return parts.drop { $0.first?.isUppercase != true }.joined(separator: ".")
  }

  private func signature(_ method: MethodType) -> String {
    let name = method.name.split(separator: "/").last ?? ""
    let request = (method.streamsRequests ? "stream " : "") + brief(method.request)
    let response = (method.streamsResponses ? "stream " : "") + brief(method.response)
    return "rpc \(name)(\(request)) returns (\(response))"
  }

  private func message(_ type: MessageType) -> String {
    var text = comment(type.comment, "") + "message \(Console.styled(type.fullName, .bold)) {\n"
    for field in type.fields {
      text += comment(field.comment, "  ")
      text += "  \(declaration(field)) = \(field.number);\n"
    }
    return text + "}\n"
  }

  private func declaration(_ field: FieldType) -> String {
    if let entry = schema.messages[field.typeName], entry.isMapEntry, let key = entry.field(1),
      let value = entry.field(2)
    {
      return "map<\(typeName(key)), \(typeName(value))> \(field.name)"
    }
    let label = field.isRepeated ? "repeated " : field.isOptional ? "optional " : ""
    return "\(label)\(typeName(field)) \(field.name)"
  }

  private func typeName(_ field: FieldType) -> String {
    field.typeName.isEmpty ? field.kind.keyword : field.typeName
  }

  private func enumeration(_ type: EnumType) -> String {
    var text = comment(type.comment, "") + "enum \(Console.styled(type.fullName, .bold)) {\n"
    for value in type.values {
      text += comment(value.comment, "  ") + "  \(value.name) = \(value.number);\n"
    }
    return text + "}\n"
  }

  // MARK: Items

  private func item(_ method: MethodType) -> Item {
    var text = comment(method.comment, "") + "\(signature(method))\n"
    let audited = method.isAudited ? ", audited" : ""
    text += Console.styled(
      "// \(method.name): permission \(method.permission), \(method.idempotency)\(audited)", .dim)
    text += "\n"
    for name in [method.request, method.response] {
      if let type = schema.messages[name] { text += "\n" + message(type) }
    }
    return Item(text: text, json: json(method))
  }

  private func item(_ service: ServiceType) -> Item {
    var text =
      comment(service.comment, "") + "service \(Console.styled(service.fullName, .bold)) {\n"
    for method in service.methods {
      text += comment(method.comment, "  ") + "  \(signature(method));\n"
    }
    return Item(
      text: text + "}\n",
      json: .object([
        .init("name", .string(service.fullName)), .init("comment", .string(service.comment)),
        .init("methods", .array(service.methods.map(json))),
      ]))
  }

  private func item(_ type: MessageType) -> Item {
    let fields = type.fields.map { field in
      JSONValue.object([
        .init("name", .string(field.name)), .init("jsonName", .string(field.jsonName)),
        .init("number", .number(String(field.number))), .init("type", .string(typeName(field))),
        .init("repeated", .bool(field.isRepeated)), .init("optional", .bool(field.isOptional)),
        .init("comment", .string(field.comment)),
      ])
    }
    return Item(
      text: message(type),
      json: .object([
        .init("name", .string(type.fullName)), .init("comment", .string(type.comment)),
        .init("fields", .array(fields)),
      ]))
  }

  private func item(_ type: EnumType) -> Item {
    let values = type.values.map { value in
      JSONValue.object([
        .init("name", .string(value.name)), .init("number", .number(String(value.number))),
        .init("comment", .string(value.comment)),
      ])
    }
    return Item(
      text: enumeration(type),
      json: .object([
        .init("name", .string(type.fullName)), .init("comment", .string(type.comment)),
        .init("values", .array(values)),
      ]))
  }

  private func json(_ method: MethodType) -> JSONValue {
    .object([
      .init("name", .string(method.name)), .init("kind", .string("\(method.descriptor.kind)")),
      .init("request", .string(method.request)), .init("response", .string(method.response)),
      .init("permission", .string(method.permission)), .init("audited", .bool(method.isAudited)),
      .init("idempotency", .string("\(method.idempotency)")),
      .init("comment", .string(method.comment)),
    ])
  }
}
