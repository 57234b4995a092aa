internal import Postgres

enum SessionQueries {
  struct DescribeSessionRow: Sendable, Equatable {
    var role: String
    var isAboveRowSecurity: Bool
    var isStandby: Bool
    var serverVersion: String
    var installationID: UUID
  }
  private static let describeSessionStatement = Statement(
    "rpc.describeSession",
    """
    select
        current_user::text as "role!",
        role.rolsuper or role.rolbypassrls as "is_above_row_security!",
        pg_is_in_recovery() as "is_standby!",
        current_setting('server_version') as "server_version!",
        (select installation.id from installation) as "installation_id!"
    from pg_roles as role
    where role.rolname = current_user
    """, parameters: [], columns: [25, 16, 16, 25, 2950])
  static func describeSession() -> Query<DescribeSessionRow> {
    let parameters = Parameters()
    return Query(describeSessionStatement, parameters) { reply throws(PostgresError) in
      try reply.one { row throws(PostgresError) in DescribeSessionRow(role: try row.text(0), isAboveRowSecurity: try row.bool(1), isStandby: try row.bool(2), serverVersion: try row.text(3), installationID: try row.uuid(4)) }
    }
  }

  private static let checkHealthStatement = Statement(
    "rpc.checkHealth",
    """
    select 1 as "one!"
    """, parameters: [], columns: [23])
  static func checkHealth() -> Query<Int32> {
    let parameters = Parameters()
    return Query(checkHealthStatement, parameters) { reply throws(PostgresError) in
      try reply.one { row throws(PostgresError) in try row.int4(0) }
    }
  }

}