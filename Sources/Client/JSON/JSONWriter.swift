extension JSONValue {
  /// The document in one line.
  package var compact: String {
    var out = ""
    write(into: &out, indent: nil)
    return out
  }

  /// The document with a line per member, indented by two spaces.
  package var pretty: String {
    var out = ""
    write(into: &out, indent: 0)
    return out
  }

  private func write(into out: inout String, indent: Int?) {
    switch self {
    case .null: out += "null"
    case .bool(let value): out += value ? "true" : "false"
    case .number(let digits): out += digits
    case .string(let text): Self.write(text, into: &out)
    case .array(let values):
      Self.write(values, "[", "]", into: &out, indent: indent) { value, out, indent in
        value.write(into: &out, indent: indent)
      }
    case .object(let members):
      Self.write(members, "{", "}", into: &out, indent: indent) { member, out, indent in
        Self.write(member.key, into: &out)
        out += indent == nil ? ":" : ": "
        member.value.write(into: &out, indent: indent)
      }
    }
  }

  private static func write<Element>(
    _ elements: [Element], _ start: String, _ end: String, into out: inout String, indent: Int?,
    _ body: (Element, inout String, Int?) -> Void
  ) {
    out += start
    for (index, element) in elements.enumerated() {
      if index > 0 { out += "," }
      if let indent { out += "\n" + String(repeating: "  ", count: indent + 1) }
      body(element, &out, indent.map { $0 + 1 })
    }
    if let indent, !elements.isEmpty { out += "\n" + String(repeating: "  ", count: indent) }
    out += end
  }

  private static func write(_ text: String, into out: inout String) {
    out += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      // Escaped beyond what JSON asks, so that no terminal takes them for commands.
      case _ where scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value):
        let digits = String(scalar.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: out.unicodeScalars.append(scalar)
      }
    }
    out += "\""
  }
}
