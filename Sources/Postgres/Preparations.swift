/// Which statements a connection's server knows by name.
struct Preparations {
  private enum State: UInt8 {
    case none
    case underWay
    case ready
    /// Prepared, and its columns have been compared with the generated code.
    case checked
  }

  /// By the statements' index.
  private var states: [State] = []
  private var failures: [Int: PostgresError] = [:]

  /// Whether the server knows the statement, or is about to.
  @inline(__always)
  func covers(_ statement: Statement) -> Bool {
    guard let index = statement.index else { return true }
    return index < states.count && states[index] != .none
  }

  mutating func begin(_ index: Int) {
    if index >= states.count {
      states.append(contentsOf: repeatElement(.none, count: max(64, index + 1) - states.count))
    }
    states[index] = .underWay
    failures[index] = nil
  }

  mutating func succeed(_ index: Int) {
    states[index] = .ready
  }

  /// The server has not, or no longer, prepared the statement.
  mutating func fail(_ index: Int, _ error: PostgresError? = nil) {
    states[index] = .none
    if let error { failures[index] = error }
  }

  /// Why the last attempt to prepare the statement failed.
  func failure(_ index: Int) -> PostgresError? { failures[index] }

  /// Whether this is the first result of the statement on this connection.
  mutating func isFirstResult(_ index: Int) -> Bool {
    guard states[index] != .checked else { return false }
    states[index] = .checked
    return true
  }
}
