/// Why bytes are not an acceptable message.
public struct MessageError: Error, Equatable {
  /// What is wrong.
  public enum Problem: Sendable, CaseIterable {
    /// The bytes end within a value, or a value ends beyond the message around it.
    case truncated
    /// A number takes more bytes than any number needs.
    case varintTooLong
    /// A field number is 0 or above 536,870,911.
    case fieldNumberInvalid
    /// A wire type is unknown, or that of a group.
    case wireTypeInvalid
    /// The field is of another type.
    case wireTypeMismatch
    /// A field that holds one value, or a oneof, is given more than once.
    case givenTwice
    /// Text is not valid UTF-8.
    case notUTF8
    /// Text contains U+0000.
    case containsNUL
    /// More than ``MessageLimits/nestingMax`` messages within one another.
    case nestedTooDeep
    /// More than ``MessageLimits/elementsMax`` elements or ``MessageLimits/columnsMax`` columns.
    case tooManyElements
    /// Two entries of a map have the same key.
    case keyGivenTwice
    /// A time before the year 1 or after the year 9999, or one with odd nanoseconds.
    case timeOutOfRange
    /// The message needs more memory than its size allows.
    case tooMuchMemory
  }

  /// Where: `runs[3].series[0].key`; empty for the message itself.
  public let path: String

  /// What is wrong there.
  public let problem: Problem

  /// An error that says what is wrong where.
  public init(path: String, problem: Problem) {
    self.path = path
    self.problem = problem
  }
}

extension MessageError.Problem: CustomStringConvertible {
  /// For people, without the path: `is not valid UTF-8`.
  public var description: String {
    switch self {
    case .truncated: "ends too early"
    case .varintTooLong: "has a number of too many bytes"
    case .fieldNumberInvalid: "has an invalid field number"
    case .wireTypeInvalid: "has an invalid wire type"
    case .wireTypeMismatch: "has the wire type of another field type"
    case .givenTwice: "is given twice"
    case .notUTF8: "is not valid UTF-8"
    case .containsNUL: "contains U+0000"
    case .nestedTooDeep: "is nested more than \(MessageLimits.nestingMax) messages deep"
    case .tooManyElements:
      "has more than \(MessageLimits.elementsMax) elements or \(MessageLimits.columnsMax) columns "
        + "of numbers in all"
    case .keyGivenTwice: "has a key that is given twice"
    case .timeOutOfRange: "is not a time of the years 1 to 9999"
    case .tooMuchMemory: "needs too much memory for its size"
    }
  }
}

extension MessageError: CustomStringConvertible {
  /// For people: `runs[3].series[0].key is not valid UTF-8`.
  public var description: String {
    "\(path.isEmpty ? "the message" : path) \(problem)"
  }
}
