-- Lets nobody remove live models of a project for good until the transaction ends. Refuses
-- LOGGED_MODEL_NOT_FOUND (details.logged_model_id) where one is not there.
-- name: requireLoggedModels :exec
select
    coalesce(
        (
            select model.id
            from logged_models as model
            inner join experiments as experiment
                on
                    model.organization_id = experiment.organization_id
                    and model.experiment_id = experiment.id
                    and experiment.deleted_at is null
            where
                model.organization_id = :organization_id
                and model.id = asked.id
                and model.project_id = :project_id
                and model.deleted_at is null
            for key share of model
        ),
        needletail_refuse(
            'LOGGED_MODEL_NOT_FOUND', jsonb_build_object('logged_model_id', asked.id), null::uuid
        )
    ) as "id!"
from unnest(:ids::uuid[]) as asked (id);

-- Writes what models were measured by; of one time, step, run and dataset the last value stays.
-- name: writeLoggedModelMetrics :exec
insert into logged_model_metrics as point (
    organization_id, logged_model_id, key, time_us, step, run_id, dataset_name, dataset_digest,
    value
)
select distinct on (
    item.logged_model_id, item.key, item.time_us, item.step, item.dataset_name,
    item.dataset_digest
)
    :organization_id,
    item.logged_model_id,
    item.key,
    item.time_us,
    item.step,
    :run_id,
    item.dataset_name,
    item.dataset_digest,
    item.value
from
    unnest(
        :logged_model_ids::uuid[],
        :keys::text[],
        :times_us::bigint[],
        :steps::bigint[],
        :dataset_names::text[],
        :dataset_digests::text[],
        :point_values::double precision[]
    ) with ordinality
        as item (
            logged_model_id, key, time_us, step, dataset_name, dataset_digest, value, place
        )
order by
    item.logged_model_id asc,
    item.key asc,
    item.time_us asc,
    item.step asc,
    item.dataset_name asc,
    item.dataset_digest asc,
    item.place desc
on conflict (
    organization_id, logged_model_id, key, time_us, step, run_id, dataset_name, dataset_digest
) do update set
    value = excluded.value
where point.value is distinct from excluded.value;

-- Refuses LOGGED_MODEL_METRIC_LIMIT_REACHED (details.logged_model_id) where a model has more than
-- `metrics_max` values. It is a statement of its own after writeLoggedModelMetrics.
-- name: requireLoggedModelMetricRoom :exec
select
    case
        when
            :metrics_max::bigint < (
                select count(*)
                from (
                    select point.step
                    from logged_model_metrics as point
                    where
                        point.organization_id = :organization_id
                        and point.logged_model_id = asked.id
                    limit :metrics_max::bigint + 1
                ) as counted
            )
            then
                needletail_refuse(
                    'LOGGED_MODEL_METRIC_LIMIT_REACHED',
                    jsonb_build_object('logged_model_id', asked.id),
                    false
                )
        else true
    end as "has_room!"
from unnest(:ids::uuid[]) as asked (id);

-- A page of what a model was measured by, behind the row that `after_…` name.
-- name: listLoggedModelMetrics :many
select
    point.key,
    point.time_us,
    point.step,
    point.run_id,
    point.dataset_name,
    point.dataset_digest,
    point.value
from logged_model_metrics as point
where
    point.organization_id = :organization_id
    and point.logged_model_id = :logged_model_id
    and (
        point.key, point.time_us, point.step, point.run_id, point.dataset_name,
        point.dataset_digest
    ) > (
        :after_key, :after_time_us, :after_step, :after_run_id::uuid, :after_dataset_name,
        :after_dataset_digest
    )
order by
    point.key, point.time_us, point.step, point.run_id, point.dataset_name,
    point.dataset_digest
limit :page_size::bigint;

-- The first `per_model` metrics of each of found models, in the order of those, up to the one
-- with which they are more than `bytes_max` bytes together; each counts as its texts and
-- 96 bytes.
-- name: listFoundLoggedModelMetrics :many
select
    found.logged_model_id as "logged_model_id!",
    found.key as "key!",
    found.time_us as "time_us!",
    found.step as "step!",
    found.run_id as "run_id!",
    found.dataset_name as "dataset_name!",
    found.dataset_digest as "dataset_digest!",
    found.value as "value!",
    found.bytes as "bytes!",
    found.own_bytes as "own_bytes!"
from (
    select
        asked.place,
        asked.logged_model_id,
        point.key,
        point.time_us,
        point.step,
        point.run_id,
        point.dataset_name,
        point.dataset_digest,
        point.value,
        point.own_bytes,
        sum(point.own_bytes) over (
            order by
                asked.place, point.key, point.time_us, point.step, point.run_id,
                point.dataset_name, point.dataset_digest
        ) as bytes
    from unnest(:logged_model_ids::uuid[]) with ordinality as asked (logged_model_id, place)
    cross join lateral (
        select
            stored.key,
            stored.time_us,
            stored.step,
            stored.run_id,
            stored.dataset_name,
            stored.dataset_digest,
            stored.value,
            octet_length(stored.key) + octet_length(stored.dataset_name)
            + octet_length(stored.dataset_digest) + 96 as own_bytes
        from logged_model_metrics as stored
        where
            stored.organization_id = :organization_id
            and stored.logged_model_id = asked.logged_model_id
        order by
            stored.key, stored.time_us, stored.step, stored.run_id, stored.dataset_name,
            stored.dataset_digest
        limit :per_model::bigint
    ) as point
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by
    found.place, found.key, found.time_us, found.step, found.run_id, found.dataset_name,
    found.dataset_digest;
