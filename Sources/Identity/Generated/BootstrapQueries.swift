internal import Postgres

enum BootstrapQueries {
  struct FindFirstAdministratorRow: Sendable, Equatable {
    var organizationID: UUID
    var organizationSlug: String
    var userID: UUID
    var projectID: UUID?
  }
  private static let findFirstAdministratorStatement = Statement(
    "identity.findFirstAdministrator",
    """
    select
        organization.id as organization_id,
        organization.slug as organization_slug,
        membership.user_id,
        (
            select project.id
            from projects as project
            where project.organization_id = organization.id and project.deleted_at is null
            order by project.id
            limit 1
        ) as project_id
    from organizations as organization
    inner join organization_memberships as membership
        on organization.id = membership.organization_id
    where
        organization.deleted_at is null
        and membership.deleted_at is null
        and membership.role = 'admin'
    order by organization.id, membership.id
    limit 1
    """, parameters: [], columns: [2950, 25, 2950, 2950])
  static func findFirstAdministrator() -> Query<FindFirstAdministratorRow?> {
    let parameters = Parameters()
    return Query(findFirstAdministratorStatement, parameters) { reply throws(PostgresError) in
      try reply.optional { row throws(PostgresError) in FindFirstAdministratorRow(organizationID: try row.uuid(0), organizationSlug: try row.text(1), userID: try row.uuid(2), projectID: try row.uuidOrNil(3)) }
    }
  }

  private static let lockInstallationStatement = Statement(
    "identity.lockInstallation",
    """
    select installation.id from installation for update
    """, parameters: [], columns: [])
  static func lockInstallation() -> Query<Int> {
    let parameters = Parameters()
    return Query(lockInstallationStatement, parameters)
  }

  private static let createOrganizationStatement = Statement(
    "identity.createOrganization",
    """
    insert into organizations (
        id, name, slug, is_personal, billing_email, created_at, updated_at
    )
    values ($1, $2, $3, $4, $5, $6, $6)
    """, parameters: [2950, 25, 25, 16, 25, 1184], columns: [])
  static func createOrganization(id: UUID, name: String, slug: String, isPersonal: Bool, billingEmail: String, createdAt: Int64) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: id)
    parameters.append(text: name)
    parameters.append(text: slug)
    parameters.append(bool: isPersonal)
    parameters.append(text: billingEmail)
    parameters.append(timestamp: createdAt)
    return Query(createOrganizationStatement, parameters)
  }

  private static let createUserStatement = Statement(
    "identity.createUser",
    """
    insert into users (id, kind, email, display_name, is_platform_admin, created_at, updated_at)
    values (
        $1, 'person', $2, $3, $4, $5, $5
    )
    """, parameters: [2950, 25, 25, 16, 1184], columns: [])
  static func createUser(id: UUID, email: String, displayName: String, isPlatformAdmin: Bool, createdAt: Int64) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: id)
    parameters.append(text: email)
    parameters.append(text: displayName)
    parameters.append(bool: isPlatformAdmin)
    parameters.append(timestamp: createdAt)
    return Query(createUserStatement, parameters)
  }

  private static let createMembershipStatement = Statement(
    "identity.createMembership",
    """
    insert into organization_memberships (
        organization_id, id, user_id, role, joined_at, created_at, updated_at
    )
    values ($1, $2, $3, $4, $5, $5, $5)
    """, parameters: [2950, 2950, 2950, 25, 1184], columns: [])
  static func createMembership(organizationID: UUID, id: UUID, userID: UUID, role: String, createdAt: Int64) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    parameters.append(uuid: userID)
    parameters.append(text: role)
    parameters.append(timestamp: createdAt)
    return Query(createMembershipStatement, parameters)
  }

  private static let createProjectStatement = Statement(
    "identity.createProject",
    """
    insert into projects (
        organization_id, id, name, slug, visibility, created_by, created_at, updated_at
    )
    values (
        $1, $2, $3, $4, $5, $6, $7, $7
    )
    """, parameters: [2950, 2950, 25, 25, 25, 2950, 1184], columns: [])
  static func createProject(organizationID: UUID, id: UUID, name: String, slug: String, visibility: String, createdBy: UUID, createdAt: Int64) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    parameters.append(text: name)
    parameters.append(text: slug)
    parameters.append(text: visibility)
    parameters.append(uuid: createdBy)
    parameters.append(timestamp: createdAt)
    return Query(createProjectStatement, parameters)
  }

  private static let createProjectMemberStatement = Statement(
    "identity.createProjectMember",
    """
    insert into project_members (
        organization_id, id, project_id, user_id, role, added_by, created_at, updated_at
    )
    values (
        $1, $2, $3, $4, $5, $6, $7, $7
    )
    """, parameters: [2950, 2950, 2950, 2950, 25, 2950, 1184], columns: [])
  static func createProjectMember(organizationID: UUID, id: UUID, projectID: UUID, userID: UUID, role: String, addedBy: UUID, createdAt: Int64) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    parameters.append(uuid: projectID)
    parameters.append(uuid: userID)
    parameters.append(text: role)
    parameters.append(uuid: addedBy)
    parameters.append(timestamp: createdAt)
    return Query(createProjectMemberStatement, parameters)
  }

}