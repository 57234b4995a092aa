internal import EventLoop
public import Messages
public import Postgres
internal import Wire

/// What the database's refusals mean to a caller: one table for all services.
public struct ReasonTable: Sendable {
  /// What one constraint, or one refusal by a statement, means.
  public struct Entry: Sendable {
    /// For programs.
    public let reason: any ErrorReason
    /// For people.
    public let message: String

    /// Makes an entry.
    public init(_ reason: any ErrorReason, _ message: String) {
      self.reason = reason
      self.message = message
    }
  }

  private var entries: [String: Entry]

  /// Makes a table; keys are names of constraints, and of reasons that statements refuse with.
  public init(_ entries: [String: Entry] = [:]) {
    self.entries = entries
  }

  /// Makes the table of a service's constraints.
  ///
  /// INTERNAL gets no entry: the caller hears INTERNAL, and the log the constraint's name.
  ///
  /// - Parameters:
  ///   - constraints: Constraint or unique index to the name of a reason.
  ///   - meanings: The service's own reasons by their names.
  public init(constraints: [String: String], meanings: [String: Entry]) {
    entries = [:]
    for (constraint, reason) in constraints where reason != RpcErrorReason.internal.name {
      guard let entry = meanings[reason] ?? ReasonTable.common[reason] else {
        preconditionFailure("constraint \(constraint) means \(reason), which nothing explains")
      }
      entries[constraint] = entry
    }
  }

  /// The reasons that constraints of every service may mean.
  private static let common: [String: Entry] = [
    RpcErrorReason.fieldInvalid.name: Entry(
      RpcErrorReason.fieldInvalid,
      "A field has a value that cannot be stored: compare the request with the fields' bounds."),
    RpcErrorReason.conflict.name: Entry(
      RpcErrorReason.conflict, "Another change was in the way; read again, and try again."),
  ]

  /// What every server stores beside its services' own tables.
  static var journal: ReasonTable {
    ReasonTable(constraints: JournalConstraints.reasons, meanings: [:])
  }

  /// Adds another service's entries, whose keys must differ.
  public mutating func merge(_ other: ReasonTable) {
    entries.merge(other.entries) { _, _ in preconditionFailure("two services map one constraint") }
  }

  /// What `name` means, when it is known.
  public func entry(_ name: String) -> Entry? { entries[name] }
}

/// SQLSTATEs that mean something of their own here.
enum SQLState {
  static let refused = "NT001"
  static let queryCanceled = "57014"
  static let invalidRegularExpression = "2201B"
  static let adminShutdown = "57P01"
  static let diskFull = "53100"
  static let outOfMemory = "53200"
  static let tooManyConnections = "53300"
}

extension CallContext {
  /// Translates what the database said into what the caller is told.
  public func callError(_ error: PostgresError) -> CallError {
    switch error {
    case .server(let server): return callError(server)
    case .cancelled:
      return CallError(cancellation.reason ?? .cancelled)
    case .deadlineExceeded:
      return CallError(.deadlineExceeded)
    case .busy:
      return CallError(
        RpcErrorReason.databaseBusy, "Too many calls wait for the database; slow down.",
        retryAfter: .milliseconds(200))
    case .away(let cause), .connectionLost(_, let cause):
      var result = CallError(
        RpcErrorReason.databaseAway, "The database does not answer; try again shortly.",
        retryAfter: .milliseconds(500))
      result.cause = cause
      return result
    case .decoding, .cardinality, .configuration:
      return .internal("\(error)")
    }
  }

  private func callError(_ error: ServerError) -> CallError {
    if let entry = server.reasons.entry(error.constraint ?? "") {
      var result = CallError(entry.reason, entry.message)
      if error.sqlState != SQLState.refused {
        // The handler's own checks did not see it: worth a look.
        result.cause = "\(error.sqlState) \(error.constraint ?? "")"
      } else if let detail = error.detail {
        result.status.details = flatObject(detail)
      }
      return result
    }
    switch error.sqlState {
    case SQLState.queryCanceled:
      return CallError(cancellation.reason ?? .deadlineExceeded)
    case "40001", "40P01", "55P03":
      return CallError(
        RpcErrorReason.conflict, "Another change was in the way; try again.",
        retryAfter: .milliseconds(20))
    case SQLState.diskFull, SQLState.outOfMemory, SQLState.tooManyConnections:
      var result = CallError(
        RpcErrorReason.databaseBusy, "The database is out of room; try again later.",
        retryAfter: .seconds(1))
      result.cause = error.message
      return result
    case SQLState.adminShutdown, "57P02", "57P03":
      return callError(PostgresError.away(error.message))
    default:
      return .internal("\(error.sqlState) \(error.constraint ?? "") \(error.message)")
    }
  }

  /// Reads `{"name": 1, "other": "x"}`, which is all that refusals carry.
  private func flatObject(_ text: String) -> [String: String] {
    var result: [String: String] = [:]
    for pair in text.drop(while: { $0 == "{" }).prefix(while: { $0 != "}" }).split(separator: ",") {
      let parts = pair.split(separator: ":", maxSplits: 1).map { part in
        String(
          part.drop { $0 == " " || $0 == "\"" }.reversed().drop { $0 == " " || $0 == "\"" }
            .reversed())
      }
      if parts.count == 2 { result[parts[0]] = parts[1] }
    }
    return result
  }
}
