-- squawk-ignore-file ban-drop-table
set local role needletail_owner;

drop table logged_model_metrics;
drop table logged_model_parameters;
drop table logged_model_tags;
drop table logged_models;
