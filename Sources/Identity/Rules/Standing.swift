internal import Messages
internal import Postgres
internal import RPC

/// Who may do what to whom in an organization, as its members are while their rows are locked.
struct Standing {
  /// One of them.
  struct Member: Equatable {
    /// The user or service account.
    let id: UUID
    /// What they may do.
    var role: MemberRole
    /// Whether their keys are taken.
    var isActive: Bool
    /// Programs may be administrators, but no organization is left to them alone.
    let isPerson: Bool

    /// Whether the organization can be run by them.
    fileprivate var isLeading: Bool { isPerson && isActive && role == .admin }
  }

  /// Who decides.
  let callerID: UUID
  /// The caller, who is changed, and every administrator.
  let members: [Member]

  /// Refuses a change of `before` to `after`; nil = they go.
  ///
  /// The caller is looked at anew: they may have been lowered since their connection was opened.
  ///
  /// - Throws: ``CallError`` `PERMISSION_MISSING` where the caller is no active member whose role
  ///   has `permission`, `ROLE_TOO_HIGH`, or `LAST_ADMIN`.
  func check(_ before: Member, after: Member?, needing permission: String) throws(CallError) {
    let isLeaving = after == nil && before.id == callerID
    if !isLeaving {
      let caller = members.first { $0.id == callerID && $0.isActive }
      try Standing.check(
        caller?.role, from: before.role, to: after?.role ?? before.role, needing: permission)
    }
    let isLedByAnother = members.contains { $0.id != before.id && $0.isLeading }
    if before.isLeading, after?.isLeading != true, !isLedByAnother {
      throw CallError(
        IdentityErrorReason.lastAdmin,
        "They are the organization's last active administrator: make somebody else one first.")
    }
  }

  /// Refuses a change of a role that a caller of `role` may not make; nil = no active member.
  static func check(
    _ role: MemberRole?, from before: MemberRole, to after: MemberRole,
    needing permission: String
  ) throws(CallError) {
    guard let role else {
      throw CallError(
        RpcErrorReason.permissionMissing, "You are not an active member of the organization.")
    }
    guard before <= role, after <= role else {
      throw CallError(
        IdentityErrorReason.roleTooHigh,
        "The role \(max(before, after)) is above your own, \(role): ask an administrator.")
    }
    guard Access.role(role.rawValue, permits: permission) else {
      throw CallError(
        RpcErrorReason.permissionMissing,
        "Your role, \(role), does not permit this any more: it needs \(permission).")
    }
  }
}
