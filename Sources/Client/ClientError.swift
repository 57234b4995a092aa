public import Wire

/// Why a call, a connection or a setting failed.
///
/// Programs branch on ``kind``, on the status's code and, finest, on its reason.
public struct ClientError: Error, Sendable, Equatable {
  /// Where the failure arose.
  public enum Kind: Sendable, Equatable, CaseIterable {
    /// The call ended with a status: the server's, or this side's when its own clock ran out or the
    /// caller gave up.
    case status
    /// No connection could be made.
    case refused
    /// The server could not be trusted, or did not trust this side.
    case tls
    /// The connection broke; whether the call had an effect is not known.
    case connectionLost
    /// The server broke the protocol.
    case protocolViolation
    /// A setting is missing or makes no sense.
    case settings
  }

  /// Where the failure arose.
  public let kind: Kind
  /// What is known of it, in the terms of the protocol.
  public let status: Status

  /// Makes an error.
  public init(_ kind: Kind, _ status: Status) {
    self.kind = kind
    self.status = status
  }

  /// The canonical code.
  public var code: StatusCode { status.code }

  /// For programs: stable, upper case; empty where the code says all.
  public var reason: String { status.reason }

  /// Whether the same call may well succeed a little later.
  ///
  /// A call that changes something is safe to repeat only with the first try's idempotency key.
  public var isRetryable: Bool {
    switch kind {
    case .refused, .connectionLost: true
    case .tls, .protocolViolation, .settings: false
    case .status:
      switch code {
      case .unavailable: true
      case .resourceExhausted: reason != "RESPONSE_TOO_LARGE" && reason != "REQUEST_TOO_LARGE"
      case .aborted: reason == "CONFLICT"
      default: false
      }
    }
  }
}

extension ClientError: CustomStringConvertible {
  /// One line for people, with code and reason in front.
  public var description: String {
    let reason = status.reason.isEmpty ? "" : " / \(status.reason)"
    return "\(status.code.name)\(reason): \(status.message)"
  }
}

// What this side says of its own accord; the reasons are those of the other SDKs.
extension ClientError {
  static func status(_ status: Status) -> ClientError { ClientError(.status, status) }

  static func settings(_ message: String) -> ClientError {
    ClientError(
      .settings, Status(.invalidArgument, reason: "SETTINGS_INVALID", message: message))
  }

  static func refused(_ message: String) -> ClientError {
    ClientError(.refused, Status(.unavailable, reason: "CONNECT_FAILED", message: message))
  }

  static func tls(_ message: String) -> ClientError {
    ClientError(.tls, Status(.unavailable, reason: "TLS_FAILED", message: message))
  }

  static func connectionLost(_ message: String) -> ClientError {
    ClientError(
      .connectionLost, Status(.unavailable, reason: "CONNECTION_LOST", message: message))
  }

  static func protocolViolation(_ message: String) -> ClientError {
    ClientError(
      .protocolViolation, Status(.internal, reason: "PROTOCOL_ERROR", message: message))
  }

  static let closed = ClientError(
    .status, Status(.cancelled, reason: "CLIENT_CLOSED", message: "The connection was closed."))

  static let cancelled = ClientError(
    .status, Status(.cancelled, reason: "CANCELLED", message: "The caller cancelled the call."))

  static let deadlineExceeded = ClientError(
    .status,
    Status(
      .deadlineExceeded, reason: "DEADLINE_EXCEEDED",
      message: "No answer came within the call's timeout."))

  static func requestTooLarge(bytes: Int, max: UInt32) -> ClientError {
    ClientError(
      .status,
      Status(
        .resourceExhausted, reason: "REQUEST_TOO_LARGE",
        message: "The request takes a frame of \(bytes) bytes; the server accepts \(max)."))
  }
}
