internal import Postgres

enum SessionQueries {
  private static let enterOrganizationStatement = Statement(
    "rpc.enterOrganization",
    """
    select
        set_config('role', 'needletail_app', true),
        set_config('needletail.organization_id', ($1::uuid)::text, true),
        set_config('statement_timeout', ($2::bigint)::text, true)
    """, parameters: [2950, 20], columns: [])
  static func enterOrganization(organizationID: UUID, timeoutMs: Int64) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(int8: timeoutMs)
    return Query(enterOrganizationStatement, parameters)
  }

  private static let enterApplicationStatement = Statement(
    "rpc.enterApplication",
    """
    select
        set_config('role', 'needletail_app', true),
        set_config('statement_timeout', ($1::bigint)::text, true)
    """, parameters: [20], columns: [])
  static func enterApplication(timeoutMs: Int64) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(int8: timeoutMs)
    return Query(enterApplicationStatement, parameters)
  }

  private static let enterMaintenanceStatement = Statement(
    "rpc.enterMaintenance",
    """
    select
        set_config('role', 'needletail_maintenance', true),
        set_config('statement_timeout', ($1::bigint)::text, true)
    """, parameters: [20], columns: [])
  static func enterMaintenance(timeoutMs: Int64) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(int8: timeoutMs)
    return Query(enterMaintenanceStatement, parameters)
  }

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