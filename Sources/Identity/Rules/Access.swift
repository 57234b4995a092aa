/// What a role and the scopes of a key permit.
///
/// The smaller of both wins, and what neither names is not permitted.
struct Access {
  /// Every permission that some method asks for.
  let known: Set<String>

  /// The permissions of a caller.
  func permissions(role: String, scopes: [String]) -> Set<String> {
    known.filter { permission in
      Access.role(role, permits: permission)
        && scopes.contains { Access.pattern($0, matches: permission) }
    }
  }

  /// Whether a role in the organization permits something.
  static func role(_ role: String, permits permission: String) -> Bool {
    guard let verb = permission.split(separator: ".").last else { return false }
    let resource = permission.split(separator: ".").first ?? ""
    let isLooking = verb == "get" || verb == "list"
    switch role {
    case "admin": return true
    case "developer": return isLooking || workResources.contains(String(resource))
    case "viewer": return isLooking
    default: return false
    }
  }

  /// What developers work with, beside looking at everything.
  ///
  /// Which projects they may change is for ``ProjectAccess`` to say.
  private static let workResources: Set<String> = [
    "experiment", "project", "project_member", "run",
  ]

  /// Whether a scope, "*", "run.*" or "run.get", covers a permission.
  static func pattern(_ pattern: String, matches permission: String) -> Bool {
    if pattern == "*" || pattern == permission { return true }
    return pattern.hasSuffix(".*") && permission.hasPrefix(pattern.dropLast())
  }
}
