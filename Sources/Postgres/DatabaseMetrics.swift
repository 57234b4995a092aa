public import EventLoop

/// What a loop's database has done, and how it stands.
public struct DatabaseMetrics: Sendable, Equatable {
  /// Connections that carry work.
  public var connectionsInUse = 0
  /// Connections that wait for work.
  public var connectionsIdle = 0
  /// Connections that are being made.
  public var connectionsConnecting = 0
  /// Of all these, the ones beyond the pool's size.
  public var connectionsOverflow = 0
  /// Units and transactions that wait for a connection.
  public var waiters = 0
  /// How many have waited, since the start.
  public var waits: UInt64 = 0
  /// How long they have waited together.
  public var waitTotal = Duration.zero
  /// The longest wait.
  public var waitMax = Duration.zero
  /// Statements answered.
  public var statements: UInt64 = 0
  /// Of these, the ones refused.
  public var errors: UInt64 = 0
  /// Of these, the ones over the slow-statement threshold.
  public var slowStatements: UInt64 = 0
  /// Connections made.
  public var connects: UInt64 = 0
  /// Attempts to connect that failed.
  public var connectFailures: UInt64 = 0
  /// Connections that broke.
  public var connectionsLost: UInt64 = 0
  /// Statements that a helper thread asked the server to stop.
  public var cancellations: UInt64 = 0
}

/// Whether the database can be used.
public enum DatabaseState: Sendable, Equatable {
  /// A connection stands.
  case ready
  /// The first connection is being made.
  case connecting
  /// No connection stands; the text says what the last attempt met.
  case away(since: Instant, lastError: String)
  /// ``Database/close()`` has been called.
  case closed
}

/// How the pool stands.
extension Pool {
  var state: DatabaseState {
    if isClosed { return .closed }
    if isStanding { return .ready }
    guard let awaySince else { return .connecting }
    return .away(since: awaySince, lastError: lastError)
  }

  var snapshot: DatabaseMetrics {
    var snapshot = metrics
    snapshot.connectionsInUse = connections.count { $0.inFlight > 0 || $0.isLeased }
    snapshot.connectionsIdle = connections.count - snapshot.connectionsInUse
    snapshot.connectionsConnecting = connecting + connectingOverflow
    snapshot.connectionsOverflow = connections.count { $0.isOverflow } + connectingOverflow
    snapshot.waiters = units.count + leases.count
    return snapshot
  }
}
