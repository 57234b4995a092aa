/// What a refusal of the database means to a caller: events, audit entries and idempotency records.
///
/// A handler checks its input first; these are the last wall, and the answer where two calls
/// race. A test compares the names with the migrated schema.
enum JournalConstraints {
  /// A constraint that only a fault of the server itself can violate.
  static let internalFault = "INTERNAL"

  /// Constraint or unique index to error reason.
  static let reasons: [String: String] = [
    "events_actor_id_check": internalFault,
    "events_actor_type_check": internalFault,
    "events_data_check": internalFault,
    "events_pkey": internalFault,
    "events_resource_type_check": internalFault,
    "events_type_check": internalFault,
    "audit_logs_action_check": internalFault,
    "audit_logs_actor_id_check": internalFault,
    "audit_logs_actor_type_check": internalFault,
    "audit_logs_details_check": internalFault,
    "audit_logs_outcome_check": internalFault,
    "audit_logs_pkey": internalFault,
    "audit_logs_resource_type_check": internalFault,
    "idempotency_records_key_check": "FIELD_INVALID",
    "idempotency_records_method_check": internalFault,
    "idempotency_records_pkey": "CONFLICT",
    "idempotency_records_request_digest_check": internalFault,
  ]
}
