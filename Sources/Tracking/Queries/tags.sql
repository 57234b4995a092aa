-- Holds a live run until the transaction ends: who writes its tags or parameters waits. What is
-- read after it, in a statement of its own, has seen every change before.
-- name: holdRun :exec
select run.id
from runs as run
where run.organization_id = :organization_id and run.id = :id and run.deleted_at is null
for no key update of run;

-- A held run with the caller's role in its project, and what it has of the tags and parameters
-- that are to be written, by key.
-- name: getRunToDescribe :optional
select
    run.project_id,
    run.status,
    run.metric_epoch,
    needletail_project_role(run.project_id, :user_id) as "role?",
    (
        select count(*)
        from run_tags as tag
        where tag.organization_id = run.organization_id and tag.run_id = run.id
    ) as "tag_count!",
    (
        select count(*)
        from run_parameters as parameter
        where parameter.organization_id = run.organization_id and parameter.run_id = run.id
    ) as "parameter_count!",
    array(
        select tag.key
        from run_tags as tag
        where
            tag.organization_id = run.organization_id
            and tag.run_id = run.id
            and tag.key = any(:tag_keys::text[])
        order by tag.key
    ) as "tag_keys!",
    array(
        select tag.value
        from run_tags as tag
        where
            tag.organization_id = run.organization_id
            and tag.run_id = run.id
            and tag.key = any(:tag_keys::text[])
        order by tag.key
    ) as "tag_values!",
    array(
        select parameter.key
        from run_parameters as parameter
        where
            parameter.organization_id = run.organization_id
            and parameter.run_id = run.id
            and parameter.key = any(:parameter_keys::text[])
        order by parameter.key
    ) as "parameter_keys!",
    array(
        select parameter.value
        from run_parameters as parameter
        where
            parameter.organization_id = run.organization_id
            and parameter.run_id = run.id
            and parameter.key = any(:parameter_keys::text[])
        order by parameter.key
    ) as "parameter_values!"
from runs as run
where run.organization_id = :organization_id and run.id = :id and run.deleted_at is null;

-- Sets tags of a held run, or of a new one.
-- name: writeRunTags :exec
insert into run_tags as tag (organization_id, run_id, key, value)
select
    :organization_id,
    :run_id,
    item.key,
    item.value
from unnest(:keys::text[], :tag_values::text[]) as item (key, value)
on conflict (organization_id, run_id, key) do update set
    value = excluded.value
where tag.value is distinct from excluded.value;

-- Removes tags of a held run.
-- name: deleteRunTags :exec
delete from run_tags
where organization_id = :organization_id and run_id = :run_id and key = any(:keys::text[]);

-- A page of a run's tags, by key, after `after_key` (empty: from the first). It ends early, with
-- the one that goes beyond `bytes_max`.
-- name: listRunTags :many
select
    page.key,
    page.value
from (
    select
        tag.key,
        tag.value,
        sum(octet_length(tag.key) + octet_length(tag.value))
            over (order by tag.key rows between unbounded preceding and 1 preceding)
            as bytes_before
    from (
        select
            stored.key,
            stored.value
        from run_tags as stored
        where
            stored.organization_id = :organization_id
            and stored.run_id = :run_id
            and stored.key > :after_key
        order by stored.key
        limit :page_size::bigint
    ) as tag
) as page
where coalesce(page.bytes_before, 0) <= :bytes_max::bigint
order by page.key;

-- Holds a live experiment until the transaction ends: who writes its tags waits.
-- name: holdExperiment :exec
select experiment.id
from experiments as experiment
where
    experiment.organization_id = :organization_id
    and experiment.id = :id
    and experiment.deleted_at is null
for no key update of experiment;

-- A held experiment with the caller's role in its project, and what it has of the tags that are to
-- be written, by key.
-- name: getExperimentToDescribe :optional
select
    experiment.project_id,
    needletail_project_role(experiment.project_id, :user_id) as "role?",
    (
        select count(*)
        from experiment_tags as tag
        where
            tag.organization_id = experiment.organization_id
            and tag.experiment_id = experiment.id
    ) as "tag_count!",
    array(
        select tag.key
        from experiment_tags as tag
        where
            tag.organization_id = experiment.organization_id
            and tag.experiment_id = experiment.id
            and tag.key = any(:tag_keys::text[])
        order by tag.key
    ) as "tag_keys!",
    array(
        select tag.value
        from experiment_tags as tag
        where
            tag.organization_id = experiment.organization_id
            and tag.experiment_id = experiment.id
            and tag.key = any(:tag_keys::text[])
        order by tag.key
    ) as "tag_values!"
from experiments as experiment
where
    experiment.organization_id = :organization_id
    and experiment.id = :id
    and experiment.deleted_at is null;

-- Sets tags of a held experiment, or of a new one.
-- name: writeExperimentTags :exec
insert into experiment_tags as tag (organization_id, experiment_id, key, value)
select
    :organization_id,
    :experiment_id,
    item.key,
    item.value
from unnest(:keys::text[], :tag_values::text[]) as item (key, value)
on conflict (organization_id, experiment_id, key) do update set
    value = excluded.value
where tag.value is distinct from excluded.value;

-- Removes tags of a held experiment.
-- name: deleteExperimentTags :exec
delete from experiment_tags
where
    organization_id = :organization_id
    and experiment_id = :experiment_id
    and key = any(:keys::text[]);

-- A page of an experiment's tags, like that of a run's.
-- name: listExperimentTags :many
select
    page.key,
    page.value
from (
    select
        tag.key,
        tag.value,
        sum(octet_length(tag.key) + octet_length(tag.value))
            over (order by tag.key rows between unbounded preceding and 1 preceding)
            as bytes_before
    from (
        select
            stored.key,
            stored.value
        from experiment_tags as stored
        where
            stored.organization_id = :organization_id
            and stored.experiment_id = :experiment_id
            and stored.key > :after_key
        order by stored.key
        limit :page_size::bigint
    ) as tag
) as page
where coalesce(page.bytes_before, 0) <= :bytes_max::bigint
order by page.key;
