import Messages
import RPC
import Testing

@testable import Identity

/// What roles and scopes permit.
struct AccessTests {
  /// What the methods of the whole server ask for.
  private static let known = Set(
    (ServerMethods.all + IdentityMethods.all + RegistryMethods.all + TrackingMethods.all
      + TracingMethods.all).filter(\.hasPermission)
      .map(\.permission))

  private static let access = Access(known: known)

  @Test("Every permission that a method asks for is a resource and a verb")
  func form() {
    #expect(!Self.known.isEmpty)
    for permission in Self.known {
      let parts = permission.split(separator: ".", omittingEmptySubsequences: false)
      #expect(parts.count == 2 && parts.allSatisfy { !$0.isEmpty }, "\(permission)")
    }
  }

  @Test("An administrator may do everything, and nobody more than is known")
  func admin() {
    #expect(Self.access.permissions(role: "admin", scopes: ["*"]) == Self.known)
    #expect(Access(known: []).permissions(role: "admin", scopes: ["*"]).isEmpty)
  }

  @Test(
    "A developer may do everything with projects, runs, models, traces and keys, and look at all"
  )
  func developer() {
    let work = [
      "access.", "api_key.", "artifact.", "evaluation_dataset.", "experiment.", "issue.",
      "label_schema.", "logged_model.", "model.", "model_version.", "organization.create",
      "project.", "project_member.", "review_queue.", "run.", "scorer.", "trace.", "user.",
      "webhook.", ".get", ".list",
    ]
    let permitted = Self.access.permissions(role: "developer", scopes: ["*"])
    #expect(
      permitted
        == Self.known.filter { permission in
          !permission.hasPrefix("audit_log.")
            && work.contains { permission.hasPrefix($0) || permission.hasSuffix($0) }
        })
    let table = [
      ("run.create", true), ("run.log", true), ("run.update", true), ("experiment.update", true),
      ("run.delete", true), ("api_key.list", true), ("organization.get", true),
      ("project.create", true), ("api_key.create", true), ("project.delete", true),
      ("project_member.update", true), ("projects.create", false),
      ("organization.update", false), ("member.delete", false), ("runs.create", false),
      ("audit_log.list", false), ("audit_log.export", false), ("", false),
    ]
    for (permission, isPermitted) in table {
      #expect(Access.role("developer", permits: permission) == isPermitted, "\(permission)")
    }
  }

  @Test("A viewer may get, list and ask why, and change nothing but what is their own")
  func viewer() {
    func isOwn(_ permission: String) -> Bool {
      ["access.", "api_key.", "user.", "organization.create"].contains { permission.hasPrefix($0) }
    }
    let permitted = Self.access.permissions(role: "viewer", scopes: ["*"])
    #expect(
      permitted
        == Self.known.filter {
          ($0.hasSuffix(".get") || $0.hasSuffix(".list")) && !$0.hasPrefix("audit_log.")
            || isOwn($0)
        })
    #expect(permitted.contains("run.get") && permitted.contains("experiment.list"))
    #expect(!permitted.contains("run.log") && !permitted.contains("run.create"))
    let changing =
      (ServerMethods.all + IdentityMethods.all + RegistryMethods.all + TrackingMethods.all
      + TracingMethods.all)
      .filter { $0.idempotency != .read && !isOwn($0.permission) }
    #expect(!changing.isEmpty)
    for method in changing { #expect(!permitted.contains(method.permission), "\(method.name)") }
  }

  @Test(
    "Whatever a viewer may do, a developer may, and an administrator may do what a developer may")
  func order() {
    let more = Self.known.union(["api_key.list", "api_key.create", "project.get", "x.y"])
    let access = Access(known: more)
    let viewer = access.permissions(role: "viewer", scopes: ["*"])
    let developer = access.permissions(role: "developer", scopes: ["*"])
    #expect(viewer.isSubset(of: developer))
    #expect(developer.isSubset(of: access.permissions(role: "admin", scopes: ["*"])))
  }

  @Test(
    "An unknown role may nothing", arguments: ["", "Admin", "ADMIN", "owner", "admin ", "root"])
  func unknownRole(role: String) {
    #expect(Self.access.permissions(role: role, scopes: ["*"]).isEmpty)
  }

  @Test("No scopes permit nothing", arguments: ["admin", "developer", "viewer"])
  func noScopes(role: String) {
    #expect(Self.access.permissions(role: role, scopes: []).isEmpty)
    #expect(Self.access.permissions(role: role, scopes: [""]).isEmpty)
  }

  @Test(
    "A scope is everything, a resource's all, or one permission",
    arguments: [
      ("*", "run.get", true), ("run.*", "run.get", true), ("run.*", "run.log", true),
      ("run.get", "run.get", true), ("run.get", "run.list", false), ("run.*", "runs.get", false),
      ("run.*", "experiment.get", false), ("*.get", "run.get", false), ("run", "run.get", false),
      ("run.", "run.get", false), ("run*", "run.get", false), (".*", "run.get", false),
      ("", "run.get", false), ("**", "run.get", false), ("RUN.*", "run.get", false),
      ("run.get.*", "run.get", false), (" *", "run.get", false),
    ])
  func scope(scope: String, permission: String, isCovered: Bool) {
    #expect(Access.pattern(scope, matches: permission) == isCovered)
  }

  @Test(
    "Role and scopes are both needed: the smaller wins",
    arguments: [
      (
        "admin", ["run.*"],
        ["run.create", "run.delete", "run.get", "run.list", "run.log", "run.update"]
      ),
      ("developer", ["run.get", "experiment.get"], ["experiment.get", "run.get"]),
      ("viewer", ["run.*"], ["run.get", "run.list"]),
      ("viewer", ["run.create", "run.log"], []),
      ("viewer", ["run.get", "run.get", "nonsense"], ["run.get"]),
      ("admin", ["dashboard.*"], []),
    ] as [(String, [String], [String])])
  func both(role: String, scopes: [String], expected: [String]) {
    #expect(Self.access.permissions(role: role, scopes: scopes).sorted() == expected)
  }
}
