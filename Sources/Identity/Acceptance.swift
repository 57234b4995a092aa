internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension IdentityService {
  /// Makes the invited person a member, and an account where they have none.
  public func acceptInvitation(
    _ request: AcceptInvitationRequest, _ call: CallContext
  ) async throws(CallError) -> AcceptInvitationResponse {
    var validator = Validator()
    validator.text("token", request.token, bytesMax: InvitationToken.textBytesMax)
    validator.text("password", request.password, bytesMax: Passwords.triedBytesMax)
    if !request.displayName.isEmpty {
      validator.name("display_name", request.displayName, bytes: InvitationBounds.displayNameBytes)
    }
    try validator.finish()

    if call.principal.isAnonymous { try passwords.admit(call) }
    guard let token = InvitationToken(request.token),
      let invitation = try await call.read(InvitationsQueries.findInvitation(tokenHash: token.hash))
    else { throw invitationNotFound() }
    let person = try await invited(invitation, request, call)
    var comparable = request
    comparable.password = ""
    call.compareReplays(by: comparable)
    call.become(
      Principal(
        organizationID: invitation.organizationID, id: person.userID, kind: "user",
        label: person.email, apiKeyID: .zero, role: "", permissions: []))
    return try await join(person, invitation, call)
  }

  /// Who accepts: on a connection of theirs whoever is invited, else who has the right password, or
  /// somebody new with the password that they choose.
  private func invited(
    _ invitation: InvitationsQueries.FindInvitationRow, _ request: AcceptInvitationRequest,
    _ call: CallContext
  ) async throws(CallError) -> InvitedPerson {
    // An accepted one is good for one thing: the answer to the same call, sent once more.
    let isOver = invitation.isAccepted && (call.idempotencyKey.isEmpty || invitation.userID == nil)
    guard !isOver else { throw invitationNotFound() }
    if !call.principal.isAnonymous {
      try await requireOwnKey(call)
      guard invitation.userID == call.principal.id else { throw invitedIsAnother() }
    } else if invitation.userID != nil {
      let isRight = try await passwords.matches(
        request.password, invitation.isUserActive ? invitation.passwordHash : nil,
        of: invitation.emailFolded, call)
      guard isRight else {
        throw invitation.isAccepted ? invitationNotFound() : credentialsInvalid()
      }
    }
    if let userID = invitation.userID { return InvitedPerson(userID, invitation) }

    var validator = Validator()
    if !Passwords.bytes.contains(request.password.utf8.count) {
      validator.refuse(
        "password",
        "must be \(Passwords.bytes.lowerBound) to \(Passwords.bytes.upperBound) bytes")
    }
    try validator.finish()
    return InvitedPerson(
      newBy: invitation, displayName: request.displayName,
      passwordHash: try await passwords.hash(request.password))
  }

  /// Adds the membership, in the order of the locks of every new member: the organization, then the
  /// invitation.
  private func join(
    _ person: InvitedPerson, _ invitation: InvitationsQueries.FindInvitationRow,
    _ call: CallContext
  ) async throws(CallError) -> AcceptInvitationResponse {
    let organizationID = invitation.organizationID
    let now = WallClock.microseconds()
    let membershipID = call.nextID()
    return try await call.commit(
      holding: InvitationsQueries.lockMembership(organizationID: organizationID),
      locking: InvitationsQueries.lockAcceptance(
        userID: person.userID, organizationID: organizationID, id: invitation.invitationID)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw invitationNotFound() }
      try checkAcceptance(row, now: now)
      if let passwordHash = person.newPasswordHash {
        batch.add(
          InvitationsQueries.createPerson(
            id: person.userID, email: person.email, passwordHash: passwordHash,
            displayName: person.displayName, createdAt: person.createdAt))
      }
      batch.add(
        ServiceAccountsQueries.addMember(
          membershipID: membershipID, userID: person.userID, role: row.role,
          invitedBy: row.invitedBy, createdAt: now, organizationID: organizationID))
      batch.add(
        InvitationsQueries.acceptInvitation(
          acceptedAt: now, acceptedBy: person.userID, organizationID: organizationID,
          id: invitation.invitationID))
      var member = person
      (member.role, member.invitedBy, member.joinedAt) = (row.role, row.invitedBy, now)
      return (
        AcceptInvitationResponse(
          member: try Member(member), organizationID: organizationID.description,
          organizationSlug: row.organizationSlug),
        invitationChange(
          invitation.invitationID, "accept", "accepted",
          [
            ("user_id", nil, person.userID.description), ("email", nil, person.email),
            ("role", nil, row.role), ("is_new_account", nil, String(person.isNew)),
          ])
      )
    }
  }

  /// Whether an invitation gives now what it gave when it was made.
  private func checkAcceptance(
    _ row: InvitationsQueries.LockAcceptanceRow, now: Int64
  ) throws(CallError) {
    guard !row.isMember else { throw alreadyMember() }
    guard row.expiresAt > now else {
      throw invitationExpired("It could be accepted until \(timeText(row.expiresAt))")
    }
    let role = try MemberRole.stored(row.role)
    var inviter: MemberRole?
    if let inviterRole = row.inviterRole { inviter = try MemberRole.stored(inviterRole) }
    // An inviter who has left, was stopped or was lowered since gives nothing any more.
    guard let inviter, inviter >= role,
      Access.role(inviter.rawValue, permits: InvitationBounds.permission)
    else { throw invitationExpired("Who sent it may not give that role any more") }
  }
}

/// Who accepts an invitation, as they are stored or will be.
private struct InvitedPerson: MemberRow {
  var userID: UUID
  var email: String
  var displayName: String
  var firstName = ""
  var lastName = ""
  var avatarURL = ""
  var emailVerifiedAt: Int64?
  var lastLoginAt: Int64?
  var createdAt: Int64
  var updatedAt: Int64
  var role = ""
  var isActive: Bool { true }
  var invitedBy: UUID?
  var joinedAt: Int64 = 0
  var revision: Int64 { 1 }
  /// For somebody new.
  var newPasswordHash: String?

  var isNew: Bool { newPasswordHash != nil }

  /// Somebody with an account.
  init(_ userID: UUID, _ row: InvitationsQueries.FindInvitationRow) {
    self.userID = userID
    email = row.userEmail
    displayName = row.displayName
    firstName = row.firstName
    lastName = row.lastName
    avatarURL = row.avatarURL
    emailVerifiedAt = row.emailVerifiedAt
    lastLoginAt = row.lastLoginAt
    createdAt = row.createdAt
    updatedAt = row.updatedAt
  }

  /// Somebody new.
  ///
  /// Their id is the invitation's: two acceptances at once, with one idempotency key, are those of
  /// one person, and have one answer. Nobody has verified the address, because the token may have
  /// come another way than by mail.
  init(
    newBy row: InvitationsQueries.FindInvitationRow, displayName: String, passwordHash: String
  ) {
    userID = row.invitationID
    email = row.email
    self.displayName = displayName.isEmpty ? row.email : displayName
    createdAt = WallClock.microseconds()
    updatedAt = createdAt
    newPasswordHash = passwordHash
  }
}

private func invitationNotFound() -> CallError {
  CallError(
    IdentityErrorReason.invitationNotFound,
    "There is no such invitation, or it was accepted or taken back: ask for a new one.")
}

private func invitedIsAnother() -> CallError {
  CallError(
    IdentityErrorReason.invitationNotFound,
    "The invitation is not for the person of this connection: accept it without an API key, or "
      + "with a key of who is invited.")
}

private func invitationExpired(_ why: String) -> CallError {
  CallError(IdentityErrorReason.invitationExpired, "\(why): ask for a new invitation.")
}
