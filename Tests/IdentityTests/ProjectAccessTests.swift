import RPC
import Testing

@testable import Identity

/// Who may change a project and its members.
struct ProjectAccessTests {
  private typealias Role = ProjectAccess.Role

  private static func access(
    administrator: Bool = false, deleted: Bool = false, visible: Bool = true,
    role: ProjectAccess.Role? = nil
  ) -> ProjectAccess {
    ProjectAccess(
      isAdministrator: administrator, isDeleted: deleted, isVisible: visible, role: role)
  }

  @Test("Roles are ordered by what they permit, and are what the database stores")
  func order() {
    #expect(Role.allCases == Role.allCases.sorted())
    #expect(Role.allCases.map(\.rawValue) == ["viewer", "contributor", "owner"])
  }

  @Test(
    "A project that is seen is changed by its owners and by administrators",
    arguments: [
      (access(), .ownerNeeded), (access(role: .viewer), .ownerNeeded),
      (access(role: .contributor), .ownerNeeded), (access(role: .owner), nil),
      (access(administrator: true), nil), (access(administrator: true, role: .viewer), nil),
      (access(administrator: true, visible: false), nil), (access(visible: false), .notVisible),
    ] as [(ProjectAccess, ProjectAccess.Refusal?)])
  func change(access: ProjectAccess, refusal: ProjectAccess.Refusal?) {
    #expect(access.refusalOfChange == refusal)
    #expect(access.refusalOfUndelete == refusal)
    #expect(access.refusal(ofRemoving: .viewer, otherOwners: 1) == refusal)
  }

  @Test(
    "A deleted project is brought back by those who might change it; to others it is not there",
    arguments: [
      (access(deleted: true, visible: false), .notVisible),
      (access(deleted: true, visible: false, role: .contributor), .notVisible),
      (access(deleted: true, visible: false, role: .owner), nil),
      (access(administrator: true, deleted: true), nil),
    ] as [(ProjectAccess, ProjectAccess.Refusal?)])
  func deleted(access: ProjectAccess, refusal: ProjectAccess.Refusal?) {
    #expect(access.refusalOfUndelete == refusal)
    #expect(access.refusalOfChange == .notVisible)
    #expect(
      access.refusal(ofGiving: .viewer, before: nil, otherOwners: 1) == .notVisible)
    #expect(access.refusal(ofRemoving: .viewer, otherOwners: 1) == .notVisible)
  }

  @Test("A role above the caller's own is refused as that, a lower one for want of ownership")
  func tooHigh() {
    for own in Role.allCases {
      for new in Role.allCases {
        let refusal = Self.access(role: own).refusal(
          ofGiving: new, before: nil, otherOwners: 1)
        let expected: ProjectAccess.Refusal? =
          own == .owner ? nil : new > own ? .roleTooHigh : .ownerNeeded
        #expect(refusal == expected, "\(own) gives \(new)")
      }
    }
    for new in Role.allCases {
      #expect(
        Self.access().refusal(ofGiving: new, before: nil, otherOwners: 1) == .ownerNeeded)
      #expect(
        Self.access(visible: false).refusal(ofGiving: new, before: nil, otherOwners: 1)
          == .notVisible)
      #expect(
        Self.access(administrator: true).refusal(ofGiving: new, before: nil, otherOwners: 0)
          == nil)
    }
  }

  @Test("The last owner is neither lowered nor taken out, except by an administrator")
  func lastOwner() {
    for isAdministrator in [false, true] {
      let access = Self.access(administrator: isAdministrator, role: .owner)
      let expected: ProjectAccess.Refusal? = isAdministrator ? nil : .lastOwner
      #expect(access.refusal(ofRemoving: .owner, otherOwners: 0) == expected)
      #expect(access.refusal(ofGiving: .viewer, before: .owner, otherOwners: 0) == expected)
      #expect(access.refusal(ofGiving: .contributor, before: .owner, otherOwners: 0) == expected)
      #expect(access.refusal(ofGiving: .owner, before: .owner, otherOwners: 0) == nil)
      #expect(access.refusal(ofRemoving: .owner, otherOwners: 1) == nil)
      #expect(access.refusal(ofRemoving: .contributor, otherOwners: 0) == nil)
      #expect(access.refusal(ofGiving: .viewer, before: .owner, otherOwners: 1) == nil)
      #expect(access.refusal(ofGiving: .viewer, before: nil, otherOwners: 0) == nil)
    }
  }
}
