internal import Postgres

enum ApiKeysQueries {
  struct AuthenticateRow: Sendable, Equatable {
    var apiKeyID: UUID
    var secretHash: [UInt8]
    var keyPrefix: String
    var scopes: [String]
    var allowedCidrs: [String]
    var expiresAt: Int64?
    var isRevoked: Bool
    var organizationID: UUID
    var organizationSlug: String
    var isOrganizationActive: Bool
    var userID: UUID
    var userKind: String
    var userLabel: String
    var isUserActive: Bool
    var role: String
  }
  private static let authenticateStatement = Statement(
    "identity.authenticate",
    """
    select
        api_key_id as "api_key_id!",
        secret_hash as "secret_hash!",
        key_prefix as "key_prefix!",
        scopes as "scopes!",
        allowed_cidrs as "allowed_cidrs!",
        expires_at,
        is_revoked as "is_revoked!",
        organization_id as "organization_id!",
        organization_slug as "organization_slug!",
        is_organization_active as "is_organization_active!",
        user_id as "user_id!",
        user_kind as "user_kind!",
        user_label as "user_label!",
        is_user_active as "is_user_active!",
        role as "role!"
    from needletail_authenticate($1)
    """, parameters: [25], columns: [2950, 17, 25, 1009, 1009, 1184, 16, 2950, 25, 16, 2950, 25, 25, 16, 25])
  static func authenticate(keyID: String) -> Query<AuthenticateRow?> {
    var parameters = Parameters()
    parameters.append(text: keyID)
    return Query(authenticateStatement, parameters) { reply throws(PostgresError) in
      try reply.optional { row throws(PostgresError) in AuthenticateRow(apiKeyID: try row.uuid(0), secretHash: try row.bytes(1), keyPrefix: try row.text(2), scopes: try row.texts(3), allowedCidrs: try row.texts(4), expiresAt: try row.timestampOrNil(5), isRevoked: try row.bool(6), organizationID: try row.uuid(7), organizationSlug: try row.text(8), isOrganizationActive: try row.bool(9), userID: try row.uuid(10), userKind: try row.text(11), userLabel: try row.text(12), isUserActive: try row.bool(13), role: try row.text(14)) }
    }
  }

  private static let recordApiKeyUseStatement = Statement(
    "identity.recordApiKeyUse",
    """
    update api_keys
    set last_used_at = used.used_at
    from unnest($1::uuid[], $2::timestamptz[]) as used (id, used_at)
    where
        api_keys.organization_id = $3
        and api_keys.id = used.id
        and (
            api_keys.last_used_at is null
            or api_keys.last_used_at < used.used_at - interval '1 minute'
        )
    """, parameters: [2951, 1185, 2950], columns: [])
  static func recordApiKeyUse(ids: [UUID], usedAt: [Int64], organizationID: UUID) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuids: ids)
    parameters.append(timestamps: usedAt)
    parameters.append(uuid: organizationID)
    return Query(recordApiKeyUseStatement, parameters)
  }

  private static let createApiKeyStatement = Statement(
    "identity.createApiKey",
    """
    insert into api_keys (
        organization_id, id, user_id, name, key_id, key_prefix, secret_hash, scopes, created_by,
        expires_at, created_at, updated_at
    )
    values (
        $1, $2, $3, $4, $5, $6, $7,
        $8::text[], $9, $10, $11, $11
    )
    """, parameters: [2950, 2950, 2950, 25, 25, 25, 17, 1009, 2950, 1184, 1184], columns: [])
  static func createApiKey(organizationID: UUID, id: UUID, userID: UUID, name: String, keyID: String, keyPrefix: String, secretHash: [UInt8], scopes: [String], createdBy: UUID, expiresAt: Int64?, createdAt: Int64) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    parameters.append(uuid: userID)
    parameters.append(text: name)
    parameters.append(text: keyID)
    parameters.append(text: keyPrefix)
    parameters.append(bytes: secretHash)
    parameters.append(texts: scopes)
    parameters.append(uuid: createdBy)
    parameters.append(timestamp: expiresAt)
    parameters.append(timestamp: createdAt)
    return Query(createApiKeyStatement, parameters)
  }

}