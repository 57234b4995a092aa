/// The canonical RPC codes, with the numbers that gRPC uses.
public enum StatusCode: UInt32, Sendable, CaseIterable {
  /// Success.
  case ok = 0
  /// The caller gave up.
  case cancelled = 1
  /// An error of unknown kind, or a code that this version does not know.
  case unknown = 2
  /// The request is wrong, whatever the state of the system.
  case invalidArgument = 3
  /// The time ran out.
  case deadlineExceeded = 4
  /// No such thing, as far as the caller may know.
  case notFound = 5
  /// What should be created exists.
  case alreadyExists = 6
  /// The caller is known and may not do this.
  case permissionDenied = 7
  /// A quota, a rate or a bound is used up.
  case resourceExhausted = 8
  /// The system is not in the state that the operation needs.
  case failedPrecondition = 9
  /// Another operation was in the way; start the whole operation over.
  case aborted = 10
  /// Past the valid range, for instance an expired resume token.
  case outOfRange = 11
  /// The server has no such method.
  case unimplemented = 12
  /// A bug in the server.
  case `internal` = 13
  /// Not now; retry with back-off.
  case unavailable = 14
  /// Data is lost or damaged.
  case dataLoss = 15
  /// The caller is not known.
  case unauthenticated = 16

  /// The code's name in frame.proto.
  public var name: String {
    switch self {
    case .ok: "OK"
    case .cancelled: "CANCELLED"
    case .unknown: "UNKNOWN"
    case .invalidArgument: "INVALID_ARGUMENT"
    case .deadlineExceeded: "DEADLINE_EXCEEDED"
    case .notFound: "NOT_FOUND"
    case .alreadyExists: "ALREADY_EXISTS"
    case .permissionDenied: "PERMISSION_DENIED"
    case .resourceExhausted: "RESOURCE_EXHAUSTED"
    case .failedPrecondition: "FAILED_PRECONDITION"
    case .aborted: "ABORTED"
    case .outOfRange: "OUT_OF_RANGE"
    case .unimplemented: "UNIMPLEMENTED"
    case .internal: "INTERNAL"
    case .unavailable: "UNAVAILABLE"
    case .dataLoss: "DATA_LOSS"
    case .unauthenticated: "UNAUTHENTICATED"
    }
  }
}

/// How a call, or a connection, ended.
public struct Status: Sendable, Equatable {
  /// The code's number as it is on the wire, also where this version has no name for it.
  ///
  /// Enum fields are 32 bits on the wire; a negative number is kept by its bit pattern.
  public var codeNumber: UInt32
  /// For a person: what happened, and what to do where that is known.
  public var message: String
  /// For a program: stable, `UPPER_SNAKE_CASE`; empty where the code says all.
  public var reason: String
  /// Every bad field of the request, for INVALID_ARGUMENT.
  public var fieldViolations: [FieldViolation]
  /// Milliseconds after which a retry may succeed; 0 is no advice.
  public var retryAfterMilliseconds: UInt32
  /// Further facts, by name.
  public var details: [String: String]
  /// The request's id, also in the server's log and in the audit log.
  public var requestID: String

  /// Makes a status without violations, details and request id.
  public init(_ code: StatusCode, reason: String, message: String) {
    self.codeNumber = code.rawValue
    self.message = message
    self.reason = reason
    self.fieldViolations = []
    self.retryAfterMilliseconds = 0
    self.details = [:]
    self.requestID = ""
  }

  /// The code; ``StatusCode/unknown`` for a number that this version does not know.
  public var code: StatusCode { StatusCode(rawValue: codeNumber) ?? .unknown }

  /// Whether the call succeeded.
  public var isOK: Bool { codeNumber == 0 }
}

/// One bad field of a request.
public struct FieldViolation: Sendable, Equatable {
  /// The field's path in the request: "metrics[3].key".
  public var field: String
  /// What is wrong with it.
  public var description: String

  /// Makes a violation.
  public init(field: String, description: String) {
    self.field = field
    self.description = description
  }
}
