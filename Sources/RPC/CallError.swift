public import EventLoop
public import Messages
internal import Postgres
public import Wire

/// How a call ends when it does not succeed.
///
/// The only error that a service throws.
public struct CallError: Error, Sendable, Equatable {
  /// What the caller is told; the request id is filled in where the answer is written.
  public var status: Status
  /// What only the log is told.
  public var cause: String?

  /// Makes the error of `reason`, whose code is declared beside it in the .proto.
  ///
  /// - Parameters:
  ///   - reason: For programs; stable.
  ///   - message: For people; says what to do where that is known.
  ///   - details: For programs, beside the reason.
  ///   - retryAfter: Advice; zero when there is none.
  public init(
    _ reason: some ErrorReason, _ message: String, details: [String: String] = [:],
    retryAfter: Duration = .zero
  ) {
    status = Status(
      StatusCode(rawValue: reason.codeNumber) ?? .unknown, reason: reason.name, message: message)
    status.details = details
    status.retryAfterMilliseconds = UInt32(clamping: retryAfter.wholeNanoseconds / 1_000_000)
  }

  /// Makes INVALID_ARGUMENT / FIELD_INVALID, naming every bad field at once.
  public init(violations: [FieldViolation]) {
    let fields = violations.map(\.field).joined(separator: ", ")
    self.init(
      RpcErrorReason.fieldInvalid, "These fields need another value: \(fields).")
    status.fieldViolations = violations
  }

  /// Makes INTERNAL; `cause` goes to the log and never to the caller.
  public static func `internal`(_ cause: String) -> CallError {
    var error = CallError(
      RpcErrorReason.internal,
      "Something broke inside the server; its log has the details under this request id.")
    error.cause = cause
    return error
  }

  /// Whether the error says that the reason is `reason`.
  public func has(_ reason: some ErrorReason) -> Bool {
    status.reason == reason.name
  }

  /// The error of a call that was stopped for `reason`.
  public init(_ reason: Cancellation.Reason) {
    switch reason {
    case .cancelled, .connectionLost:
      self.init(RpcErrorReason.cancelled, "The caller cancelled the call.")
    case .deadlineExceeded:
      self.init(
        RpcErrorReason.deadlineExceeded,
        "The call did not finish before its deadline; nothing of it was kept.")
    case .draining:
      self.init(
        RpcErrorReason.draining, "The server is shutting down; connect again.",
        retryAfter: .milliseconds(100))
    }
  }
}

extension CallError {
  init(_ error: MessageError) {
    self.init(RpcErrorReason.requestMalformed, "The request does not decode: \(error).")
    status.fieldViolations = [FieldViolation(field: error.path, description: "\(error.problem)")]
  }
}
