/// A role in a project, the least first, and what needs which.
public enum RoleInProject: String, Comparable, CaseIterable, Sendable {
  /// Looks at what is in it.
  case viewer
  /// Changes what is in it.
  case contributor
  /// Changes the project and its members, too.
  case owner

  private var rank: Int {
    switch self {
    case .viewer: 0
    case .contributor: 1
    case .owner: 2
    }
  }

  /// Compares how much two roles may do.
  public static func < (left: RoleInProject, right: RoleInProject) -> Bool {
    left.rank < right.rank
  }

  /// The least role in a project that a method needs there, by its permission; nil when it asks of
  /// no project.
  public static func needed(by permission: String) -> RoleInProject? {
    let parts = permission.split(separator: ".")
    guard parts.count == 2 else { return nil }
    let isLooking = parts[1] == "get" || parts[1] == "list"
    switch parts[0] {
    // A listing leaves out what is not seen, and whoever creates a project owns it.
    case "artifact", "experiment", "logged_model", "model", "model_version", "run":
      return parts[1] == "list" ? nil : isLooking ? .viewer : .contributor
    // These are listed of one project, which is seen or is not there.
    case "trace", "evaluation_dataset", "issue", "label_schema", "review_queue", "scorer":
      return isLooking ? .viewer : .contributor
    // Only those who may change webhooks see what their secrets are encrypted to.
    case "webhook": return .contributor
    case "project":
      return parts[1] == "list" || parts[1] == "create" ? nil : isLooking ? .viewer : .owner
    case "project_member": return isLooking ? .viewer : .owner
    default: return nil
    }
  }

  /// Those that may do at least as much, for statements that decide in their transaction.
  public var sufficient: [String] {
    RoleInProject.allCases.filter { $0 >= self }.map(\.rawValue)
  }
}
