internal import Messages
internal import RPC

/// Which rules a call has to pass, in the order in which a server asks them, and what each says.
///
/// It decides nothing: every rule is asked where it is kept, here and for the call itself.
struct AccessExplanation {
  /// One rule's word.
  struct Decision: Equatable {
    var rule: AccessRule
    var explanation: String
    /// With which code it refuses; nil = it lets the call pass.
    var refusal: Code?
  }

  /// The canonical codes of refusals.
  enum Code: String {
    case unauthenticated = "UNAUTHENTICATED"
    case permissionDenied = "PERMISSION_DENIED"
    /// They would not hear that there is such a thing.
    case notFound = "NOT_FOUND"
  }

  /// The rules up to the first that refuses.
  private(set) var decisions: [Decision] = []

  /// The rule that refuses; nil = the call is allowed.
  var refusal: Decision? { decisions.last.flatMap { $0.refusal == nil ? nil : $0 } }

  private mutating func ask(
    _ rule: AccessRule, _ isAllowed: Bool, or refusal: Code, _ explanation: String
  ) {
    // A server asks no further.
    guard self.refusal == nil else { return }
    decisions.append(
      Decision(rule: rule, explanation: explanation, refusal: isAllowed ? nil : refusal))
  }

  // MARK: Who asks

  /// What is known of who calls.
  struct Caller {
    var label: String
    /// "active", "inactive" or "suspended"; nil = the organization is deleted.
    var organizationStatus: String?
    var isUserActive: Bool
    /// Role in the organization; nil = no member.
    var role: String?
    var isMemberActive: Bool
    /// nil = no key is considered.
    var key: Key?
  }

  /// What is known of a key.
  struct Key {
    var scopes: [String]
    var isRevoked: Bool
    var isExpired: Bool
  }

  /// Asks what Hello asks.
  mutating func admit(_ caller: Caller) {
    let status = caller.organizationStatus ?? "deleted"
    ask(
      .organization, status == "active", or: .unauthenticated, "The organization is \(status).")
    ask(
      .user, caller.isUserActive, or: .unauthenticated,
      "\(caller.label) is \(caller.isUserActive ? "active" : "not active any more").")
    let membership =
      switch (caller.role, caller.isMemberActive) {
      case (nil, _): "is no member of the organization"
      case (_, false): "is a member of the organization who was deactivated"
      case (_, true): "is a member of the organization"
      }
    ask(
      .membership, caller.role != nil && caller.isMemberActive, or: .unauthenticated,
      "\(caller.label) \(membership).")
    guard let key = caller.key else { return }
    let state = key.isRevoked ? "was revoked" : key.isExpired ? "has expired" : "is good"
    ask(
      .apiKey, !key.isRevoked && !key.isExpired, or: .unauthenticated,
      "The API key \(state); from which addresses it is taken is not considered.")
  }

  // MARK: What the organization and the key permit

  /// Asks what is asked before a handler runs.
  mutating func permit(_ permission: String, _ caller: Caller) {
    if !Router.isGiven(permission) {
      return ask(
        .organizationRole, true, or: .permissionDenied, "Every caller may call this method.")
    }
    let role = caller.role ?? ""
    let others = MemberRole.allCases.reversed().map(\.rawValue)
      .filter { Access.role($0, permits: permission) }.joined(separator: ", ")
    let includes = Access.role(role, permits: permission)
    ask(
      .organizationRole, includes, or: .permissionDenied,
      includes
        ? "The role \(role) in the organization includes \(permission)."
        : "The role \(role) in the organization does not include \(permission); these do: "
          + "\(others).")
    guard let key = caller.key else { return }
    let scope = key.scopes.first { Access.pattern($0, matches: permission) }
    ask(
      .keyScopes, scope != nil, or: .permissionDenied,
      scope.map { "The key's scope \($0) includes \(permission)." }
        ?? (key.scopes.isEmpty
          ? "The key has no scopes, which permits nothing."
          : "None of the key's scopes includes \(permission): "
            + "\(key.scopes.joined(separator: ", "))."))
    if Access.isOwn(permission), role != MemberRole.admin.rawValue {
      ask(
        .ownership, true, or: .permissionDenied,
        "All but administrators may do this with what is their own only.")
    }
  }

  // MARK: What the project permits

  /// What is known of the project that a call is about.
  struct Project {
    var name: String
    var visibility: String
    var isDeleted: Bool
    /// The role that was given to the caller; nil = none.
    var memberRole: RoleInProject?
    /// The role that counts; nil = the caller does not see the project.
    var role: RoleInProject?
  }

  /// Asks what a handler asks of a project.
  mutating func enter(
    _ project: Project, needing needed: RoleInProject, undeleting: Bool, _ permission: String,
    _ caller: Caller
  ) {
    if project.isDeleted, undeleting {
      let mayUndelete =
        caller.role == MemberRole.admin.rawValue || project.memberRole == .owner
      return ask(
        .projectRole, mayUndelete, or: .notFound,
        "\"\(project.name)\" is deleted; its owners and the administrators of the organization may "
          + "bring it back.")
    }
    ask(
      .projectState, !project.isDeleted, or: .notFound,
      project.isDeleted
        ? "\"\(project.name)\" is deleted: what is in it is not found until it is brought back."
        : "\"\(project.name)\" is not deleted.")
    ask(
      .projectVisibility, project.role != nil, or: .notFound,
      "\"\(project.name)\" has the visibility \(project.visibility), and \(caller.label) is "
        + "\(standing(project, caller)).")
    guard let role = project.role else { return }
    ask(
      .projectRole, role >= needed, or: .permissionDenied,
      "\(permission) needs the role \(needed.rawValue) in a project; what counts is "
        + "\(role.rawValue)\(origin(of: role, project, caller)).")
  }

  private func standing(_ project: Project, _ caller: Caller) -> String {
    let given = project.memberRole.map { "a member of it as \($0.rawValue)" } ?? "no member of it"
    return caller.role == MemberRole.admin.rawValue
      ? "\(given), but an administrator of the organization" : given
  }

  private func origin(of role: RoleInProject, _ project: Project, _ caller: Caller) -> String {
    if caller.role == MemberRole.admin.rawValue { return ", as for every administrator" }
    guard role < project.memberRole ?? .contributor else { return "" }
    return ", because a viewer of the organization never has more"
  }
}
