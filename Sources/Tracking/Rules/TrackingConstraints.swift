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
    "log_chunks_level_mask_check": internalFault,
    "log_chunks_levels_check": internalFault,
    "log_chunks_line_count_check": internalFault,
    "log_chunks_max_time_us_check": internalFault,
    "log_chunks_pkey": internalFault,
    "log_chunks_rank_check": internalFault,
    "log_chunks_run_id_fkey": "RUN_NOT_FOUND",
    "log_chunks_streams_check": internalFault,
    "log_chunks_texts_check": internalFault,
    "log_chunks_times_us_check": internalFault,
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
