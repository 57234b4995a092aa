/// What a refusal of the database means to a caller: experiments, runs and metrics.
///
/// A handler checks its input first; these are the last wall, and the answer where two calls
/// race. A test compares the names with the migrated schema.
enum TrackingConstraints {
  /// A constraint that only a fault of the server itself can violate.
  static let internalFault = "INTERNAL"

  /// Constraint or unique index to error reason.
  static let reasons: [String: String] = [
    "experiments_completed_at_check": internalFault,
    "experiments_config_check": "FIELD_INVALID",
    "experiments_created_by_fkey": internalFault,
    "experiments_description_check": "FIELD_INVALID",
    "experiments_name_check": "FIELD_INVALID",
    "experiments_organization_id_id_project_id_key": internalFault,
    "experiments_pkey": internalFault,
    "experiments_project_id_fkey": "PROJECT_NOT_FOUND",
    "experiments_status_check": internalFault,
    "idx_experiments_project_name": "EXPERIMENT_NAME_TAKEN",
    "runs_completed_at_check": "FIELD_INVALID",
    "runs_created_by_fkey": internalFault,
    "runs_description_check": "FIELD_INVALID",
    "runs_experiment_id_fkey": "EXPERIMENT_NOT_FOUND",
    "runs_name_check": "FIELD_INVALID",
    "runs_pkey": internalFault,
    "runs_started_at_check": "FIELD_INVALID",
    "runs_status_check": internalFault,
    "artifact_blobs_organization_id_fkey": internalFault,
    "artifact_blobs_pkey": internalFault,
    "artifact_blobs_sha256_check": internalFault,
    "artifact_blobs_size_bytes_check": internalFault,
    "artifact_uploads_durable_bytes_check": internalFault,
    "artifact_uploads_path_check": "FIELD_INVALID",
    "artifact_uploads_pkey": internalFault,
    "artifact_uploads_run_id_fkey": "RUN_NOT_FOUND",
    "artifact_uploads_sha256_check": "FIELD_INVALID",
    "artifact_uploads_size_bytes_check": "FIELD_INVALID",
    "artifacts_created_by_fkey": internalFault,
    "artifacts_organization_id_id_key": internalFault,
    "artifacts_path_check": "FIELD_INVALID",
    "artifacts_pkey": internalFault,
    "artifacts_run_id_fkey": "RUN_NOT_FOUND",
    "artifacts_sha256_fkey": internalFault,
    "artifacts_size_bytes_check": internalFault,
    "metric_writers_last_sequence_check": internalFault,
    "metric_writers_pkey": internalFault,
    "metric_chunks_epoch_check": internalFault,
    "metric_chunks_key_check": "FIELD_INVALID",
    "metric_chunks_max_step_check": internalFault,
    "metric_chunks_pkey": internalFault,
    "metric_chunks_point_count_check": internalFault,
    "metric_chunks_point_values_check": internalFault,
    "metric_chunks_run_id_fkey": "RUN_NOT_FOUND",
    "metric_chunks_steps_check": internalFault,
    "metric_chunks_times_us_check": internalFault,
    "run_metric_summaries_key_check": "FIELD_INVALID",
    "run_metric_summaries_last_step_check": internalFault,
    "run_metric_summaries_pkey": internalFault,
    "run_metric_summaries_point_count_check": internalFault,
    "run_metric_summaries_run_id_fkey": "RUN_NOT_FOUND",
  ]
}
