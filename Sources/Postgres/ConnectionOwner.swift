internal import EventLoop

/// Who owns pooled connections.
protocol ConnectionOwner: AnyObject {
  /// The answer to a unit's Sync has come; there may be room for another unit.
  func connectionAdvanced(_ connection: Connection)
  /// The connection is closed and its units have failed.
  func connectionEnded(_ connection: Connection, _ message: String)
  /// A statement has been answered.
  func statementEnded(_ statement: Statement, after duration: Duration, isError: Bool)
}
