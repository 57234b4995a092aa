internal import Messages
internal import Postgres

/// What a person may change of themself.
struct UserFields: Equatable {
  var email: String
  var displayName: String
  var firstName: String
  var lastName: String
  var avatarURL: String
  var settingsJSON: String
  var emailVerifiedAt: Int64?

  /// The fields that `request` leaves, and those that it gives; another address is not verified.
  func changed(by request: UpdateUserRequest) -> UserFields {
    var after = self
    after.email = request.email ?? email
    after.displayName = request.displayName ?? displayName
    after.firstName = request.firstName ?? firstName
    after.lastName = request.lastName ?? lastName
    after.avatarURL = request.avatarURL ?? avatarURL
    after.settingsJSON = request.settingsJSON.map { $0.isEmpty ? "{}" : $0 } ?? settingsJSON
    if !after.email.isSameAddress(as: email) { after.emailVerifiedAt = nil }
    return after
  }

  /// What the audit log keeps of it.
  var audited: [(name: String, value: String?)] {
    [
      ("email", email), ("display_name", displayName), ("first_name", firstName),
      ("last_name", lastName), ("avatar_url", avatarURL),
      ("email_verified_at", emailVerifiedAt.map(timeText)),
      ("settings_json", auditedSettings(settingsJSON)),
    ]
  }
}

/// What every statement returns of a person that others are shown.
protocol UserRow {
  var userID: UUID { get }
  var email: String { get }
  var displayName: String { get }
  var firstName: String { get }
  var lastName: String { get }
  var avatarURL: String { get }
  var emailVerifiedAt: Int64? { get }
  var lastLoginAt: Int64? { get }
  var createdAt: Int64 { get }
  var updatedAt: Int64 { get }
}

extension User {
  /// A person as others see them.
  init(_ row: some UserRow) {
    self.init()
    id = row.userID.description
    email = row.email
    displayName = row.displayName
    firstName = row.firstName
    lastName = row.lastName
    avatarURL = row.avatarURL
    emailVerifiedAt = row.emailVerifiedAt.map { Timestamp(microseconds: $0) }
    lastLoginAt = row.lastLoginAt.map { Timestamp(microseconds: $0) }
    createdAt = Timestamp(microseconds: row.createdAt)
    updatedAt = Timestamp(microseconds: row.updatedAt)
  }
}

/// What statements return of a person for themself alone.
protocol OwnUserRow: UserRow {
  var emailFolded: String { get }
  var passwordHash: String? { get }
  var settingsJSON: String { get }
  var revision: Int64 { get }
}

extension OwnUserRow {
  /// What the person may change.
  var fields: UserFields {
    UserFields(
      email: email, displayName: displayName, firstName: firstName, lastName: lastName,
      avatarURL: avatarURL, settingsJSON: settingsJSON, emailVerifiedAt: emailVerifiedAt)
  }
}

extension UsersQueries.GetUserRow: OwnUserRow {}
extension UsersQueries.LockUserRow: OwnUserRow {}
extension UsersQueries.LockLoginRow: OwnUserRow {}
extension UsersQueries.LockDeletedUserRow: OwnUserRow {}
