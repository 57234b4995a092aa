internal import Messages
internal import Wire

/// Whether a call that failed is sent again.
struct Repetition {
  /// The method only reads, or the call carries an idempotency key.
  let isSafe: Bool
  /// Only calls with one request and one answer begin anew; streams resume in their own way.
  let isUnary: Bool
  /// How often the server has refused to start the call.
  private var refusals = 0

  /// A call that the server refuses to start is sent again at most so often.
  static let refusalsMax = 10
  /// Longer advice to wait is the caller's to take.
  static let adviceMax = Duration.seconds(60)
  /// Why a server refuses a call before it is started, so that nothing has happened.
  private static let refusalReasons: Set = ["TOO_MANY_STREAMS", "RATE_LIMITED"]

  init(_ method: MethodDescriptor, idempotencyKey: String) {
    isSafe = method.idempotency == .read || !idempotencyKey.isEmpty
    isUnary = method.kind == .unary
  }

  /// After a status of the server.
  mutating func isAllowed(after status: Status) -> Bool {
    guard isUnary, status.advice <= Self.adviceMax else { return false }
    if status.code == .resourceExhausted, Self.refusalReasons.contains(status.reason) {
      refusals += 1
      return refusals <= Self.refusalsMax
    }
    return isSafe && status.code == .unavailable
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

extension Status {
  /// How long the server advises to wait; zero for no advice.
  var advice: Duration { .milliseconds(Int64(retryAfterMilliseconds)) }
}
