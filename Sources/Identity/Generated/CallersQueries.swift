internal import Postgres

enum CallersQueries {
  struct GetCallerRow: Sendable, Equatable {
    var organizationID: UUID
    var organizationSlug: String
    var organizationName: String
    var userID: UUID
    var userKind: String
    var email: String
    var displayName: String
    var role: String
    var apiKeyID: UUID
    var apiKeyPrefix: String
    var apiKeyExpiresAt: Int64?
    var scopes: [String]
  }
  private static let getCallerStatement = Statement(
    "identity.getCaller",
    """
    select
        organization.id as organization_id,
        organization.slug as organization_slug,
        organization.name as organization_name,
        principal.id as user_id,
        principal.kind as user_kind,
        coalesce(principal.email, '') as "email!",
        principal.display_name,
        membership.role,
        api_key.id as api_key_id,
        api_key.key_prefix as api_key_prefix,
        api_key.expires_at as api_key_expires_at,
        api_key.scopes
    from api_keys as api_key
    inner join organizations as organization on api_key.organization_id = organization.id
    inner join users as principal on api_key.user_id = principal.id
    inner join organization_memberships as membership
        on
            api_key.organization_id = membership.organization_id
            and api_key.user_id = membership.user_id
            and membership.deleted_at is null
    where api_key.organization_id = $1 and api_key.id = $2
    """, parameters: [2950, 2950], columns: [2950, 25, 25, 2950, 25, 25, 25, 25, 2950, 25, 1184, 1009])
  static func getCaller(organizationID: UUID, apiKeyID: UUID) -> Query<GetCallerRow?> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: apiKeyID)
    return Query(getCallerStatement, parameters) { reply throws(PostgresError) in
      try reply.optional { row throws(PostgresError) in GetCallerRow(organizationID: try row.uuid(0), organizationSlug: try row.text(1), organizationName: try row.text(2), userID: try row.uuid(3), userKind: try row.text(4), email: try row.text(5), displayName: try row.text(6), role: try row.text(7), apiKeyID: try row.uuid(8), apiKeyPrefix: try row.text(9), apiKeyExpiresAt: try row.timestampOrNil(10), scopes: try row.texts(11)) }
    }
  }

  struct ListVisibleProjectsRow: Sendable, Equatable {
    var id: UUID
    var slug: String
    var name: String
  }
  private static let listVisibleProjectsStatement = Statement(
    "identity.listVisibleProjects",
    """
    select
        project.id,
        project.slug,
        project.name
    from projects as project
    inner join visible_projects as visible
        on
            project.organization_id = visible.organization_id
            and project.id = visible.project_id
    where project.organization_id = $1 and visible.user_id = $2
    order by project.name, project.id
    limit 100
    """, parameters: [2950, 2950], columns: [2950, 25, 25])
  static func listVisibleProjects(organizationID: UUID, userID: UUID) -> Query<[ListVisibleProjectsRow]> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: userID)
    return Query(listVisibleProjectsStatement, parameters) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in ListVisibleProjectsRow(id: try row.uuid(0), slug: try row.text(1), name: try row.text(2)) }
    }
  }

}