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
    // The audit log tells of every project, also of those that not everybody sees.
    let isLooking = (verb == "get" || verb == "list") && resource != "audit_log"
    switch role {
    case "admin": return true
    case "developer": return isLooking || workResources.contains(String(resource))
    case "viewer": return isLooking
    default: return false
    }
  }

  /// What developers work with, beside looking at everything.
  private static let workResources: Set<String> = ["experiment", "run"]

  /// Whether a scope, "*", "run.*" or "run.get", covers a permission.
  static func pattern(_ pattern: String, matches permission: String) -> Bool {
    if pattern == "*" || pattern == permission { return true }
    return pattern.hasSuffix(".*") && permission.hasPrefix(pattern.dropLast())
  }
}
