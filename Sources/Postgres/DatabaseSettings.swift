public import EventLoop

/// How to reach PostgreSQL, and the bounds of what is asked of it.
public struct DatabaseSettings: Sendable {
  /// A URI or keyword string, with several hosts and `target_session_attrs` if you like.
  public var connection: String
  /// Reaches the server itself when `connection` goes through PgBouncer.
  ///
  /// LISTEN, COPY and advisory locks use it. Nil: the same.
  public var directConnection: String?
  /// The role that pooled connections take on after login; nil: the one that logs in.
  public var role: String?
  /// Connections of all loops together.
  public var poolSize = 20
  /// Connections beyond `poolSize`, for the whole process; closed when they idle.
  public var overflow = 10
  /// The age at which a connection is replaced.
  public var recycleAfter = Duration.seconds(3600)
  /// How long one attempt to connect may take.
  public var connectTimeout = Duration.seconds(5)
  /// Calls of one loop that may wait for a connection; one more gets `busy`.
  public var waitersMax = 1_024
  /// How long a call waits for a connection before it gets `busy`.
  public var waitPatience = Duration.seconds(10)
  /// How long a call waits for a server that is away before it gets `away`.
  public var awayPatience = Duration.seconds(1)
  /// The first and the greatest pause between attempts to connect; doubled each time, full jitter.
  public var backoff = Duration.milliseconds(50)...Duration.seconds(5)
  /// How many units (reads, changes) one connection carries at once.
  public var inFlightMax = 64
  /// How many quick reads of one turn share a transaction and its Sync; 1: none.
  public var readsPerTransaction = 32
  /// What a call without a deadline gets for each statement.
  public var statementTimeout = Duration.seconds(30)
  /// A connection that idled this long proves that it lives before it is used.
  public var proveAfterIdle = Duration.seconds(30)
  /// How long that proof may take.
  public var proofPatience = Duration.seconds(2)
  /// How long an overflow connection may idle.
  public var overflowIdle = Duration.seconds(2)
  /// Off behind PgBouncer in transaction mode: statements are sent whole, and the role is set in
  /// each transaction.
  public var preparesStatements = true
  /// A statement that takes longer is reported by name.
  public var slowStatement = Duration.milliseconds(100)
  /// What the server calls this client in its own lists.
  public var applicationName = "needletail"

  /// Settings for `connection`, all others at their defaults.
  public init(connection: String) {
    self.connection = connection
  }

  /// Makes sure that the connection strings can be read.
  ///
  /// - Throws: `configuration` that says what is wrong with them.
  public func check() throws(PostgresError) {
    for text in [connection, directConnection ?? connection] {
      _ = try ConnectionString(text, applicationName: applicationName)
    }
  }

  /// How long to wait after the nth failure in a row: any time up to a bound that doubles, so that
  /// many clients do not return together.
  func pause(afterFailures failures: Int) -> Duration {
    let ceiling = min(backoff.upperBound, backoff.lowerBound * (1 << min(failures, 16)))
    return .nanoseconds(Int64.random(in: 0...Int64(clamping: ceiling.wholeNanoseconds)))
  }
}

/// On whose behalf statements run, and for how long.
public struct Work {
  /// What row-level security lets a transaction see.
  public enum Scope: Sendable, Equatable {
    /// The rows of one organization.
    case organization(UUID)
    /// What is visible without an organization.
    case none
  }

  /// What the transaction sees.
  public var scope: Scope
  /// When the caller stops waiting.
  public var deadline: Instant?
  /// Says when the caller no longer waits.
  public var cancellation: Cancellation?

  /// Describes the work of a call.
  public init(scope: Scope, deadline: Instant?, cancellation: Cancellation?) {
    self.scope = scope
    self.deadline = deadline
    self.cancellation = cancellation
  }

  /// Why the work is to stop, if it is.
  func failure(at now: Instant) -> PostgresError? {
    if let reason = cancellation?.reason {
      return reason == .deadlineExceeded ? .deadlineExceeded : .cancelled
    }
    if let deadline, deadline <= now { return .deadlineExceeded }
    return nil
  }
}

/// How much of other transactions' work a transaction sees.
public enum Isolation: Sendable {
  /// Each statement sees what was committed before it.
  case readCommitted
  /// All statements see what was committed before the first.
  case repeatableRead
  /// As if transactions ran one after another; may fail with `isSerializationFailure`.
  case serializable
}
