/// A JSON document.
package indirect enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  /// A number as it is written, so that 64-bit integers keep every digit.
  case number(String)
  case string(String)
  case array([JSONValue])
  /// Members in the order of the document, each key once.
  case object([Member])

  /// One member of an object.
  package struct Member: Sendable, Equatable {
    package var key: String
    package var value: JSONValue

    package init(_ key: String, _ value: JSONValue) {
      self.key = key
      self.value = value
    }
  }

  /// The value of a member; nil for none, and where this is no object.
  package subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  /// The text, where this is a string.
  package var text: String? {
    if case .string(let text) = self { text } else { nil }
  }

  /// What this is, for messages: "an object".
  package var kindName: String {
    switch self {
    case .null: "null"
    case .bool: "a Boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

/// Why text is not a JSON document.
package struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
  /// From 1, in lines.
  package let line: Int
  /// From 1, in bytes.
  package let column: Int
  /// What is wrong there.
  package let problem: String

  package var description: String { "line \(line), column \(column): \(problem)" }
}
