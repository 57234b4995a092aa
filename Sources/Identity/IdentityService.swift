public import Messages
internal import Postgres
public import RPC

/// `needletail.identity.v1.Identity`: organizations, users, projects, keys and access.
public struct IdentityService: IdentityHandlers {
  let access: Access
  let passwords: Passwords
  let organizations: OrganizationSettings

  /// Makes the service of a server whose methods ask for `permissions`.
  public init(
    permissions: Set<String>, passwords: Passwords = Passwords(),
    organizations: OrganizationSettings = OrganizationSettings()
  ) {
    access = Access(known: permissions)
    self.passwords = passwords
    self.organizations = organizations
  }

  /// What the refusals of this service's tables and statements mean.
  public static var reasons: ReasonTable {
    var table = ReasonTable(refusals)
    table.merge(ReasonTable(constraints: IdentityConstraints.reasons, meanings: meanings))
    return table
  }

  /// By the name with which statements refuse.
  private static var refusals: [String: ReasonTable.Entry] {
    [
      "PLAN_LIMIT_REACHED": .init(
        IdentityErrorReason.planLimitReached,
        "The organization has as many as its plan allows: take one away, or ask for more."),
      "MEMBERSHIP_ENDED": .init(
        RpcErrorReason.permissionMissing, "You are not a member of the organization any more."),
      "LAST_OWNER": .init(
        IdentityErrorReason.lastOwner,
        "A project would be left without an owner: make somebody else one first."),
      "LAST_ADMIN": .init(
        IdentityErrorReason.lastAdmin,
        "You are the last active administrator of an organization: make somebody else one there, "
          + "or delete it."),
    ]
  }

  /// By the name that constraints are mapped to.
  private static var meanings: [String: ReasonTable.Entry] {
    [
      "ORGANIZATION_NOT_FOUND": .init(
        IdentityErrorReason.organizationNotFound, "There is no such organization."),
      "PROJECT_NOT_FOUND": .init(
        IdentityErrorReason.projectNotFound, "There is no such project in your organization."),
      "EMAIL_TAKEN": .init(
        IdentityErrorReason.emailTaken, "The e-mail address belongs to another person."),
      "SLUG_TAKEN": .init(
        IdentityErrorReason.slugTaken, "The slug is taken: choose another one."),
    ]
  }

  /// Returns who the connection's API key belongs to and what it may do.
  public func whoAmI(
    _ request: WhoAmIRequest, _ call: CallContext
  ) async throws(CallError) -> WhoAmIResponse {
    let organizationID = call.principal.organizationID
    let caller = try await call.read(
      CallersQueries.getCaller(
        organizationID: organizationID, apiKeyID: call.principal.apiKeyID))
    guard let caller else {
      throw CallError(
        IdentityErrorReason.organizationNotFound,
        "You are not a member of the organization any more.")
    }
    let projects = try await call.read(
      CallersQueries.listVisibleProjects(
        organizationID: organizationID, userID: call.principal.id))
    return response(caller, projects)
  }

  private func response(
    _ caller: CallersQueries.GetCallerRow, _ projects: [CallersQueries.ListVisibleProjectsRow]
  ) -> WhoAmIResponse {
    var response = WhoAmIResponse()
    response.organizationID = caller.organizationID.description
    response.organizationSlug = caller.organizationSlug
    response.organizationName = caller.organizationName
    response.userID = caller.userID.description
    response.email = caller.email
    response.displayName = caller.displayName
    response.role = caller.role
    response.apiKeyID = caller.apiKeyID.description
    response.apiKeyPrefix = caller.apiKeyPrefix
    response.apiKeyExpiresAt = caller.apiKeyExpiresAt.map { Timestamp(microseconds: $0) }
    response.permissions = access.permissions(role: caller.role, scopes: caller.scopes).sorted()
    response.projects = projects.map { project in
      var summary = ProjectSummary()
      summary.id = project.id.description
      summary.slug = project.slug
      summary.name = project.name
      return summary
    }
    return response
  }
}
