internal import Client
internal import Wire

/// What the process ends with; stable, for scripts.
enum ExitStatus: Int32, CaseIterable {
  case ok = 0
  /// Anything that has no code of its own.
  case other = 1
  /// The command line or a setting is wrong.
  case usage = 2
  /// The key is not known, or may not do this.
  case permission = 3
  /// There is no such thing.
  case notFound = 4
  /// It exists already, changed meanwhile, or is not in the state for it.
  case conflict = 5
  /// The server is not there, or not now.
  case unavailable = 6
  /// The request is wrong.
  case invalidArgument = 7

  /// The status of a failed call.
  init(_ error: ClientError) {
    self =
      switch error.kind {
      case .settings: .usage
      case .refused, .connectionLost, .tls: .unavailable
      case .protocolViolation: .other
      case .status: ExitStatus(error.code, isRetryable: error.isRetryable)
      }
  }

  private init(_ code: StatusCode, isRetryable: Bool) {
    self =
      switch code {
      case .ok: .ok
      case .unauthenticated, .permissionDenied: .permission
      case .notFound: .notFound
      case .alreadyExists, .failedPrecondition, .aborted: .conflict
      case .unavailable, .deadlineExceeded: .unavailable
      case .resourceExhausted: isRetryable ? .unavailable : .other
      case .invalidArgument, .outOfRange: .invalidArgument
      case .cancelled, .unknown, .unimplemented, .internal, .dataLoss: .other
      }
  }
}

/// Why a command did not do what it was asked.
struct CommandFailure: Error {
  let status: ExitStatus
  let error: ClientError

  init(_ error: ClientError) {
    status = ExitStatus(error)
    self.error = error
  }

  /// Something that this side found, before or without asking a server.
  init(_ status: ExitStatus, reason: String, _ message: String) {
    self.status = status
    let code: StatusCode =
      switch status {
      case .notFound: .notFound
      case .permission: .permissionDenied
      case .unavailable: .unavailable
      case .other: .internal
      default: .invalidArgument
      }
    error = ClientError(.status, Status(code, reason: reason, message: message))
  }

  /// A request that does not fit its type.
  init(_ error: GenericError) {
    status = .invalidArgument
    var status = Status(
      .invalidArgument, reason: "REQUEST_MALFORMED", message: "The request is not valid.")
    status.fieldViolations = [FieldViolation(field: error.path, description: error.problem)]
    self.error = ClientError(.status, status)
  }

  /// For people: what happened, every bad field, and where to look it up.
  var text: String {
    let status = error.status
    var lines = ["error: \(visible(error.description))"]
    for violation in status.fieldViolations {
      let field = violation.field.isEmpty ? "" : "\(violation.field): "
      lines.append("  \(visible(field + violation.description))")
    }
    for (key, value) in status.details.sorted(by: { $0.key < $1.key }) {
      lines.append("  \(visible("\(key) = \(value)"))")
    }
    if status.retryAfterMilliseconds > 0 {
      lines.append("  try again in \(duration(milliseconds: Int64(status.retryAfterMilliseconds)))")
    }
    if !status.requestID.isEmpty { lines.append("  request \(visible(status.requestID))") }
    return lines.joined(separator: "\n")
  }

  /// For programs.
  var json: JSONValue {
    let status = error.status
    var members: [JSONValue.Member] = [
      .init("code", .string(status.code.name)), .init("reason", .string(status.reason)),
      .init("message", .string(status.message)),
    ]
    if !status.fieldViolations.isEmpty {
      let violations = status.fieldViolations.map { violation in
        JSONValue.object([
          .init("field", .string(violation.field)),
          .init("description", .string(violation.description)),
        ])
      }
      members.append(.init("fieldViolations", .array(violations)))
    }
    if !status.details.isEmpty {
      let details = status.details.sorted { $0.key < $1.key }
      members.append(
        .init("details", .object(details.map { .init($0.key, .string($0.value)) })))
    }
    if status.retryAfterMilliseconds > 0 {
      members.append(.init("retryAfterMs", .number(String(status.retryAfterMilliseconds))))
    }
    if !status.requestID.isEmpty { members.append(.init("requestId", .string(status.requestID))) }
    return .object([.init("error", .object(members))])
  }
}
