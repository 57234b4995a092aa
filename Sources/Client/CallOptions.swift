/// How one call is made.
public struct CallOptions: Sendable, Equatable {
  /// What marks a call so that it takes effect once, however often it is sent.
  public enum IdempotencyKey: Sendable, Equatable {
    /// A random key for methods that take one, none for others.
    case automatic
    /// This key, 1 to 64 bytes; the same key with the same request repeats an earlier call.
    case explicit(String)
    /// No key: the call is never repeated unless it only reads.
    case none
  }

  /// From the start of the call to its answer, connecting and repetitions included.
  ///
  /// nil is 30 seconds for unary calls; a stream then has no end of its own, but still waits no
  /// longer than that for a connection.
  public var timeout: Duration?
  /// What marks the call.
  public var idempotencyKey: IdempotencyKey
  /// W3C Trace Context, at most 256 bytes; empty for none.
  public var traceparent: String

  /// Makes options.
  public init(timeout: Duration?, idempotencyKey: IdempotencyKey, traceparent: String) {
    self.timeout = timeout
    self.idempotencyKey = idempotencyKey
    self.traceparent = traceparent
  }

  /// The default timeout, an automatic key, no trace.
  public init() {
    self.init(timeout: nil, idempotencyKey: .automatic, traceparent: "")
  }

  /// What ``timeout`` is for a unary call that names none, and for opening a stream.
  public static let patienceDefault = Duration.seconds(30)
}
