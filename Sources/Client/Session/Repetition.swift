internal import Messages
internal import Wire

/// Whether a call that failed is sent again.
struct Repetition {
  /// The method only reads, or the call carries an idempotency key.
  let isSafe: Bool
  /// Only calls with one request and one answer begin anew; streams resume in their own way.
  let isUnary: Bool

  init(_ method: MethodDescriptor, idempotencyKey: String) {
    isSafe = method.idempotency == .read || !idempotencyKey.isEmpty
    isUnary = method.kind == .unary
  }

  /// After a status of the server.
  func isAllowed(after status: Status) -> Bool {
    // Refused before it was started, so that nothing happened.
    if status.code == .resourceExhausted { return isUnary && status.reason == "TOO_MANY_STREAMS" }
    return isUnary && isSafe && status.code == .unavailable
  }

  /// After the end of the connection.
  ///
  /// A call that was not started may be sent by anybody.
  func isAllowed(afterLoss error: ClientError, mayHaveStarted: Bool) -> Bool {
    if !mayHaveStarted { return true }
    guard isUnary, isSafe else { return false }
    switch error.kind {
    case .connectionLost, .refused: return true
    case .status: return error.code == .unavailable
    case .tls, .protocolViolation, .settings: return false
    }
  }
}
