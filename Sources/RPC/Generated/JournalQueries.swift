internal import Postgres

enum JournalQueries {
  private static let insertIdempotencyRecordStatement = Statement(
    "rpc.insertIdempotencyRecord",
    """
    insert into idempotency_records (
        organization_id, principal_id, key, method, request_digest, response, resource_id,
        is_permanent
    )
    values (
        $1, $2, $3, $4, $5, $6,
        $7, $8
    )
    """, parameters: [2950, 2950, 25, 25, 17, 17, 2950, 16], columns: [])
  static func insertIdempotencyRecord(organizationID: UUID, principalID: UUID, key: String, method: String, requestDigest: [UInt8], response: [UInt8]?, resourceID: UUID?, isPermanent: Bool) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: principalID)
    parameters.append(text: key)
    parameters.append(text: method)
    parameters.append(bytes: requestDigest)
    parameters.append(bytes: response)
    parameters.append(uuid: resourceID)
    parameters.append(bool: isPermanent)
    return Query(insertIdempotencyRecordStatement, parameters)
  }

  private static let completeIdempotencyRecordStatement = Statement(
    "rpc.completeIdempotencyRecord",
    """
    update idempotency_records
    set response = $1, resource_id = $2
    where
        organization_id = $3
        and principal_id = $4
        and key = $5
    """, parameters: [17, 2950, 2950, 2950, 25], columns: [])
  static func completeIdempotencyRecord(response: [UInt8], resourceID: UUID?, organizationID: UUID, principalID: UUID, key: String) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(bytes: response)
    parameters.append(uuid: resourceID)
    parameters.append(uuid: organizationID)
    parameters.append(uuid: principalID)
    parameters.append(text: key)
    return Query(completeIdempotencyRecordStatement, parameters)
  }

  struct GetIdempotencyRecordRow: Sendable, Equatable {
    var method: String
    var requestDigest: [UInt8]
    var response: [UInt8]?
    var resourceID: UUID?
  }
  private static let getIdempotencyRecordStatement = Statement(
    "rpc.getIdempotencyRecord",
    """
    select
        method,
        request_digest,
        response,
        resource_id
    from idempotency_records
    where
        organization_id = $1
        and principal_id = $2
        and key = $3
    """, parameters: [2950, 2950, 25], columns: [25, 17, 17, 2950])
  static func getIdempotencyRecord(organizationID: UUID, principalID: UUID, key: String) -> Query<GetIdempotencyRecordRow?> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: principalID)
    parameters.append(text: key)
    return Query(getIdempotencyRecordStatement, parameters) { reply throws(PostgresError) in
      try reply.optional { row throws(PostgresError) in GetIdempotencyRecordRow(method: try row.text(0), requestDigest: try row.bytes(1), response: try row.bytesOrNil(2), resourceID: try row.uuidOrNil(3)) }
    }
  }

  private static let insertAuditLogStatement = Statement(
    "rpc.insertAuditLog",
    """
    insert into audit_logs (
        organization_id, id, actor_type, actor_id, actor_label, api_key_id, action, outcome, reason,
        resource_type, resource_id, project_id, details, ip_address, user_agent, request_id,
        created_at
    )
    values (
        $1, $2, $3, $4, $5, $6, $7,
        $8, $9, $10, $11, $12,
        ($13::text)::jsonb, ($14::text)::inet, $15, $16,
        $17
    )
    """, parameters: [2950, 2950, 25, 2950, 25, 2950, 25, 25, 25, 25, 2950, 2950, 25, 25, 25, 25, 1184], columns: [])
  static func insertAuditLog(organizationID: UUID, id: UUID, actorType: String, actorID: UUID?, actorLabel: String, apiKeyID: UUID?, action: String, outcome: String, reason: String?, resourceType: String, resourceID: UUID?, projectID: UUID?, detailsJSON: String, ipAddress: String?, userAgent: String?, requestID: String?, createdAt: Int64) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    parameters.append(text: actorType)
    parameters.append(uuid: actorID)
    parameters.append(text: actorLabel)
    parameters.append(uuid: apiKeyID)
    parameters.append(text: action)
    parameters.append(text: outcome)
    parameters.append(text: reason)
    parameters.append(text: resourceType)
    parameters.append(uuid: resourceID)
    parameters.append(uuid: projectID)
    parameters.append(text: detailsJSON)
    parameters.append(text: ipAddress)
    parameters.append(text: userAgent)
    parameters.append(text: requestID)
    parameters.append(timestamp: createdAt)
    return Query(insertAuditLogStatement, parameters)
  }

  private static let insertEventStatement = Statement(
    "rpc.insertEvent",
    """
    insert into events (
        organization_id, id, type, resource_type, resource_id, project_id, actor_type, actor_id,
        request_id, data, created_at
    )
    values (
        $1, $2, $3, $4, $5, $6, $7,
        $8, $9, ($10::text)::jsonb, $11
    )
    """, parameters: [2950, 2950, 25, 25, 2950, 2950, 25, 2950, 25, 25, 1184], columns: [])
  static func insertEvent(organizationID: UUID, id: UUID, type: String, resourceType: String, resourceID: UUID, projectID: UUID?, actorType: String, actorID: UUID?, requestID: String?, dataJSON: String, createdAt: Int64) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    parameters.append(text: type)
    parameters.append(text: resourceType)
    parameters.append(uuid: resourceID)
    parameters.append(uuid: projectID)
    parameters.append(text: actorType)
    parameters.append(uuid: actorID)
    parameters.append(text: requestID)
    parameters.append(text: dataJSON)
    parameters.append(timestamp: createdAt)
    return Query(insertEventStatement, parameters)
  }

}