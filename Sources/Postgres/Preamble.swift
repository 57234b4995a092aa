/// The statements around those of the callers.
enum Preamble {
  static let noParameters = Parameters()
  static let commit = Statement("needletail.commit", "commit", parameters: [], columns: [])
  static let rollback = Statement("needletail.rollback", "rollback", parameters: [], columns: [])
  static let scope = Statement(
    "needletail.scope",
    """
    select set_config('needletail.organization_id', $1, true), \
    set_config('statement_timeout', $2, true)
    """, parameters: [TypeID.text, TypeID.text], columns: [])
  static let scopeWithRole = Statement(
    "needletail.scopeWithRole",
    """
    select set_config('needletail.organization_id', $1, true), \
    set_config('statement_timeout', $2, true), set_config('role', $3, true)
    """, parameters: [TypeID.text, TypeID.text, TypeID.text], columns: [])
  /// What a pooled connection keeps: the role, and plans that are not made anew for each execution,
  /// which statements over arrays would otherwise be.
  static let role = Statement(
    computed: "needletail.role",
    sql: """
      select set_config('role', $1, false), \
      set_config('plan_cache_mode', 'force_generic_plan', false)
      """,
    parameters: [TypeID.text])
  private static let readCommitted = Statement(
    "needletail.begin", "begin", parameters: [], columns: [])
  private static let repeatableRead = Statement(
    "needletail.beginRepeatableRead", "begin isolation level repeatable read", parameters: [],
    columns: [])
  private static let serializable = Statement(
    "needletail.beginSerializable", "begin isolation level serializable", parameters: [],
    columns: [])

  /// The statement that sets the scope of `unit`, and its parameters.
  static func scope(
    of unit: Unit, _ settings: DatabaseSettings, _ parameters: inout Parameters
  ) -> Statement {
    parameters.removeAll()
    switch unit.work.scope {
    case .organization(let organization): parameters.append(textOf: organization)
    case .none: parameters.append(length: 0)
    }
    // The server counts in an int4.
    parameters.append(textOf: min(unit.timeoutMilliseconds, UInt64(Int32.max)))
    guard !settings.preparesStatements, let role = settings.role else { return scope }
    parameters.append(text: role)
    return scopeWithRole
  }

  static func begin(_ isolation: Isolation) -> Statement {
    switch isolation {
    case .readCommitted: readCommitted
    case .repeatableRead: repeatableRead
    case .serializable: serializable
    }
  }
}
