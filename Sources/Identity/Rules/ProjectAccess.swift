internal import RPC

/// Whether a caller may change a project and its members, and which rule says no.
///
/// The organization's administrators may, and the project's owners; the method table has asked
/// for the permission before.
struct ProjectAccess: Equatable {
  /// A role in a project.
  typealias Role = RoleInProject

  /// The rule that says no.
  enum Refusal: Equatable {
    /// The caller does not see the project, and hears that there is none.
    case notVisible
    /// The caller sees it and is neither its owner nor an administrator.
    case ownerNeeded
    /// The role to give is above the caller's own.
    case roleTooHigh
    /// The project would be left without an owner.
    case lastOwner
  }

  /// Whether the caller is an administrator of the organization.
  var isAdministrator: Bool
  /// Whether the project is deleted.
  var isDeleted: Bool
  /// Whether the caller sees the project while it is not deleted.
  var isVisible: Bool
  /// The caller's role in the project, if they have one.
  var role: Role?

  private var isOwner: Bool { isAdministrator || role == .owner }

  /// What speaks against changing or deleting the project.
  var refusalOfChange: Refusal? {
    if isDeleted || !(isAdministrator || isVisible) { return .notVisible }
    return isOwner ? nil : .ownerNeeded
  }

  /// What speaks against bringing the project back: who may not, does not see it meanwhile.
  var refusalOfUndelete: Refusal? {
    guard isDeleted else { return refusalOfChange }
    return isOwner ? nil : .notVisible
  }

  /// What speaks against giving somebody a role.
  ///
  /// - Parameters:
  ///   - new: The role to give.
  ///   - before: The role they have.
  ///   - otherOwners: How many owners the project has beside them.
  /// - Returns: The rule that says no; nil when none does.
  func refusal(ofGiving new: Role, before: Role?, otherOwners: Int64) -> Refusal? {
    if refusalOfChange == .ownerNeeded, let role, new > role { return .roleTooHigh }
    return refusalOfChange ?? refusal(ofLosing: new == .owner ? nil : before, otherOwners)
  }

  /// What speaks against taking somebody out.
  func refusal(ofRemoving before: Role?, otherOwners: Int64) -> Refusal? {
    refusalOfChange ?? refusal(ofLosing: before, otherOwners)
  }

  private func refusal(ofLosing before: Role?, _ otherOwners: Int64) -> Refusal? {
    before == .owner && otherOwners == 0 && !isAdministrator ? .lastOwner : nil
  }
}
