internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of invitations.
enum InvitationBounds {
  static let displayNameBytes = 1...500
  /// What an inviter needs, also on the day of the acceptance.
  static let permission = "invitation.create"
  static let secondsStandard: UInt32 = 604_800
  static let seconds: ClosedRange<UInt32> = 60...2_592_000
  static let pageSize = 100
  static let pageSizeMax = 1_000
  /// Invitations of an organization that are neither accepted nor taken back, at once; those that
  /// are over count until they are taken back or purged.
  static let openMax: Int64 = 1_000
}

extension IdentityService {
  /// Invites somebody; an open invitation of the same address gives way.
  public func inviteMember(
    _ request: InviteMemberRequest, _ call: CallContext
  ) async throws(CallError) -> InviteMemberResponse {
    var validator = Validator()
    validator.emailAddress("email", request.email)
    let role = validator.role("role", request.role)
    let seconds =
      request.expiresInSeconds == 0 ? InvitationBounds.secondsStandard : request.expiresInSeconds
    if !InvitationBounds.seconds.contains(seconds) {
      let (least, most) = (InvitationBounds.seconds.lowerBound, InvitationBounds.seconds.upperBound)
      validator.refuse(
        "expires_in_seconds",
        "must be \(least) to \(most), or 0 for \(InvitationBounds.secondsStandard)")
    }
    try validator.finish()

    let organizationID = call.principal.organizationID
    let now = WallClock.microseconds()
    let token = InvitationToken.random()
    let invitation = InvitationsQueries.ListInvitationsRow(
      id: call.nextID(), email: request.email, role: role.rawValue,
      invitedBy: call.principal.id, createdAt: now,
      expiresAt: now + Int64(seconds) * 1_000_000)
    return try await call.commit(
      holding: InvitationsQueries.lockMembership(organizationID: organizationID),
      locking: InvitationsQueries.prepareInvitation(
        email: request.email, openMax: InvitationBounds.openMax, organizationID: organizationID,
        callerID: call.principal.id)
    ) { (row, batch) throws(CallError) in
      var caller: MemberRole?
      if let row { caller = try MemberRole.stored(row.role) }
      try Standing.check(caller, from: role, to: role, needing: call.method.permission)
      guard let row, !row.isMember else { throw alreadyMember() }
      guard row.open < InvitationBounds.openMax else { throw tooManyOpen() }
      batch.add(
        InvitationsQueries.supersedeInvitation(
          deletedAt: now, organizationID: organizationID, email: request.email))
      batch.add(
        InvitationsQueries.createInvitation(
          organizationID: organizationID, id: invitation.id, email: invitation.email,
          role: invitation.role, tokenHash: token.hash, invitedBy: invitation.invitedBy,
          expiresAt: invitation.expiresAt, createdAt: now))
      var change = invitationChange(
        invitation.id, "create", "created",
        [
          ("email", nil, invitation.email), ("role", nil, invitation.role),
          ("expires_at", nil, timeText(invitation.expiresAt)),
        ])
      change.showsSecret = true
      return (
        InviteMemberResponse(invitation: try Invitation(invitation), token: token.text), change
      )
    }
  }

  /// Lists the invitations that were neither accepted nor taken back, newest first.
  public func listInvitations(
    _ request: ListInvitationsRequest, _ call: CallContext
  ) async throws(CallError) -> ListInvitationsResponse {
    var validator = Validator()
    let size = validator.pageSize(
      request.pageSize, standard: InvitationBounds.pageSize, max: InvitationBounds.pageSizeMax)
    try validator.finish()
    let page = Page(purpose: "invitations", size: size)
    let rows = try await call.read(
      InvitationsQueries.listInvitations(
        organizationID: call.principal.organizationID, beforeID: try page.start(request.pageToken),
        pageSize: page.rowsToRead))
    var response = ListInvitationsResponse()
    for row in rows.prefix(size) { response.invitations.append(try Invitation(row)) }
    response.nextPageToken = page.next(rows.map(\.id))
    return response
  }

  /// Takes an invitation back.
  public func deleteInvitation(
    _ request: DeleteInvitationRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteInvitationResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()
    let organizationID = call.principal.organizationID
    return try await call.commit(
      locking: InvitationsQueries.lockInvitation(
        callerID: call.principal.id, organizationID: organizationID, id: id)
    ) { (row, batch) throws(CallError) in
      guard let row else {
        throw CallError(
          IdentityErrorReason.invitationNotFound,
          "There is no open invitation \(id) in your organization.")
      }
      try checkStanding(row.callerRole, call)
      batch.add(
        InvitationsQueries.deleteInvitation(
          deletedAt: WallClock.microseconds(), organizationID: organizationID, id: id))
      return (
        DeleteInvitationResponse(),
        invitationChange(
          id, "delete", "deleted", [("email", row.email, nil), ("role", row.role, nil)])
      )
    }
  }
}

/// What the audit log and those who watch are told of an invitation.
func invitationChange(
  _ id: UUID, _ verb: String, _ done: String,
  _ fields: [(name: String, before: String?, after: String?)]
) -> Change {
  Change(
    action: "invitation.\(verb)", event: "invitation.\(done)", resourceType: "invitation",
    resourceID: id, projectID: nil, detailsJSON: JSONText.change(fields))
}

private func tooManyOpen() -> CallError {
  CallError(
    IdentityErrorReason.planLimitReached,
    "The organization has as many open invitations as it may: take some back.",
    details: ["max_open_invitations": String(InvitationBounds.openMax)])
}

/// What is said where somebody has come already.
func alreadyMember() -> CallError {
  CallError(
    IdentityErrorReason.alreadyMember,
    "They are a member of the organization already; UpdateMember gives another role.")
}

extension Invitation {
  fileprivate init(_ row: InvitationsQueries.ListInvitationsRow) throws(CallError) {
    self.init(
      id: row.id.description, email: row.email, role: try MemberRole.stored(row.role).message,
      invitedBy: row.invitedBy.description, createdAt: Timestamp(microseconds: row.createdAt),
      expiresAt: Timestamp(microseconds: row.expiresAt))
  }
}
