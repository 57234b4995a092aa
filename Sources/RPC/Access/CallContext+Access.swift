internal import EventLoop
internal import Messages
public import Postgres

extension CallContext {
  /// The caller's role in a project, as it was at most a second ago; nil where they may not look.
  ///
  /// For looking; who changes something asks in the transaction.
  public func roleInProject(_ id: UUID) async throws(CallError) -> RoleInProject? {
    let key = RoleKey(
      organizationID: principal.organizationID, projectID: id, userID: principal.id)
    if let role = access.role(key) { return role }
    let look = look(for: key)
    try await wait(for: look.signal, unless: { look.outcome != nil })
    switch look.outcome {
    case .success(let role): return role
    case .failure(let error): throw callError(error)
    case nil: throw .internal("a look for a role has ended without one")
    }
  }

  /// Whether the caller sees every project of the organization, whoever its members are.
  public var seesAllProjects: Bool { principal.role == "admin" }

  /// The roles in a project that suffice for the call.
  public var sufficientRoles: [String] {
    RoleInProject.needed(by: method.permission)?.sufficient ?? []
  }

  /// Demands that the caller's role in a project, as their transaction has read it, suffices.
  ///
  /// - Parameters:
  ///   - role: As stored; nil = none.
  ///   - unseen: What callers hear who may not even look.
  /// - Throws: ``CallError`` PERMISSION_MISSING where the role does not suffice.
  public func require(
    _ role: String?, unseen: @autoclosure () -> CallError
  ) throws(CallError) {
    guard let role else { throw unseen() }
    guard sufficientRoles.contains(role) else { throw .roleMissing(role) }
  }
}

extension CallError {
  /// What a caller hears whose role in a project is too little.
  static func roleMissing(_ role: String) -> CallError {
    CallError(
      RpcErrorReason.permissionMissing,
      "As \(role) of the project you may look at this, but not change it: ask an owner of the "
        + "project for a higher role.")
  }
}
