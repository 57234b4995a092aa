/// What a refusal of the database means to a caller: traces, spans and assessments.
///
/// A handler checks its input first; these are the last wall, and the answer where two calls
/// race. A test compares the names with the migrated schema.
enum TracingConstraints {
  /// A constraint that only a fault of the server itself can violate.
  static let internalFault = "INTERNAL"

  /// Constraint or unique index to error reason.
  static let reasons: [String: String] = [
    "idx_traces_public_id": internalFault,
    "traces_client_request_id_check": "FIELD_INVALID",
    "traces_execution_ms_check": "FIELD_INVALID",
    "traces_experiment_id_fkey": "EXPERIMENT_NOT_FOUND",
    "traces_pkey": internalFault,
    "traces_public_id_check": "FIELD_INVALID",
    "traces_request_preview_check": "FIELD_INVALID",
    "traces_request_time_ms_check": "FIELD_INVALID",
    "traces_response_preview_check": "FIELD_INVALID",
    "traces_state_check": internalFault,
    "trace_assessments_error_json_check": "FIELD_INVALID",
    "trace_assessments_kind_check": internalFault,
    "trace_assessments_metadata_json_check": "FIELD_INVALID",
    "trace_assessments_name_check": "FIELD_INVALID",
    "trace_assessments_overrides_check": "FIELD_INVALID",
    "trace_assessments_pkey": "ASSESSMENT_ID_TAKEN",
    "trace_assessments_public_id_check": "FIELD_INVALID",
    "trace_assessments_rationale_check": "FIELD_INVALID",
    "trace_assessments_run_id_check": "FIELD_INVALID",
    "trace_assessments_source_id_check": "FIELD_INVALID",
    "trace_assessments_source_type_check": "FIELD_INVALID",
    "trace_assessments_span_id_check": "FIELD_INVALID",
    "trace_assessments_trace_id_fkey": "TRACE_NOT_FOUND",
    "trace_assessments_value_json_check": "FIELD_INVALID",
    "trace_metadata_key_check": "FIELD_INVALID",
    "trace_metadata_pkey": internalFault,
    "trace_metadata_trace_id_fkey": "TRACE_NOT_FOUND",
    "trace_metadata_value_check": "FIELD_INVALID",
    "trace_runs_pkey": internalFault,
    "trace_runs_run_id_fkey": "RUN_NOT_FOUND",
    "trace_runs_trace_id_fkey": "TRACE_NOT_FOUND",
    "trace_spans_content_check": "FIELD_INVALID",
    "trace_spans_end_ns_check": "FIELD_INVALID",
    "trace_spans_name_check": "FIELD_INVALID",
    "trace_spans_parent_span_id_check": "FIELD_INVALID",
    "trace_spans_pkey": internalFault,
    "trace_spans_span_id_check": "FIELD_INVALID",
    "trace_spans_start_ns_check": "FIELD_INVALID",
    "trace_spans_status_check": "FIELD_INVALID",
    "trace_spans_trace_id_fkey": "TRACE_NOT_FOUND",
    "trace_spans_type_check": "FIELD_INVALID",
    "trace_tags_key_check": "FIELD_INVALID",
    "trace_tags_pkey": internalFault,
    "trace_tags_trace_id_fkey": "TRACE_NOT_FOUND",
    "trace_tags_value_check": "FIELD_INVALID",
  ]
}
