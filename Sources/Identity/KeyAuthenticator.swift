public import EventLoop
internal import Messages
public import Postgres
public import RPC
internal import TLS

/// Finds out who an API key belongs to.
///
/// Every key that is not good takes the same way: one look-up, one comparison, one answer.
public struct KeyAuthenticator: Authenticator {
  private let access: Access

  /// Makes an authenticator that knows the permissions which methods ask for.
  public init(permissions: Set<String>) {
    access = Access(known: permissions)
  }

  /// Looks up the key by its id and compares its digest, in constant time, with the stored one.
  public func authenticate(
    _ apiKey: String, from peer: SocketAddress, database: Database, deadline: Instant
  ) async throws(CallError) -> Principal {
    let key = APIKey(apiKey)
    let row: APIKeysQueries.AuthenticateRow?
    do throws(PostgresError) {
      row = try await database.read(
        Work(scope: .none, deadline: deadline, cancellation: nil),
        APIKeysQueries.authenticate(keyID: key?.id ?? KeyAuthenticator.nobody))
    } catch {
      throw databaseAway(error)
    }
    guard let row = KeyAuthenticator.opens(apiKey, row, from: peer.host) else {
      throw invalidKey()
    }
    return Principal(
      organizationID: row.organizationID, id: row.userID,
      kind: row.userKind == "service_account" ? "service_account" : "user", label: row.userLabel,
      apiKeyID: row.apiKeyID, role: row.role,
      permissions: access.permissions(role: row.role, scopes: row.scopes))
  }

  /// An identifier that no key has, so that a malformed key costs a look-up, too.
  private static let nobody = String(repeating: "0", count: APIKey.idCharacters)
  private static let noHash = [UInt8](repeating: 0, count: Digest.byteCount)

  /// What became of keys since they were seen.
  public func standings(
    of keys: [KeySeen], database: Database, deadline: Instant
  ) async throws(PostgresError) -> [KeyStanding] {
    let rows = try await database.read(
      Work(scope: .none, deadline: deadline, cancellation: nil),
      APIKeysQueries.listChangedKeyStandings(
        organizationIDs: keys.map(\.organizationID), ids: keys.map(\.apiKeyID),
        versions: keys.map(\.version)))
    return rows.map { row in
      let ranges = row.allowedCIDRs
      return KeyStanding(
        apiKeyID: row.apiKeyID, version: row.version, isUsable: row.isUsable,
        expiresAt: row.expiresAt, role: row.role,
        permissions: access.permissions(role: row.role, scopes: row.scopes),
        admits: { peer in KeyAuthenticator.admits(peer.host, ranges) })
    }
  }

  /// Notes when keys were used, an organization at a time.
  public func recordUses(
    _ uses: [KeyUse], database: Database, deadline: Instant
  ) async throws(PostgresError) {
    for (organizationID, uses) in Dictionary(grouping: uses, by: \.organizationID) {
      _ = try await database.commit(
        Work(scope: .organization(organizationID), deadline: deadline, cancellation: nil),
        APIKeysQueries.recordApiKeyUse(
          ids: uses.map(\.apiKeyID), usedAt: uses.map(\.usedAt), organizationID: organizationID))
    }
  }

  /// The stored key, if the given one is the same and may be used now.
  ///
  /// Where the address that it comes from is not known, no key that is bound to addresses may be.
  static func opens(
    _ apiKey: String, _ row: APIKeysQueries.AuthenticateRow?, from host: String?
  ) -> APIKeysQueries.AuthenticateRow? {
    let given = Digest.sha256(Array(apiKey.utf8))
    let stored = row?.secretHash ?? noHash
    let isSame = unsafe constantTimeEquals(given.span.bytes, stored.span.bytes)
    guard isSame, let row, isGood(row), admits(host, row.allowedCIDRs) else { return nil }
    return row
  }

  private static func isGood(_ row: APIKeysQueries.AuthenticateRow) -> Bool {
    let isExpired = row.expiresAt.map { $0 <= WallClock.microseconds() } ?? false
    return !isExpired && !row.isRevoked && row.isOrganizationActive && row.isUserActive
      && !row.role.isEmpty
  }

  /// Whether a key that is bound to `ranges`, or to none, is taken from an address.
  private static func admits(_ host: String?, _ ranges: [String]) -> Bool {
    if ranges.isEmpty { return true }
    guard let host else { return false }
    return ranges.contains { AddressRange($0)?.contains(host) ?? false }
  }

  private func invalidKey() -> CallError {
    CallError(
      RpcErrorReason.invalidApiKey,
      "The API key is not valid: check NEEDLETAIL_API_KEY, or ask an administrator for a new key.")
  }

  private func databaseAway(_ error: PostgresError) -> CallError {
    var result = CallError(
      RpcErrorReason.databaseAway, "The database does not answer; try again shortly.",
      retryAfter: .milliseconds(500))
    result.cause = "\(error)"
    return result
  }
}
