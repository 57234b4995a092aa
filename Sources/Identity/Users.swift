internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of what people say of themselves.
enum UserBounds {
  static let displayNameBytes = 1...500
  static let nameBytesMax = 200
  static let avatarURLBytesMax = 2_000
  static let settingsBytesMax = 64 << 10
  /// Microseconds for which somebody who deleted themself can come back: 30 days.
  static let recoveryPeriod: Int64 = 2_592_000_000_000
}

extension IdentityService {
  /// Returns the caller with what only they are told.
  public func getUser(
    _ request: GetUserRequest, _ call: CallContext
  ) async throws(CallError) -> GetUserResponse {
    let row = try await caller(call)
    return GetUserResponse(
      user: User(row), settingsJSON: row.settingsJSON, hasPassword: row.passwordHash != nil,
      etag: String(row.revision))
  }

  /// Changes the fields of the caller that are present.
  public func updateUser(
    _ request: UpdateUserRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateUserResponse {
    var validator = Validator()
    validator.userFields(request)
    try validator.finish()

    let seen = try await caller(call)
    if let email = request.email, !email.isSameAddress(as: seen.email) {
      try await checkPassword(request.currentPassword, of: seen, call)
    }
    var compared = request
    compared.currentPassword = ""
    call.compareReplays(by: compared)
    let id = call.principal.id
    let now = WallClock.microseconds()
    return try await call.commit(locking: UsersQueries.lockUser(userID: id)) {
      (row, batch) throws(CallError) in
      guard var row else { throw callerGone() }
      try checkETag(request.etag, revision: row.revision)
      // Whether a password was needed was decided by what was seen.
      guard row.email.isSameAddress(as: seen.email), row.passwordHash == seen.passwordHash else {
        throw changedMeanwhile()
      }
      let (before, after) = (row.fields, row.fields.changed(by: request))
      batch.add(
        UsersQueries.updateUser(
          email: after.email, displayName: after.displayName, firstName: after.firstName,
          lastName: after.lastName, avatarURL: after.avatarURL,
          settingsJSON: after.settingsJSON, emailVerifiedAt: after.emailVerifiedAt,
          updatedAt: now, userID: id))
      row.take(after, at: now)
      return (
        UpdateUserResponse(
          user: User(row), settingsJSON: row.settingsJSON, etag: String(row.revision)),
        change(
          id, "user.update", "user.updated",
          zip(before.audited, after.audited).map { ($0.name, $0.value, $1.value) })
      )
    }
  }

  /// Gives the caller another password and ends the keys of their other logins.
  public func changePassword(
    _ request: ChangePasswordRequest, _ call: CallContext
  ) async throws(CallError) -> ChangePasswordResponse {
    var validator = Validator()
    validator.triedPassword("current_password", request.currentPassword, isNeeded: false)
    validator.newPassword("new_password", request.newPassword)
    try validator.finish()

    // There is nothing in it but passwords, so that replays are told apart by what came of them.
    call.compareReplays(by: ChangePasswordRequest())
    if let answer: ChangePasswordResponse = try await call.keptAnswer() {
      try await checkRepeated(request, call)
      return answer
    }
    let seen = try await caller(call)
    do throws(CallError) {
      try await checkPassword(request.currentPassword, of: seen, call)
    } catch {
      // The same call may have changed it a moment ago.
      let answer: ChangePasswordResponse = try await call.repeatAnswer(or: error)
      try await checkRepeated(request, call)
      return answer
    }
    let hash = try await passwords.hash(request.newPassword)
    let id = call.principal.id
    let now = WallClock.microseconds()
    var isReplay = true
    let answer = try await call.commit(
      holding: UsersQueries.holdUser(userID: id),
      locking: UsersQueries.endLoginKeys(
        keptKeyID: call.principal.apiKeyID, endedAt: now, userID: id)
    ) { (row, batch) throws(CallError) in
      isReplay = false
      guard let row else { throw callerGone() }
      guard row.passwordHash == seen.passwordHash else { throw changedMeanwhile() }
      batch.add(UsersQueries.setPassword(passwordHash: hash, updatedAt: now, userID: id))
      return (
        ChangePasswordResponse(revokedKeys: row.ended),
        change(
          id, "user.change_password", "user.password_changed",
          [
            ("has_password", String(seen.passwordHash != nil), "true"),
            ("revoked_keys", nil, String(row.ended)),
          ])
      )
    }
    if isReplay { try await checkRepeated(request, call) }
    return answer
  }

  /// Refuses a call whose key belongs to a change of the password into another one.
  ///
  /// Who sent it must not believe that its password is the one from now on.
  private func checkRepeated(
    _ request: ChangePasswordRequest, _ call: CallContext
  ) async throws(CallError) {
    let now = try await caller(call)
    guard
      try await passwords.matches(request.newPassword, now.passwordHash, of: now.emailFolded, call)
    else {
      throw CallError(
        RpcErrorReason.idempotencyKeyReused,
        "This idempotency key was used for another password, or the password was changed since; "
          + "use a new key for a new change.")
    }
  }

  /// Deletes the caller in every organization.
  public func deleteUser(
    _ request: DeleteUserRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteUserResponse {
    var validator = Validator()
    validator.triedPassword("current_password", request.currentPassword, isNeeded: false)
    validator.text("email", request.email, bytesMax: LoginBounds.emailBytes.upperBound)
    try validator.finish()

    var compared = request
    compared.currentPassword = ""
    call.compareReplays(by: compared)
    if let answer: DeleteUserResponse = try await call.keptAnswer() { return answer }
    let seen: UsersQueries.GetUserRow
    do throws(CallError) {
      seen = try await caller(call)
    } catch {
      // The same call may have deleted them a moment ago.
      return try await call.repeatAnswer(or: error)
    }
    guard request.email.lowercased() == seen.email.lowercased() else {
      throw CallError(
        IdentityErrorReason.confirmationWrong,
        "To delete yourself, give your own e-mail address as it is stored.")
    }
    try await checkPassword(request.currentPassword, of: seen, call)
    let id = call.principal.id
    let now = WallClock.microseconds()
    let purgeAfter = now + UserBounds.recoveryPeriod
    return try await call.commit(
      holding: UsersQueries.checkDeparture(userID: id), locking: UsersQueries.lockUser(userID: id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw callerGone() }
      guard row.passwordHash == seen.passwordHash else { throw changedMeanwhile() }
      batch.add(UsersQueries.deleteUser(deletedAt: now, purgeAfter: purgeAfter, userID: id))
      return (
        DeleteUserResponse(purgeAfter: Timestamp(microseconds: purgeAfter)),
        change(
          id, "user.delete", "user.deleted", [("purge_after", nil, timeText(purgeAfter))])
      )
    }
  }

  // MARK: What all of these share

  /// The caller as stored, if they are a person.
  func caller(_ call: CallContext) async throws(CallError) -> UsersQueries.GetUserRow {
    guard call.principal.kind == "user" else {
      throw CallError(
        IdentityErrorReason.personNeeded,
        "This is for people; a service account has neither password nor account of its own.")
    }
    try await requireOwnKey(call)
    let row = try await call.read(UsersQueries.getUser(userID: call.principal.id))
    guard let row else { throw callerGone() }
    return row
  }

  /// Refuses a caller who has a password and does not know it.
  func checkPassword(
    _ password: String, of caller: UsersQueries.GetUserRow, _ call: CallContext
  ) async throws(CallError) {
    guard let stored = caller.passwordHash else { return }
    let isRight =
      !password.isEmpty
      ? try await passwords.matches(password, stored, of: caller.emailFolded, call) : false
    guard isRight else {
      throw CallError(
        IdentityErrorReason.passwordWrong,
        password.isEmpty
          ? "You have a password: give it as current_password."
          : "The current password is not the one that was given.")
    }
  }

  private func change(
    _ id: UUID, _ action: String, _ event: String,
    _ fields: [(name: String, before: String?, after: String?)]
  ) -> Change {
    Change(
      action: action, event: event, resourceType: "user", resourceID: id, projectID: nil,
      detailsJSON: JSONText.change(fields))
  }
}

extension UsersQueries.LockUserRow {
  /// Becomes what is stored of a change.
  fileprivate mutating func take(_ fields: UserFields, at now: Int64) {
    email = fields.email
    displayName = fields.displayName
    firstName = fields.firstName
    lastName = fields.lastName
    avatarURL = fields.avatarURL
    settingsJSON = fields.settingsJSON
    emailVerifiedAt = fields.emailVerifiedAt
    updatedAt = now
    revision += 1
  }
}

extension Validator {
  /// Checks what a person says of themself.
  fileprivate mutating func userFields(_ request: UpdateUserRequest) {
    if let email = request.email { emailAddress("email", email) }
    if let name = request.displayName {
      self.name("display_name", name, bytes: UserBounds.displayNameBytes)
    }
    for (field, name) in [("first_name", request.firstName), ("last_name", request.lastName)] {
      if let name { self.name(field, name, bytes: 0...UserBounds.nameBytesMax) }
    }
    if let url = request.avatarURL, !url.isEmpty { secureURL("avatar_url", url) }
    if let settings = request.settingsJSON {
      _ = jsonObject("settings_json", settings, bytesMax: UserBounds.settingsBytesMax)
    }
    triedPassword("current_password", request.currentPassword, isNeeded: false)
  }

  /// Checks that a text is an https address, in the characters that addresses are written in.
  private mutating func secureURL(_ field: String, _ text: String) {
    self.text(field, text, bytesMax: UserBounds.avatarURLBytesMax)
    let scheme = "https://"
    let host = text.dropFirst(scheme.count).prefix { !"/?#".contains($0) }
    let isPlain = text.utf8.allSatisfy { (33...126).contains($0) && $0 != UInt8(ascii: "\"") }
    if !text.hasPrefix(scheme) || host.isEmpty || host.contains("@") || !isPlain {
      refuse(field, "must be an address like https://example.com/ada.png")
    }
  }
}

private func callerGone() -> CallError {
  CallError(IdentityErrorReason.userNotFound, "Your account was deleted.")
}

private func changedMeanwhile() -> CallError {
  CallError(
    RpcErrorReason.conflict, "Your account was changed meanwhile; read it and try again.")
}
