internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of listings of members.
enum MemberBounds {
  static let pageSize = 100
  static let pageSizeMax = 1_000
}

extension IdentityService {
  /// Returns one member of the organization.
  public func getMember(
    _ request: GetMemberRequest, _ call: CallContext
  ) async throws(CallError) -> GetMemberResponse {
    var validator = Validator()
    let id = validator.id("user_id", request.userID)
    try validator.finish()
    let row = try await call.read(
      MembersQueries.getMember(organizationID: call.principal.organizationID, userID: id))
    guard let row else { throw memberNotFound(id) }
    var response = GetMemberResponse()
    response.member = try Member(row)
    return response
  }

  /// Lists the members of the organization, those who joined last first.
  public func listMembers(
    _ request: ListMembersRequest, _ call: CallContext
  ) async throws(CallError) -> ListMembersResponse {
    var validator = Validator()
    let size = validator.pageSize(
      request.pageSize, standard: MemberBounds.pageSize, max: MemberBounds.pageSizeMax)
    try validator.finish()
    let page = Page(purpose: "members", size: size)
    let rows = try await call.read(
      MembersQueries.listMembers(
        organizationID: call.principal.organizationID, beforeID: try page.start(request.pageToken),
        pageSize: page.rowsToRead))
    var response = ListMembersResponse()
    for row in rows.prefix(size) { response.members.append(try Member(row)) }
    response.nextPageToken = page.next(rows.map(\.membershipID))
    return response
  }

  /// Gives a member another role.
  public func updateMember(
    _ request: UpdateMemberRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateMemberResponse {
    var validator = Validator()
    let id = validator.id("user_id", request.userID)
    let role = validator.role("role", request.role)
    try validator.finish()
    return try await call.commit(
      locking: lockMembers(id, call)
    ) { (rows, batch) throws(CallError) in
      let row = try person(id, in: rows)
      try checkETag(request.etag, revision: row.revision)
      var response = UpdateMemberResponse()
      response.member = try change(row, among: rows, role: role, isActive: nil, call, &batch)
      return (
        response,
        memberChange(
          id, "member.update", "member.updated", [("role", row.role, role.rawValue)])
      )
    }
  }

  /// Stops a member: none of their keys of this organization is taken.
  public func deactivateMember(
    _ request: DeactivateMemberRequest, _ call: CallContext
  ) async throws(CallError) -> DeactivateMemberResponse {
    var validator = Validator()
    let id = validator.id("user_id", request.userID)
    try validator.finish()
    return try await call.commit(
      locking: lockMembers(id, call)
    ) { (rows, batch) throws(CallError) in
      let row = try person(id, in: rows)
      var response = DeactivateMemberResponse()
      response.member = try change(row, among: rows, role: nil, isActive: false, call, &batch)
      return (
        response,
        memberChange(
          id, "member.deactivate", "member.deactivated",
          [("is_active", String(row.isActive), "false")])
      )
    }
  }

  /// Lets a member in again.
  public func reactivateMember(
    _ request: ReactivateMemberRequest, _ call: CallContext
  ) async throws(CallError) -> ReactivateMemberResponse {
    var validator = Validator()
    let id = validator.id("user_id", request.userID)
    try validator.finish()
    return try await call.commit(
      locking: lockMembers(id, call)
    ) { (rows, batch) throws(CallError) in
      let row = try person(id, in: rows)
      var response = ReactivateMemberResponse()
      response.member = try change(row, among: rows, role: nil, isActive: true, call, &batch)
      return (
        response,
        memberChange(
          id, "member.reactivate", "member.reactivated",
          [("is_active", String(row.isActive), "true")])
      )
    }
  }

  /// Takes a user out of the organization, or lets the caller leave.
  public func removeMember(
    _ request: RemoveMemberRequest, _ call: CallContext
  ) async throws(CallError) -> RemoveMemberResponse {
    var validator = Validator()
    let id = validator.id("user_id", request.userID)
    try validator.finish()
    // A role includes member.get, so leaving asks for the key's scopes alone: one that was given
    // to a training job does not end its owner's membership.
    let permission = id == call.principal.id ? "member.get" : MemberPermission.update
    guard call.principal.permissions.contains(permission) else {
      throw CallError(
        RpcErrorReason.permissionMissing,
        "This key may not take that member out: it needs the permission \(permission).")
    }
    let organizationID = call.principal.organizationID
    // Projects before members, as in every change of a project's members.
    let locks = MembersQueries.lockOwnedProjects(organizationID: organizationID, userID: id)
    return try await call.commit(
      holding: locks, locking: lockMembers(id, call)
    ) { (rows, batch) throws(CallError) in
      let row = try person(id, in: rows)
      try Standing(rows, caller: call.principal.id).check(
        Standing.Member(row), after: nil, needing: MemberPermission.update)
      if id == call.principal.id, row.role != MemberRole.admin.rawValue {
        // Once more, for what they came to own before their membership was locked.
        batch.add(locks)
        batch.add(
          MembersQueries.requireOtherOwners(organizationID: organizationID, userID: id))
      }
      endMembership(row, call, &batch)
      return (
        RemoveMemberResponse(),
        memberChange(id, "member.remove", "member.removed", [("role", row.role, nil)])
      )
    }
  }

  // MARK: What changes of members, and of service accounts, share

  /// Reads and locks what a change of the member `id` depends on.
  func lockMembers(_ id: UUID, _ call: CallContext) -> Query<[MembersQueries.LockMembersRow]> {
    MembersQueries.lockMembers(
      organizationID: call.principal.organizationID, userID: id, callerID: call.principal.id)
  }

  /// Ends a locked membership, what it gave in projects, and the keys.
  func endMembership(
    _ row: MembersQueries.LockMembersRow, _ call: CallContext, _ batch: inout Batch
  ) {
    let now = WallClock.microseconds()
    let purgeAfter = now + ProjectBounds.recovery
    let organizationID = call.principal.organizationID
    batch.add(
      MembersQueries.endMembership(
        endedAt: now, purgeAfter: purgeAfter, organizationID: organizationID,
        membershipID: row.membershipID))
    batch.add(
      MembersQueries.endProjectMemberships(
        endedAt: now, purgeAfter: purgeAfter, organizationID: organizationID, userID: row.userID))
    batch.add(
      MembersQueries.revokeKeysOfUser(
        revokedAt: now, revokedBy: call.principal.id, organizationID: organizationID,
        userID: row.userID))
  }

  private func person(
    _ id: UUID, in rows: [MembersQueries.LockMembersRow]
  ) throws(CallError) -> MembersQueries.LockMembersRow {
    guard let row = rows.first(where: { $0.userID == id && $0.kind == UserKind.person }) else {
      throw memberNotFound(id)
    }
    return row
  }

  /// Changes what is given of a locked member.
  private func change(
    _ row: MembersQueries.LockMembersRow, among rows: [MembersQueries.LockMembersRow],
    role: MemberRole?, isActive: Bool?, _ call: CallContext, _ batch: inout Batch
  ) throws(CallError) -> Member {
    let before = try Standing.Member(row)
    var after = before
    after.role = role ?? before.role
    after.isActive = (isActive ?? row.isActive) && row.isUserActive
    try Standing(rows, caller: call.principal.id).check(
      before, after: after, needing: MemberPermission.update)
    batch.add(
      MembersQueries.updateMembership(
        role: role?.rawValue, isActive: isActive, updatedAt: WallClock.microseconds(),
        organizationID: call.principal.organizationID, membershipID: row.membershipID))
    var changed = row
    changed.role = after.role.rawValue
    changed.isActive = isActive ?? row.isActive
    changed.revision += 1
    return try Member(changed)
  }

  private func memberChange(
    _ id: UUID, _ action: String, _ event: String,
    _ fields: [(name: String, before: String?, after: String?)]
  ) -> Change {
    Change(
      action: action, event: event, resourceType: "member", resourceID: id, projectID: nil,
      detailsJSON: JSONText.change(fields))
  }
}

/// The permissions that handlers look at themselves.
enum MemberPermission {
  static let update = "member.update"
}

/// Kinds of users.
enum UserKind {
  static let person = "person"
  static let serviceAccount = "service_account"
}

/// What a caller hears of somebody who is not there, or is not theirs.
func memberNotFound(_ id: UUID) -> CallError {
  CallError(
    IdentityErrorReason.userNotFound,
    "There is no member \(id) in your organization; programs in it are service accounts.")
}

extension Standing {
  /// The members of locked rows.
  init(_ rows: [MembersQueries.LockMembersRow], caller: UUID) throws(CallError) {
    var members: [Member] = []
    for row in rows { members.append(try Member(row)) }
    self.init(callerID: caller, members: members)
  }
}

extension Standing.Member {
  /// The member of a locked row.
  init(_ row: MembersQueries.LockMembersRow) throws(CallError) {
    self.init(
      id: row.userID, role: try MemberRole.stored(row.role),
      isActive: row.isActive && row.isUserActive, isPerson: row.kind == UserKind.person)
  }
}

extension Member {
  /// As clients see a stored one.
  init(_ row: some MemberRow) throws(CallError) {
    self.init()
    user = User(row)
    role = try MemberRole.stored(row.role).message
    isActive = row.isActive
    invitedBy = row.invitedBy?.description ?? ""
    joinedAt = Timestamp(microseconds: row.joinedAt)
    etag = String(row.revision)
  }
}

/// What every statement returns of a member.
protocol MemberRow: UserRow {
  var role: String { get }
  var isActive: Bool { get }
  var invitedBy: UUID? { get }
  var joinedAt: Int64 { get }
  var revision: Int64 { get }
}

extension MembersQueries.GetMemberRow: MemberRow {}
extension MembersQueries.ListMembersRow: MemberRow {}
extension MembersQueries.LockMembersRow: MemberRow {}
