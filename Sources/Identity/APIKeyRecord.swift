internal import Messages
internal import Postgres
internal import RPC

/// A key as it is stored, without its secret.
struct APIKeyRecord {
  var id: UUID
  var userID: UUID
  var name: String
  var prefix: String
  var scopes: [String]
  var ranges: [String]
  var createdBy: UUID
  var lastUsedAt: Int64?
  var expiresAt: Int64?
  var revokedAt: Int64?
  var createdAt: Int64
  var updatedAt: Int64
  /// Whether it goes back to a password, and ends when that changes.
  var isFromLogin = false
  var revision: Int64

  /// Whether it may not be used any more.
  func isOver(at now: Int64) -> Bool {
    revokedAt != nil || expiresAt.map { $0 <= now } ?? false
  }

  /// What the caller is shown.
  var message: ApiKey {
    var key = ApiKey()
    key.id = id.description
    key.name = name
    key.prefix = prefix
    key.userID = userID.description
    key.scopes = scopes
    key.allowedCidrs = ranges
    key.createdBy = createdBy.description
    key.lastUsedAt = lastUsedAt.map { Timestamp(microseconds: $0) }
    key.expiresAt = expiresAt.map { Timestamp(microseconds: $0) }
    key.revokedAt = revokedAt.map { Timestamp(microseconds: $0) }
    key.createdAt = Timestamp(microseconds: createdAt)
    key.updatedAt = Timestamp(microseconds: updatedAt)
    key.etag = String(revision)
    key.isFromLogin = isFromLogin
    return key
  }

  /// The statement that adds it with its secret's hash.
  func insertion(_ key: APIKey, organizationID: UUID) -> Query<Int> {
    APIKeysQueries.createApiKey(
      organizationID: organizationID, id: id, userID: userID, name: name, keyID: key.id,
      keyPrefix: prefix, secretHash: key.hash, scopes: scopes, allowedCIDRs: ranges,
      createdBy: createdBy, expiresAt: expiresAt, isFromLogin: isFromLogin,
      createdAt: createdAt)
  }

  /// The statement that stores what may change.
  func update(organizationID: UUID) -> Query<Int> {
    APIKeysQueries.updateApiKey(
      name: name, scopes: scopes, allowedCIDRs: ranges, expiresAt: expiresAt,
      updatedAt: updatedAt, organizationID: organizationID, id: id)
  }

  /// What the audit log keeps of a change from `before`, or of a new key.
  func details(
    since before: APIKeyRecord?, _ more: [(name: String, before: String?, after: String?)] = []
  ) -> String {
    let old = before.map(\.audited)
    return JSONText.change(
      audited.enumerated().map { index, field in
        (name: field.name, before: old?[index].value, after: field.value)
      } + more)
  }

  private var audited: [(name: String, value: String?)] {
    [
      ("name", name), ("user_id", userID.description), ("prefix", prefix),
      ("scopes", scopes.joined(separator: " ")),
      ("allowed_cidrs", ranges.joined(separator: " ")),
      ("expires_at", expiresAt.map(timeText)), ("revoked_at", revokedAt.map(timeText)),
    ]
  }
}

extension APIKeyRecord {
  /// Reads what a statement returned.
  init(_ row: some APIKeyRow) {
    self.init(
      id: row.id, userID: row.userID, name: row.name, prefix: row.keyPrefix, scopes: row.scopes,
      ranges: row.allowedCIDRs, createdBy: row.createdBy, lastUsedAt: row.lastUsedAt,
      expiresAt: row.expiresAt, revokedAt: row.revokedAt, createdAt: row.createdAt,
      updatedAt: row.updatedAt, isFromLogin: row.isFromLogin, revision: row.revision)
  }
}

/// What every statement returns of a key.
protocol APIKeyRow {
  var id: UUID { get }
  var userID: UUID { get }
  var name: String { get }
  var keyPrefix: String { get }
  var scopes: [String] { get }
  var allowedCIDRs: [String] { get }
  var createdBy: UUID { get }
  var lastUsedAt: Int64? { get }
  var expiresAt: Int64? { get }
  var revokedAt: Int64? { get }
  var createdAt: Int64 { get }
  var updatedAt: Int64 { get }
  var isFromLogin: Bool { get }
  var revision: Int64 { get }
}

extension APIKeysQueries.GetApiKeyRow: APIKeyRow {}
extension APIKeysQueries.LockApiKeyRow: APIKeyRow {}
extension APIKeysQueries.ListApiKeysRow: APIKeyRow {}
