-- A held run with the caller's role in its project, how many definitions of metrics it has, and
-- those of some patterns, in columns.
-- name: getRunToDefineMetrics :optional
select
    run.project_id,
    needletail_project_role(run.project_id, :user_id) as "role?",
    (
        select count(*)
        from run_metric_definitions as definition
        where definition.organization_id = run.organization_id and definition.run_id = run.id
    ) as "definition_count!",
    coalesce(known.patterns, '{}') as "patterns!",
    coalesce(known.goals, '{}') as "goals!",
    coalesce(known.summaries, '{}') as "summaries!",
    coalesce(known.step_metrics, '{}') as "step_metrics!",
    coalesce(known.hidings, '{}') as "hidings!"
from runs as run
cross join
    lateral (
        select
            array_agg(definition.pattern order by definition.pattern) as patterns,
            array_agg(definition.goal order by definition.pattern) as goals,
            array_agg(definition.summary order by definition.pattern) as summaries,
            array_agg(definition.step_metric order by definition.pattern) as step_metrics,
            array_agg(definition.is_hidden::integer::bigint order by definition.pattern) as hidings
        from run_metric_definitions as definition
        where
            definition.organization_id = run.organization_id
            and definition.run_id = run.id
            and definition.pattern = any(:asked_patterns::text[])
    ) as known
where run.organization_id = :organization_id and run.id = :id and run.deleted_at is null;

-- Defines metrics of a held run; `hidings` are 1 where a metric is hidden, else 0.
-- name: writeMetricDefinitions :exec
insert into run_metric_definitions (
    organization_id, run_id, pattern, goal, summary, step_metric, is_hidden
)
select
    :organization_id,
    :run_id,
    item.pattern,
    item.goal,
    item.summary,
    item.step_metric,
    item.hiding = 1
from
    unnest(
        :patterns::text[], :goals::text[], :summaries::text[], :step_metrics::text[],
        :hidings::bigint[]
    ) as item (pattern, goal, summary, step_metric, hiding)
on conflict (organization_id, run_id, pattern) do update set
    goal = excluded.goal,
    summary = excluded.summary,
    step_metric = excluded.step_metric,
    is_hidden = excluded.is_hidden;

-- Removes definitions of a held run.
-- name: deleteMetricDefinitions :exec
delete from run_metric_definitions
where
    organization_id = :organization_id
    and run_id = :run_id
    and pattern = any(:patterns::text[]);

-- A page of the definitions of a run, by pattern, after `after_pattern` (empty: from the first).
-- name: listMetricDefinitions :many
select
    definition.pattern,
    definition.goal,
    definition.summary,
    definition.step_metric,
    definition.is_hidden
from run_metric_definitions as definition
where
    definition.organization_id = :organization_id
    and definition.run_id = :run_id
    and definition.pattern > :after_pattern
order by definition.pattern
limit :page_size::bigint;
