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
    let isOwn = ownResources.contains(String(resource)) || permission == ownOrganization
    switch role {
    case "admin": return true
    case "developer": return isLooking || isOwn || workResources.contains(String(resource))
    case "viewer": return isLooking || isOwn
    default: return false
    }
  }

  /// What developers work with, beside looking at everything.
  ///
  /// Which projects they may change is for ``ProjectAccess`` to say.
  private static let workResources: Set<String> = [
    "artifact", "evaluation_dataset", "experiment", "issue", "label_schema", "logged_model",
    "model", "model_version", "project", "project_member", "review_queue", "run", "scorer",
    "trace", "webhook",
  ]

  /// What everybody looks after for themselves: the handlers keep all but administrators to what is
  /// their own.
  private static let ownResources: Set<String> = ["access", "api_key", "user"]

  /// To make an organization of one's own does nothing to this one; whether the installation lets
  /// everybody, its setting says.
  private static let ownOrganization = "organization.create"

  /// Whether all but administrators may do something with what is their own only.
  static func isOwn(_ permission: String) -> Bool {
    permission.split(separator: ".").first.map { ownResources.contains(String($0)) } ?? false
  }

  /// Whether a scope names something that there is: everything, a resource or a permission.
  func knows(scope: String) -> Bool {
    if scope == "*" || known.contains(scope) { return true }
    let resource = scope.dropLast()
    return scope.hasSuffix(".*") && resource.count > 1
      && known.contains { $0.hasPrefix(resource) }
  }

  /// The first of `scopes` that goes beyond what `own` permit, or nil.
  static func excess(of scopes: [String], beyond own: [String]) -> String? {
    scopes.first { scope in !own.contains { pattern($0, matches: scope) } }
  }

  /// Whether a scope, "*", "run.*" or "run.get", covers a permission.
  static func pattern(_ pattern: String, matches permission: String) -> Bool {
    if pattern == "*" || pattern == permission { return true }
    return pattern.hasSuffix(".*") && permission.hasPrefix(pattern.dropLast())
  }
}
