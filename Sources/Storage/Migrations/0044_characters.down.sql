-- What is longer by now stays as it is.
-- squawk-ignore-file require-timeout-settings, ban-drop-constraint
set local role needletail_owner;

alter table runs drop constraint runs_name_check;
alter table runs add constraint runs_name_check
check (octet_length(name) between 1 and 250) not valid;
alter table metric_chunks drop constraint metric_chunks_key_check;
alter table metric_chunks add constraint metric_chunks_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table run_metric_summaries drop constraint run_metric_summaries_key_check;
alter table run_metric_summaries add constraint run_metric_summaries_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table run_metric_definitions drop constraint run_metric_definitions_pattern_check;
alter table run_metric_definitions add constraint run_metric_definitions_pattern_check
check (octet_length(pattern) between 1 and 250) not valid;
alter table run_metric_definitions drop constraint run_metric_definitions_step_metric_check;
alter table run_metric_definitions add constraint run_metric_definitions_step_metric_check
check (octet_length(step_metric) <= 250) not valid;
alter table experiment_tags drop constraint experiment_tags_key_check;
alter table experiment_tags add constraint experiment_tags_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table run_tags drop constraint run_tags_key_check;
alter table run_tags add constraint run_tags_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table run_parameters drop constraint run_parameters_key_check;
alter table run_parameters add constraint run_parameters_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table run_parameter_versions drop constraint run_parameter_versions_key_check;
alter table run_parameter_versions add constraint run_parameter_versions_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table run_models drop constraint run_models_name_check;
alter table run_models add constraint run_models_name_check
check (octet_length(name) between 1 and 250) not valid;
alter table model_tags drop constraint model_tags_key_check;
alter table model_tags add constraint model_tags_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table model_version_tags drop constraint model_version_tags_key_check;
alter table model_version_tags add constraint model_version_tags_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table trace_tags drop constraint trace_tags_key_check;
alter table trace_tags add constraint trace_tags_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table trace_metadata drop constraint trace_metadata_key_check;
alter table trace_metadata add constraint trace_metadata_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table trace_assessments drop constraint trace_assessments_name_check;
alter table trace_assessments add constraint trace_assessments_name_check
check (octet_length(name) between 1 and 250) not valid;
alter table logged_model_tags drop constraint logged_model_tags_key_check;
alter table logged_model_tags add constraint logged_model_tags_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table logged_model_parameters drop constraint logged_model_parameters_key_check;
alter table logged_model_parameters add constraint logged_model_parameters_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table logged_model_metrics drop constraint logged_model_metrics_key_check;
alter table logged_model_metrics add constraint logged_model_metrics_key_check
check (octet_length(key) between 1 and 250) not valid;
alter table evaluation_dataset_tags drop constraint evaluation_dataset_tags_key_check;
alter table evaluation_dataset_tags add constraint evaluation_dataset_tags_key_check
check (octet_length(key) between 1 and 250) not valid;
