/// Why a statement gave no result.
public enum PostgresError: Error, Equatable, Sendable {
  /// The server refused it; the transaction was rolled back.
  indirect case server(ServerError)
  /// The connection broke.
  ///
  /// When `outcomeUnknown`, a change may or may not have been committed; otherwise it was not.
  case connectionLost(outcomeUnknown: Bool, message: String)
  /// No server answers; the text says what the last attempt met.
  case away(String)
  /// Too many calls wait for a connection, or this one waited too long.
  case busy
  /// The call was cancelled; a change that was under way may have been committed.
  case cancelled
  /// The call's time is over; a change that was under way may have been committed.
  case deadlineExceeded
  /// A value is not what the statement's generated code expects.
  case decoding(statement: String, column: String, problem: String)
  /// The statement gave more or fewer rows than it promises.
  case cardinality(statement: String, rows: Int)
  /// A setting is wrong.
  case configuration(String)

  /// What the server said, when it was the server.
  public var serverError: ServerError? {
    if case .server(let error) = self { return error }
    return nil
  }

  /// Whether a unique key stands in the way; its name is ``ServerError/constraint``.
  public var isUniqueViolation: Bool { serverError?.sqlState == "23505" }
  /// Whether a row that is referred to is missing, or one that is removed is still referred to.
  public var isForeignKeyViolation: Bool { serverError?.sqlState == "23503" }
  /// Whether the same transaction, tried again, may succeed (serialization failure or deadlock).
  public var isSerializationFailure: Bool {
    serverError.map { $0.sqlState == "40001" || $0.sqlState == "40P01" } ?? false
  }
  /// Whether a lock was not to be had in time.
  public var isLockTimeout: Bool { serverError?.sqlState == "55P03" }

  /// Whether the constraint of this name stands in the way.
  public func violates(_ constraint: String) -> Bool {
    serverError.map { $0.sqlState.hasPrefix("23") && $0.constraint == constraint } ?? false
  }

  /// Whether nothing was changed and another attempt may meet a healthier database.
  public var isSafeToRetry: Bool {
    switch self {
    case .connectionLost(let outcomeUnknown, _): !outcomeUnknown
    case .away, .busy: true
    case .server: isSerializationFailure
    default: false
    }
  }
}

/// An error report of the server.
public struct ServerError: Error, Equatable, Sendable {
  /// Five characters, such as 23505.
  public var sqlState: String
  /// One sentence, in the server's language.
  public var message: String
  /// More words; may quote values, so it is not for callers.
  public var detail: String?
  /// The constraint's name.
  public var constraint: String?
  /// The table's name.
  public var table: String?
  /// The column's name.
  public var column: String?
  /// ERROR, FATAL or PANIC.
  public var severity: String

  /// Makes a report.
  public init(
    sqlState: String, message: String, detail: String?, constraint: String?, table: String?,
    column: String?, severity: String
  ) {
    self.sqlState = sqlState
    self.message = message
    self.detail = detail
    self.constraint = constraint
    self.table = table
    self.column = column
    self.severity = severity
  }

  /// Whether the server ends the connection with it.
  public var isFatal: Bool { severity == "FATAL" || severity == "PANIC" }
}

/// An error type that tells of a database error among others, so that a transaction's body may
/// throw its own kind of error.
public protocol DatabaseFailure: Error {
  /// Translates a database error.
  init(database error: PostgresError)
}

extension PostgresError: DatabaseFailure {
  /// Is the error itself.
  public init(database error: PostgresError) {
    self = error
  }
}

extension PostgresError {
  /// The sentence for people.
  var words: String {
    switch self {
    case .server(let error): error.message
    case .connectionLost(_, let message): message
    case .away(let message), .configuration(let message): message
    case .busy: "too many calls wait for a connection"
    case .cancelled: "the call was cancelled"
    case .deadlineExceeded: "the call's time is over"
    case .decoding(let statement, let column, let problem): "\(statement): \(column) \(problem)"
    case .cardinality(let statement, let rows): "\(statement) gave \(rows) rows"
    }
  }
}

extension PostgresError: CustomStringConvertible {
  /// One line for operators and their logs, without the values that a report's detail may quote.
  public var description: String {
    let line = words.split(whereSeparator: \.isNewline).map { String($0).trimmed }
      .joined(separator: " ")
    switch self {
    case .server(let error): return "\(line) (SQLSTATE \(error.sqlState))"
    case .connectionLost(true, _): return "\(line) (whether it was committed is not known)"
    default: return line
    }
  }
}

extension ServerError {
  /// What a COMMIT stands for that the server turned into a ROLLBACK.
  static var rolledBack: ServerError {
    ServerError(
      sqlState: "25P02", message: "the transaction had failed and was rolled back", detail: nil,
      constraint: nil, table: nil, column: nil, severity: "ERROR")
  }
}
