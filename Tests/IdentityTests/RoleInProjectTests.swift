import Messages
import RPC
import Testing

@testable import Identity

/// What methods need in a project.
struct RoleInProjectTests {
  @Test("Every change of experiments and runs needs a contributor, every look at one a viewer")
  func tracking() {
    #expect(!TrackingMethods.all.isEmpty)
    for method in TrackingMethods.all {
      let needed = RoleInProject.needed(by: method.permission)
      if method.permission.hasSuffix(".list") {
        #expect(needed == nil, "\(method.name)")
      } else {
        #expect(needed == (method.idempotency == .read ? .viewer : .contributor), "\(method.name)")
      }
    }
  }

  @Test("Traces are listed of one project, which has to be seen like all that is in it")
  func tracing() {
    #expect(!TracingMethods.all.isEmpty)
    for method in TracingMethods.all {
      let needed = RoleInProject.needed(by: method.permission)
      #expect(needed == (method.idempotency == .read ? .viewer : .contributor), "\(method.name)")
    }
  }

  @Test(
    "Projects and their members are changed by owners, and looked at by all who see them",
    arguments: [
      ("project.get", RoleInProject.viewer), ("project.update", .owner),
      ("project.delete", .owner), ("project_member.list", .viewer),
      ("project_member.update", .owner), ("project.list", nil), ("project.create", nil),
      ("organization.update", nil), ("api_key.get", nil), ("self", nil), ("", nil), ("run", nil),
      ("runs.get", nil), ("run.get.x", nil), ("webhook.get", .contributor),
      ("webhook.list", .contributor), ("webhook.delete", .contributor),
      ("label_schema.list", .viewer), ("label_schema.update", .contributor),
      ("review_queue.get", .viewer), ("review_queue.review", .contributor),
    ])
  func table(permission: String, needed: RoleInProject?) {
    #expect(RoleInProject.needed(by: permission) == needed)
  }

  @Test("A role suffices where a lesser one does")
  func sufficient() {
    #expect(RoleInProject.viewer.sufficient == ["viewer", "contributor", "owner"])
    #expect(RoleInProject.contributor.sufficient == ["contributor", "owner"])
    #expect(RoleInProject.owner.sufficient == ["owner"])
  }
}
