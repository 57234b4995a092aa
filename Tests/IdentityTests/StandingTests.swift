import Messages
import Postgres
import RPC
import Testing

@testable import Identity

/// Who may change whom, and that somebody is left to run the organization.
struct StandingTests {
  private static let ada = id(1)
  private static let eve = id(2)
  private static let bot = id(3)

  private static func id(_ number: UInt8) -> UUID {
    UUID(bytes: [UInt8](repeating: number, count: 16)) ?? .zero
  }

  private static func member(
    _ id: UUID, _ role: MemberRole, isActive: Bool = true, isPerson: Bool = true
  ) -> Standing.Member {
    Standing.Member(id: id, role: role, isActive: isActive, isPerson: isPerson)
  }

  /// What a caller of `caller` hears who changes a member of `before`; there is one more
  /// administrator.
  private static func refusal(
    caller: MemberRole, from before: MemberRole, to after: MemberRole?,
    permission: String = "member.update"
  ) -> CallError? {
    let target = member(eve, before)
    let standing = Standing(
      callerID: ada, members: [member(ada, caller), target, member(id(9), .admin)])
    var changed = target
    if let after { changed.role = after }
    return refusal { () throws(CallError) in
      try standing.check(target, after: after == nil ? nil : changed, needing: permission)
    }
  }

  private static func refusal(_ body: () throws(CallError) -> Void) -> CallError? {
    do throws(CallError) {
      try body()
      return nil
    } catch {
      return error
    }
  }

  @Test("Roles are ordered by what they may, and read as the database and clients write them")
  func roles() throws {
    #expect(MemberRole.allCases.sorted() == [.viewer, .developer, .admin])
    for role in MemberRole.allCases {
      #expect(MemberRole(role.message) == role)
      #expect(try MemberRole.stored(role.rawValue) == role)
    }
    #expect(MemberRole(.unspecified) == nil)
    #expect(MemberRole(OrganizationRole(number: 77)) == nil)
    #expect(throws: CallError.self) { try MemberRole.stored("owner") }
  }

  @Test("Nobody gives, changes or ends a role above their own", arguments: MemberRole.allCases)
  func tooHigh(caller: MemberRole) {
    for before in MemberRole.allCases {
      for after in MemberRole.allCases.map(Optional.some) + [nil] {
        let refusal = Self.refusal(
          caller: caller, from: before, to: after, permission: "member.get")
        let isTooHigh = before > caller || (after ?? before) > caller
        #expect(refusal?.has(IdentityErrorReason.roleTooHigh) ?? false == isTooHigh)
        #expect(isTooHigh || refusal == nil)
      }
    }
  }

  @Test("A role that has lost the permission since the connection was opened changes nothing")
  func lowered() {
    let refusal = Self.refusal(caller: .developer, from: .viewer, to: .developer)
    #expect(refusal?.has(RpcErrorReason.permissionMissing) == true)
    #expect(Self.refusal(caller: .admin, from: .viewer, to: .developer) == nil)
  }

  @Test("A caller who is gone or inactive changes nothing", arguments: [true, false])
  func callerGone(isThere: Bool) {
    let target = Self.member(Self.eve, .viewer)
    var members = [target, Self.member(Self.id(9), .admin)]
    if isThere { members.append(Self.member(Self.ada, .admin, isActive: false)) }
    let standing = Standing(callerID: Self.ada, members: members)
    let refusal = Self.refusal { () throws(CallError) in
      try standing.check(target, after: nil, needing: "member.update")
    }
    #expect(refusal?.has(RpcErrorReason.permissionMissing) == true)
  }

  @Test("Whoever is a member may leave, whatever their role", arguments: MemberRole.allCases)
  func leaving(role: MemberRole) {
    let target = Self.member(Self.ada, role)
    let standing = Standing(callerID: Self.ada, members: [target, Self.member(Self.eve, .admin)])
    #expect(
      Self.refusal { () throws(CallError) in
        try standing.check(target, after: nil, needing: "member.update")
      } == nil)
  }

  /// The other administrators, and whether the organization can be left to them.
  private static let others: [([Standing.Member], Bool)] = [
    ([], false),
    ([member(eve, .admin)], true),
    ([member(eve, .developer)], false),
    ([member(eve, .admin, isActive: false)], false),
    ([member(bot, .admin, isPerson: false)], false),
    ([member(bot, .admin, isPerson: false), member(eve, .admin)], true),
  ]

  @Test("The last active administrator who is a person can't go, be lowered or be stopped")
  func lastAdministrator() {
    let target = Self.member(Self.ada, .admin)
    var lowered = target
    lowered.role = .developer
    var stopped = target
    stopped.isActive = false
    for (others, isLedByOthers) in Self.others {
      let standing = Standing(callerID: Self.ada, members: [target] + others)
      for after in [nil, lowered, stopped] {
        let refusal = Self.refusal { () throws(CallError) in
          try standing.check(target, after: after, needing: "member.update")
        }
        #expect(refusal?.has(IdentityErrorReason.lastAdmin) ?? false == !isLedByOthers)
        #expect(!isLedByOthers || refusal == nil)
      }
      #expect(
        Self.refusal { () throws(CallError) in
          try standing.check(target, after: target, needing: "member.update")
        } == nil)
    }
  }

  @Test("A program that is an administrator can go, even the only one")
  func program() {
    let target = Self.member(Self.bot, .admin, isPerson: false)
    let standing = Standing(callerID: Self.ada, members: [Self.member(Self.ada, .admin), target])
    #expect(
      Self.refusal { () throws(CallError) in
        try standing.check(target, after: nil, needing: "service_account.delete")
      } == nil)
  }

  @Test(
    "An e-mail address has two sides",
    arguments: [
      ("ada@example.com", true), ("a@b", true), ("ada", false), ("@b.example", false),
      ("ada@", false), ("a@b@c", false), ("a b@c", false), ("a@b\n", false), ("ab", false),
      ("", false), (String(repeating: "a", count: 319) + "@b", false),
    ])
  func emailAddress(text: String, isGood: Bool) {
    var validator = Validator()
    validator.emailAddress("billing_email", text)
    let found = validator
    #expect((Self.refusal { () throws(CallError) in try found.finish() } == nil) == isGood)
  }

  @Test("The audit log keeps short settings as they are, and the digest of long ones")
  func auditedSettings() {
    #expect(Identity.auditedSettings(#"{"a": 1}"#) == #"{"a": 1}"#)
    let long = "{\"a\": \"\(String(repeating: "x", count: 5_000))\"}"
    let told = Identity.auditedSettings(long)
    #expect(told.hasPrefix("5009 bytes, SHA-256 ") && told.utf8.count == 20 + 64)
    #expect(told != Identity.auditedSettings(long.replacing("xa", with: "ya") + " "))
  }
}
