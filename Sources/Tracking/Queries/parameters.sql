-- Writes parameters of a held run, or of a new one.
-- name: writeRunParameters :exec
insert into run_parameters as parameter (organization_id, run_id, key, value)
select
    :organization_id,
    :run_id,
    item.key,
    item.value
from unnest(:keys::text[], :parameter_values::text[]) as item (key, value)
on conflict (organization_id, run_id, key) do update set
    value = excluded.value
where parameter.value is distinct from excluded.value;

-- Keeps the values of parameters of a held run that are about to be overwritten.
-- name: keepParameterVersions :exec
insert into run_parameter_versions (
    organization_id, id, run_id, key, value, replaced_at, replaced_by
)
select
    parameter.organization_id,
    item.id,
    parameter.run_id,
    parameter.key,
    parameter.value,
    :replaced_at,
    :user_id
from unnest(:ids::uuid[], :keys::text[]) as item (id, key)
inner join run_parameters as parameter
    on
        parameter.organization_id = :organization_id
        and parameter.run_id = :run_id
        and item.key = parameter.key;

-- A page of a run's parameters, by key, after `after_key` (empty: from the first). It ends early,
-- with the one that goes beyond `bytes_max`.
-- name: listRunParameters :many
select
    page.key,
    page.value
from (
    select
        parameter.key,
        parameter.value,
        sum(octet_length(parameter.key) + octet_length(parameter.value))
            over (order by parameter.key rows between unbounded preceding and 1 preceding)
            as bytes_before
    from (
        select
            stored.key,
            stored.value
        from run_parameters as stored
        where
            stored.organization_id = :organization_id
            and stored.run_id = :run_id
            and stored.key > :after_key
        order by stored.key
        limit :page_size::bigint
    ) as parameter
) as page
where coalesce(page.bytes_before, 0) <= :bytes_max::bigint
order by page.key;

-- A page of the values that a parameter had, newest first, before `before_id` (absent: from the
-- newest).
-- name: listParameterVersions :many
select
    id,
    value,
    replaced_at,
    replaced_by
from run_parameter_versions
where
    organization_id = :organization_id
    and run_id = :run_id
    and key = :key
    and id < coalesce(:before_id?::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
order by id desc
limit :page_size::bigint;
