internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of logins.
enum LoginBounds {
  static let emailBytes = 3...320
  static let keyName = "login"
  /// Seconds that a key works.
  static let expirySeconds: ClosedRange<UInt32> = 60...2_592_000
  static let expirySecondsStandard: UInt32 = 43_200
  /// Organizations that a refusal names, one of which is to be chosen.
  static let organizationsShownMax = 20
}

extension IdentityService {
  /// Gets a key that expires for an e-mail address and a password.
  ///
  /// Whatever is wrong, one password is hashed and one answer given, so that neither the answer nor
  /// its time tells who there is.
  public func login(
    _ request: LoginRequest, _ call: CallContext
  ) async throws(CallError) -> LoginResponse {
    var validator = Validator()
    validator.triedEmail("email", request.email)
    validator.triedPassword("password", request.password, isNeeded: true)
    validator.text("organization", request.organization, bytesMax: Validator.slugBytesMax)
    if !request.keyName.isEmpty {
      validator.name("key_name", request.keyName, bytes: APIKeyBounds.nameBytes)
    }
    let seconds = request.expiresInSeconds
    if seconds != 0, !LoginBounds.expirySeconds.contains(seconds) {
      validator.refuse(
        "expires_in_seconds",
        "must be \(LoginBounds.expirySeconds.lowerBound) to "
          + "\(LoginBounds.expirySeconds.upperBound), or 0 for "
          + "\(LoginBounds.expirySecondsStandard)")
    }
    try validator.finish()

    try passwords.admit(call)
    let rows = try await call.read(
      UsersQueries.findLogin(email: request.email, organizationSlug: request.organization))
    guard let first = rows.first else { throw CallError.internal("an address has no row") }
    let isRight = try await passwords.matches(
      request.password, first.passwordHash, of: first.emailFolded, call)
    let workplaces = rows.compactMap { Workplace($0, access) }
    guard isRight, let stored = first.passwordHash else {
      for place in workplaces {
        call.noteRefusal(
          IdentityErrorReason.credentialsInvalid, of: place.principal, action: "user.login")
      }
      throw credentialsInvalid()
    }
    let place = try workplaces.chosen(by: request.organization)
    // A hash of another cost is replaced while the password is known.
    let newHash = passwords.isOutdated(stored) ? try await passwords.hash(request.password) : nil
    return try await open(place, request, stored: stored, newHash: newHash, call)
  }

  /// Makes the key, if the person may still log in with the password that was compared.
  private func open(
    _ place: Workplace, _ request: LoginRequest, stored: String, newHash: String?,
    _ call: CallContext
  ) async throws(CallError) -> LoginResponse {
    let (id, key, now) = (call.nextID(), APIKey.random(), WallClock.microseconds())
    var principal = place.principal
    principal.apiKeyID = id
    call.become(principal)
    var compared = request
    compared.password = ""
    call.compareReplays(by: compared)
    let seconds =
      request.expiresInSeconds == 0
      ? LoginBounds.expirySecondsStandard : request.expiresInSeconds
    let expiresAt = now + Int64(seconds) * 1_000_000
    return try await call.commit(
      locking: UsersQueries.lockLogin(
        organizationID: principal.organizationID, userID: principal.id, passwordHash: stored)
    ) { (row, batch) throws(CallError) in
      guard var row else { throw credentialsInvalid() }
      let record = APIKeyRecord(
        id: id, userID: principal.id,
        name: request.keyName.isEmpty ? LoginBounds.keyName : request.keyName,
        prefix: key.shownPrefix, scopes: ["*"], ranges: [], createdBy: principal.id,
        expiresAt: expiresAt, createdAt: now, updatedAt: now, isFromLogin: true, revision: 1)
      batch.add(record.insertion(key, organizationID: principal.organizationID))
      batch.add(
        UsersQueries.recordLogin(
          loggedInAt: now, newPasswordHash: newHash, userID: principal.id))
      row.lastLoginAt = now
      var change = Change(
        action: "user.login", event: "user.logged_in", resourceType: "api_key", resourceID: id,
        projectID: nil, detailsJSON: record.details(since: nil))
      change.showsSecret = true
      return (
        LoginResponse(
          apiKey: record.message, secret: key.text,
          organizationID: principal.organizationID.description, organizationSlug: place.slug,
          user: User(row)),
        change
      )
    }
  }

  /// Brings back a person who deleted themself, with their memberships and keys.
  public func undeleteUser(
    _ request: UndeleteUserRequest, _ call: CallContext
  ) async throws(CallError) -> UndeleteUserResponse {
    var validator = Validator()
    validator.triedEmail("email", request.email)
    validator.triedPassword("password", request.password, isNeeded: true)
    try validator.finish()

    try passwords.admit(call)
    let found = try await call.read(UsersQueries.findDeletedUser(email: request.email))
    let isRight = try await passwords.matches(
      request.password, found.passwordHash, of: found.emailFolded, call)
    let person = Principal(found)
    guard isRight, let person, let stored = found.passwordHash else {
      if let person {
        call.noteRefusal(
          IdentityErrorReason.credentialsInvalid, of: person, action: "user.undelete")
      }
      throw credentialsInvalid()
    }
    call.become(person)
    var compared = request
    compared.password = ""
    call.compareReplays(by: compared)
    if let answer: UndeleteUserResponse = try await call.keptAnswer() { return answer }
    guard found.isDeleted else { throw recoveryOver() }
    if found.isTaken { throw emailTaken() }
    let now = WallClock.microseconds()
    return try await call.commit(
      locking: UsersQueries.lockDeletedUser(userID: person.id, passwordHash: stored, now: now)
    ) { (row, batch) throws(CallError) in
      guard var row else { throw recoveryOver() }
      batch.add(UsersQueries.undeleteUser(updatedAt: now, userID: person.id))
      row.updatedAt = now
      return (
        UndeleteUserResponse(user: User(row)),
        Change(
          action: "user.undelete", event: "user.undeleted", resourceType: "user",
          resourceID: person.id, projectID: nil,
          detailsJSON: JSONText.change([
            ("purge_after", found.purgeAfter.map(timeText), nil)
          ]))
      )
    }
  }
}

/// An organization that is open to somebody who logs in.
private struct Workplace {
  let principal: Principal
  let slug: String

  init?(_ row: UsersQueries.FindLoginRow, _ access: Access) {
    guard let userID = row.userID, let email = row.email,
      let organizationID = row.organizationID, let slug = row.organizationSlug,
      let role = row.role
    else { return nil }
    self.slug = slug
    principal = Principal(
      organizationID: organizationID, id: userID, kind: "user", label: email, apiKeyID: .zero,
      role: role, permissions: access.permissions(role: role, scopes: ["*"]))
  }
}

extension [Workplace] {
  /// The one that is named, or the only one.
  fileprivate func chosen(by slug: String) throws(CallError) -> Workplace {
    if !slug.isEmpty {
      guard let place = first(where: { $0.slug == slug }) else { throw credentialsInvalid() }
      return place
    }
    guard let first, count == 1 else {
      throw CallError(
        IdentityErrorReason.organizationNeeded,
        isEmpty
          ? "You belong to no organization: ask to be invited to one."
          : "You belong to several organizations: name the one to work in.",
        details: [
          "organizations": prefix(LoginBounds.organizationsShownMax).map(\.slug)
            .joined(separator: " ")
        ])
    }
    return first
  }
}

extension Principal {
  /// Somebody who comes back, in the organization that hears of it.
  fileprivate init?(_ row: UsersQueries.FindDeletedUserRow) {
    guard let id = row.userID, let email = row.email, let organizationID = row.organizationID,
      let role = row.role
    else { return nil }
    self.init(
      organizationID: organizationID, id: id, kind: "user", label: email, apiKeyID: .zero,
      role: role, permissions: [])
  }
}

extension Validator {
  /// Checks the length of an e-mail address that somebody says is theirs.
  mutating func triedEmail(_ field: String, _ text: String) {
    let bytes = LoginBounds.emailBytes
    if !bytes.contains(text.utf8.count) {
      refuse(field, "must be \(bytes.lowerBound) to \(bytes.upperBound) bytes")
    }
  }
}

func credentialsInvalid() -> CallError {
  CallError(
    IdentityErrorReason.credentialsInvalid,
    "The e-mail address, the password or the organization is not right, or you may not log in "
      + "there.")
}

private func recoveryOver() -> CallError {
  CallError(
    IdentityErrorReason.recoveryOver,
    "You are not deleted, or have been for longer than you can come back.")
}

private func emailTaken() -> CallError {
  CallError(
    IdentityErrorReason.emailTaken, "The e-mail address belongs to another person meanwhile.")
}
