internal import Messages
internal import RPC

/// A role in an organization; the one that may more is the greater one.
enum MemberRole: String, CaseIterable, Comparable {
  case viewer
  case developer
  case admin

  /// Reads what the database holds.
  static func stored(_ text: String) throws(CallError) -> MemberRole {
    guard let role = MemberRole(rawValue: text) else {
      throw CallError.internal("a membership has the role \(text), which nobody knows")
    }
    return role
  }

  /// Reads what a request says; nil for what is no role.
  init?(_ role: OrganizationRole) {
    switch role {
    case .admin: self = .admin
    case .developer: self = .developer
    case .viewer: self = .viewer
    case .unspecified, .unrecognized: return nil
    }
  }

  /// As clients see it.
  var message: OrganizationRole {
    switch self {
    case .admin: .admin
    case .developer: .developer
    case .viewer: .viewer
    }
  }

  static func < (left: MemberRole, right: MemberRole) -> Bool { left.rank < right.rank }

  private var rank: Int {
    switch self {
    case .viewer: 0
    case .developer: 1
    case .admin: 2
    }
  }
}

extension Validator {
  /// Reads a required role; the lowest one when it is bad, which is noted.
  mutating func role(_ field: String, _ role: OrganizationRole) -> MemberRole {
    if let role = MemberRole(role) { return role }
    refuse(
      field,
      "must be ORGANIZATION_ROLE_ADMIN, ORGANIZATION_ROLE_DEVELOPER or ORGANIZATION_ROLE_VIEWER")
    return .viewer
  }
}
