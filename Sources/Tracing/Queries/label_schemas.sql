-- Whether an experiment of a project is live.
-- name: findLiveExperiment :optional
select experiment.resource_id as "id!"
from resource_projects as experiment
where
    experiment.organization_id = :organization_id
    and experiment.resource_type = 'experiment'
    and experiment.resource_id = :experiment_id
    and experiment.project_id = :project_id;

-- Creates a label schema of a live experiment; nothing where there is no such experiment.
-- name: createLabelSchema :optional
insert into label_schemas (
    organization_id, id, project_id, experiment_id, name, kind, instruction, allows_comment,
    input_kind, labels, is_multi_select, min_value, max_value, max_length, is_fixed,
    create_time_ms, update_time_ms
)
select
    :organization_id,
    :id,
    experiment.project_id,
    experiment.resource_id,
    :name,
    :kind,
    :instruction?,
    :allows_comment,
    :input_kind,
    :labels::text[],
    :is_multi_select,
    :min_value?,
    :max_value?,
    :max_length?,
    :is_fixed,
    :now_ms,
    :now_ms
from resource_projects as experiment
where
    experiment.organization_id = :organization_id
    and experiment.resource_type = 'experiment'
    and experiment.resource_id = :experiment_id
    and experiment.project_id = :project_id
returning id;

-- One label schema of a project.
-- name: getLabelSchema :optional
select
    -- part: label_schema_columns
    schema.id,
    schema.project_id,
    schema.experiment_id,
    schema.name,
    schema.kind,
    schema.instruction,
    schema.allows_comment,
    schema.input_kind,
    schema.labels,
    schema.is_multi_select,
    schema.min_value,
    schema.max_value,
    schema.max_length,
    schema.is_fixed,
    schema.create_time_ms,
    schema.update_time_ms
    -- end of label_schema_columns
from label_schemas as schema
where
    schema.organization_id = :organization_id
    and schema.project_id = :project_id
    and schema.id = :id;

-- The same, and nobody else changes it until the transaction ends.
-- name: lockLabelSchema :optional
select part('label_schema_columns')
from label_schemas as schema
where
    schema.organization_id = :organization_id
    and schema.project_id = :project_id
    and schema.id = :id
for no key update of schema;

-- A page of the label schemas of a live experiment, or the one of a name, newest first.
-- name: listLabelSchemas :many
select part('label_schema_columns')
from label_schemas as schema
inner join resource_projects as experiment
    on
        experiment.organization_id = :organization_id
        and experiment.resource_type = 'experiment'
        and schema.experiment_id = experiment.resource_id
where
    schema.organization_id = :organization_id
    and schema.project_id = :project_id
    and schema.experiment_id = :experiment_id
    and schema.id
    < coalesce((:before_id?)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and (schema.name = (:name?)::text) is not false
order by schema.id desc
limit :page_size::bigint;

-- Writes what may change of a locked label schema.
-- name: updateLabelSchema :exec
update label_schemas
set
    name = :name,
    instruction = :instruction?,
    allows_comment = :allows_comment,
    labels = :labels::text[],
    min_value = :min_value?,
    max_value = :max_value?,
    max_length = :max_length?,
    update_time_ms = :now_ms
where organization_id = :organization_id and id = :id;

-- Deletes a locked label schema. What queues have of it is left out when they are read.
-- name: deleteLabelSchema :exec
delete from label_schemas
where organization_id = :organization_id and id = :id;
