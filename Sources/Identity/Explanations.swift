internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension IdentityService {
  /// Lists every permission, who has it by their role, and whether the caller does.
  public func listPermissions(
    _ request: ListPermissionsRequest, _ call: CallContext
  ) async throws(CallError) -> ListPermissionsResponse {
    var methods: [String: [String]] = [:]
    for method in call.server.router.methods {
      methods[method.descriptor.permission, default: []].append(method.descriptor.name)
    }
    var response = ListPermissionsResponse()
    for (name, methods) in methods.sorted(by: { $0.key < $1.key }) {
      let isOfAll = !Router.isGiven(name)
      var permission = Permission()
      permission.name = name
      permission.methods = methods.sorted()
      permission.roles = MemberRole.allCases.reversed()
        .filter { isOfAll || Access.role($0.rawValue, permits: name) }.map(\.message)
      permission.isGranted = isOfAll || call.principal.permissions.contains(name)
      response.permissions.append(permission)
    }
    return response
  }

  /// Says whether a call would be allowed, and which rule decides.
  public func explainAccess(
    _ request: ExplainAccessRequest, _ call: CallContext
  ) async throws(CallError) -> ExplainAccessResponse {
    var validator = Validator()
    let principalID =
      validator.optionalID("principal_id", request.principalID) ?? call.principal.id
    let keyID = validator.optionalID("api_key_id", request.apiKeyID)
    let resourceID = validator.optionalID("resource_id", request.resourceID)
    let method = call.server.router.methods.first { $0.descriptor.name == request.method }?
      .descriptor
    if method == nil {
      validator.refuse("method", "must be the full name of a method, as ListMethods tells it")
    }
    try validator.finish()
    guard let method else { throw .internal("a method that was refused is missing") }
    guard principalID == call.principal.id || call.isAdministrator else {
      throw CallError(
        RpcErrorReason.permissionMissing,
        "Only administrators of the organization ask for others; leave principal_id empty.")
    }

    let caller = try await caller(principalID, keyID, call)
    var explanation = AccessExplanation()
    explanation.admit(caller)
    explanation.permit(method.permission, caller)
    if let resourceID {
      let project = try await project(of: resourceID, for: principalID, call)
      if let needed = RoleInProject.needed(by: method.permission) {
        explanation.enter(
          project, needing: needed, undeleting: method == IdentityMethods.undeleteProject,
          method.permission, caller)
      }
    }
    return ExplainAccessResponse(explanation, method.permission)
  }

  private func caller(
    _ principalID: UUID, _ keyID: UUID?, _ call: CallContext
  ) async throws(CallError) -> AccessExplanation.Caller {
    let isOneself = principalID == call.principal.id
    let keyID = keyID ?? (isOneself ? call.principal.apiKeyID : nil)
    let row = try await call.read(
      ExplanationsQueries.getPrincipalAccess(
        organizationID: call.principal.organizationID, apiKeyID: keyID, principalID: principalID))
    guard let row else { throw memberNotFound(principalID) }
    var key: AccessExplanation.Key?
    if let keyID {
      guard row.apiKeyID == keyID else {
        throw CallError(
          IdentityErrorReason.apiKeyNotFound,
          "\(row.label) has no API key \(keyID) in your organization.")
      }
      key = AccessExplanation.Key(
        scopes: row.scopes, isRevoked: row.isRevoked,
        isExpired: row.expiresAt.map { $0 <= WallClock.microseconds() } ?? false)
    }
    return AccessExplanation.Caller(
      label: row.label,
      organizationStatus: row.isOrganizationThere ? row.subscriptionStatus : nil,
      isUserActive: row.isUserActive, role: row.role, isMemberActive: row.isMemberActive, key: key)
  }

  /// The project that a thing is, or is in; for those who do not see it, there is none.
  private func project(
    of resourceID: UUID, for principalID: UUID, _ call: CallContext
  ) async throws(CallError) -> AccessExplanation.Project {
    let row = try await call.read(
      ExplanationsQueries.getProjectAccess(
        userID: principalID, organizationID: call.principal.organizationID,
        resourceID: resourceID))
    let role = row?.role.flatMap { RoleInProject(rawValue: $0) }
    let memberRole = row?.memberRole.flatMap { RoleInProject(rawValue: $0) }
    guard let row, call.isAdministrator || role != nil || memberRole == .owner else {
      throw CallError(
        IdentityErrorReason.resourceNotFound,
        "There is no project, experiment or run \(resourceID) in your organization.")
    }
    return AccessExplanation.Project(
      name: row.name, visibility: row.visibility, isDeleted: row.isDeleted,
      memberRole: memberRole, role: role)
  }
}

extension ExplainAccessResponse {
  fileprivate init(_ explanation: AccessExplanation, _ permission: String) {
    self.init()
    let refusal = explanation.refusal
    isAllowed = refusal == nil
    self.permission = permission
    code = refusal?.refusal?.rawValue ?? ""
    decisions = explanation.decisions.map { decision in
      var message = AccessDecision()
      message.rule = decision.rule
      message.isAllowed = decision.refusal == nil
      message.explanation = decision.explanation
      return message
    }
    // The first that refuses is the last that was asked.
    if let last = decisions.indices.last { decisions[last].isDecisive = true }
  }
}
