-- How points are stored: openWriter once a stream; then, for every group of consecutive batches,
-- one transaction of advanceWriter, requireRunningRuns, insertMetricChunks and
-- upsertMetricSummaries. Each refuses what is wrong and so undoes the whole group; the writer's
-- row is locked first, so two streams of one writer follow one another.

-- Makes the writer known and says how far it has come, after whatever an earlier stream of it is
-- still committing.
-- name: openWriter :one
insert into writers as writer (organization_id, writer_id)
values (:organization_id, :writer_id)
on conflict (organization_id, writer_id) do update set updated_at = now()
returning writer.last_sequence;

-- Moves a writer from first_sequence - 1 to last_sequence. Refuses SEQUENCE_REPLAYED
-- (details.acknowledged_sequence: drop what it covers and send the rest), SEQUENCE_GAP
-- (details.expected_sequence) and WRITER_UNKNOWN (not opened).
-- name: advanceWriter :exec
with advanced as (
    update writers as writer
    set
        last_sequence
        = case
            when writer.last_sequence = :first_sequence::bigint - 1
                then :last_sequence::bigint
            else needletail_refuse_sequence(writer.last_sequence, :first_sequence::bigint)
        end,
        updated_at = now()
    where writer.organization_id = :organization_id and writer.writer_id = :writer_id
    returning writer.last_sequence
)

select
    coalesce(
        (select advanced.last_sequence from advanced),
        needletail_refuse('WRITER_UNKNOWN', null, null::bigint)
    ) as "last_sequence!";

-- Moves distinct writers on together, as advanceWriter does one. Refuses as it does, for any of
-- them.
-- name: advanceWriters :exec
with wanted as (
    select
        item.writer_id,
        item.first_sequence,
        item.last_sequence
    from
        unnest(
            :writer_ids::uuid[], :first_sequences::bigint[], :last_sequences::bigint[]
        ) as item (writer_id, first_sequence, last_sequence)
),

advanced as (
    update writers as writer
    set
        last_sequence
        = case
            when writer.last_sequence = wanted.first_sequence - 1 then wanted.last_sequence
            else needletail_refuse_sequence(writer.last_sequence, wanted.first_sequence)
        end,
        updated_at = now()
    from wanted
    where writer.organization_id = :organization_id and writer.writer_id = wanted.writer_id
    returning writer.last_sequence
)

select
    case
        when (select count(*) from advanced) = cardinality(:writer_ids::uuid[]) then true
        else needletail_refuse('WRITER_UNKNOWN', null, false)
    end as "is_advanced!";

-- Opens epochs of the `run_ids`, with an epoch and a step for each, and holds these runs for itself
-- until the transaction ends: who appends to one of them waits, and then finds the new epoch.
-- Refuses as requireRunningRuns does what the caller may not see or change, and EPOCH_OLD,
-- EPOCH_TAKEN and EPOCH_SKIPPED (details.run_id, details.current_epoch).
-- name: openEpochs :exec
with held as (
    select
        run.id,
        run.project_id
    from (
        select distinct item.id
        from unnest(:run_ids::uuid[]) as item (id)
        order by item.id
    ) as wanted
    -- A look for each, as in requireRunningRuns.
    cross join
        lateral (
            select
                stored.id,
                stored.project_id
            from runs as stored
            where
                stored.organization_id = :organization_id
                and stored.id = wanted.id
                and stored.deleted_at is null
            for no key update of stored
        ) as run
),

roles as materialized (
    select
        project.project_id,
        needletail_project_role(project.project_id, :user_id) as role
    from (select distinct held.project_id from held) as project
)

select
    count(
        case
            when roles.role is null
                then
                    needletail_refuse(
                        'RUN_NOT_FOUND', jsonb_build_object('run_id', wanted.id), false
                    )
            when roles.role <> all(:sufficient_roles::text[])
                then
                    needletail_refuse(
                        'PERMISSION_MISSING', jsonb_build_object('run_id', wanted.id), false
                    )
            else
                needletail_open_epoch(
                    :organization_id, wanted.id, wanted.epoch, wanted.from_step, :writer_id
                )
        end
    ) as "run_count!"
from
    unnest(:run_ids::uuid[], :epochs::bigint[], :from_steps::bigint[])
        as wanted (id, epoch, from_step)
left join held on wanted.id = held.id
left join roles on held.project_id = roles.project_id;

-- Holds the distinct `run_ids` in status running until the transaction ends: who finishes one of
-- them waits, and so does who opens an epoch. Refuses RUN_NOT_FOUND, also where the caller does not
-- see the project, PERMISSION_MISSING where their role in it does not suffice, RUN_NOT_STARTED and
-- RUN_FINISHED (details.run_id), and where there are `epochs`, one a run, EPOCH_OLD for one behind
-- the run's and EPOCH_SKIPPED for one that is not open (details.current_epoch).
-- name: requireRunningRuns :exec
with held as (
    select
        run.id,
        run.status,
        run.project_id,
        run.metric_epoch
    from (
        select distinct item.id
        from unnest(:run_ids::uuid[]) as item (id)
        order by item.id
    ) as wanted
    -- A look for each: a plan that was made while there were few runs would go through all of them.
    cross join
        lateral (
            select
                stored.id,
                stored.status,
                stored.project_id,
                stored.metric_epoch
            from runs as stored
            where
                stored.organization_id = :organization_id
                and stored.id = wanted.id
                and stored.deleted_at is null
            for share of stored
        ) as run
),

-- Once a project: many runs are of few, and a role costs more than all else here.
roles as materialized (
    select
        project.project_id,
        needletail_project_role(project.project_id, :user_id) as role
    from (select distinct held.project_id from held) as project
)

select
    count(
        case
            when roles.role is null
                then
                    needletail_refuse(
                        'RUN_NOT_FOUND', jsonb_build_object('run_id', wanted.id), wanted.id
                    )
            when roles.role <> all(:sufficient_roles::text[])
                then
                    needletail_refuse(
                        'PERMISSION_MISSING', jsonb_build_object('run_id', wanted.id), wanted.id
                    )
            when held.status = 'running' and wanted.epoch < held.metric_epoch
                then
                    needletail_refuse(
                        'EPOCH_OLD',
                        jsonb_build_object(
                            'run_id', wanted.id, 'current_epoch', held.metric_epoch
                        ),
                        wanted.id
                    )
            when held.status = 'running' and wanted.epoch > held.metric_epoch
                then
                    needletail_refuse(
                        'EPOCH_SKIPPED',
                        jsonb_build_object(
                            'run_id', wanted.id, 'current_epoch', held.metric_epoch
                        ),
                        wanted.id
                    )
            when held.status = 'running' then held.id
            when held.status = 'scheduled'
                then
                    needletail_refuse(
                        'RUN_NOT_STARTED', jsonb_build_object('run_id', wanted.id), wanted.id
                    )
            else
                needletail_refuse(
                    'RUN_FINISHED', jsonb_build_object('run_id', wanted.id), wanted.id
                )
        end
    ) as "run_count!"
from unnest(:run_ids::uuid[], :epochs::bigint[]) as wanted (id, epoch)
left join held on wanted.id = held.id
left join roles on held.project_id = roles.project_id;

-- Stores one chunk a series, all in one statement. The arrays up to value_ends have an element a
-- series. The points of all series follow one another in `point_values`, those of a series up to
-- its value_ends. It takes its steps from where step_forms says: 0 = first_steps + i *
-- step_strides, 1 = the point_counts elements of step_offsets up to its step_ends, added to
-- first_steps, 2 = those of wide_steps. Times (microseconds since 1970) the same way. Form 0 only
-- where last - first fits 64 bits.
-- name: insertMetricChunks :exec
insert into metric_chunks (
    organization_id, id, run_id, key, epoch, point_count, min_step, max_step, first_step,
    step_stride, first_time_us, time_stride_us, min_value, max_value, step_offsets, steps,
    time_offsets_us, times_us, point_values
)
select
    :organization_id,
    series.id,
    series.run_id,
    series.key,
    series.epoch,
    series.point_count,
    series.min_step,
    series.max_step,
    series.first_step,
    case when series.step_form = 0 then series.step_stride end,
    series.first_time_us,
    case when series.time_form = 0 then series.time_stride_us end,
    series.min_value,
    series.max_value,
    case
        when series.step_form = 1
            then
                (:step_offsets::integer[])[
                    (series.step_end - series.point_count + 1):(series.step_end)
                ]
    end,
    case
        when series.step_form = 2
            then
                (:wide_steps::bigint[])[
                    (series.step_end - series.point_count + 1):(series.step_end)
                ]
    end,
    case
        when series.time_form = 1
            then
                (:time_offsets_us::integer[])[
                    (series.time_end - series.point_count + 1):(series.time_end)
                ]
    end,
    case
        when series.time_form = 2
            then
                (:wide_times_us::bigint[])[
                    (series.time_end - series.point_count + 1):(series.time_end)
                ]
    end,
    (:point_values::double precision[])[
        (series.value_end - series.point_count + 1):(series.value_end)
    ]
from
    unnest(
        :ids::uuid[], :run_ids::uuid[], :keys::text[], :epochs::bigint[],
        :point_counts::bigint[], :min_steps::bigint[], :max_steps::bigint[],
        :step_forms::bigint[], :step_ends::bigint[],
        :first_steps::bigint[], :step_strides::bigint[],
        :time_forms::bigint[], :time_ends::bigint[],
        :first_times_us::bigint[], :time_strides_us::bigint[],
        :min_values::double precision[], :max_values::double precision[], :value_ends::bigint[]
    )
        as series (
            id, run_id, key, epoch, point_count, min_step, max_step, step_form, step_end,
            first_step, step_stride, time_form, time_end, first_time_us, time_stride_us,
            min_value, max_value, value_end
        );

-- Stores one chunk of many points: cutting a long column out of a shared one, as
-- insertMetricChunks does, costs as much as storing it.
-- name: insertMetricChunk :exec
insert into metric_chunks (
    organization_id, id, run_id, key, epoch, point_count, min_step, max_step, first_step,
    step_stride, first_time_us, time_stride_us, min_value, max_value, step_offsets, steps,
    time_offsets_us, times_us, point_values
)
values (
    :organization_id, :id, :run_id, :key, :epoch, :point_count, :min_step, :max_step, :first_step,
    :step_stride?, :first_time_us, :time_stride_us?, :min_value, :max_value, :step_offsets?,
    :steps?, :time_offsets_us?, :times_us?, :point_values
);

-- Adds a series each to the summaries of distinct (run, key) pairs. In the order of the key, so
-- that two writers of one run never wait for one another in a circle. min_steps and max_steps are
-- the first steps of the least and the greatest value, of no meaning where those are NaN. A first
-- value counts as settled: many are never followed by another, and that unsettles it.
-- name: upsertMetricSummaries :exec
insert into run_metric_summaries as summary (
    organization_id, run_id, key, point_count, first_step, last_step, last_time_us, last_value,
    min_value, max_value, number_count, value_sum, min_step, max_step, settled_value
)
select
    :organization_id,
    series.run_id,
    series.key,
    series.point_count,
    series.first_step,
    series.last_step,
    series.last_time_us,
    series.last_value,
    series.min_value,
    series.max_value,
    series.number_count,
    series.value_sum,
    case when series.min_value <> 'NaN' then series.min_step end,
    case when series.max_value <> 'NaN' then series.max_step end,
    series.last_value as settled_value
from
    unnest(
        :run_ids::uuid[], :keys::text[], :point_counts::bigint[], :first_steps::bigint[],
        :last_steps::bigint[], :last_times_us::bigint[], :last_values::double precision[],
        :min_values::double precision[], :max_values::double precision[],
        :number_counts::bigint[], :value_sums::double precision[], :min_steps::bigint[],
        :max_steps::bigint[]
    )
        as series (
            run_id, key, point_count, first_step, last_step, last_time_us, last_value, min_value,
            max_value, number_count, value_sum, min_step, max_step
        )
order by series.run_id, series.key collate "C"
on conflict (organization_id, run_id, key) do update set
    point_count = summary.point_count + excluded.point_count,
    first_step = least(summary.first_step, excluded.first_step),
    last_step = greatest(summary.last_step, excluded.last_step),
    -- Compared twice, which costs less than a subquery that picks the greater point.
    last_time_us
    = case
        when
            (excluded.last_step, excluded.last_time_us, excluded.last_value)
            > (summary.last_step, summary.last_time_us, summary.last_value)
            then excluded.last_time_us
        else summary.last_time_us
    end,
    last_value
    = case
        when
            (excluded.last_step, excluded.last_time_us, excluded.last_value)
            > (summary.last_step, summary.last_time_us, summary.last_value)
            then excluded.last_value
        else summary.last_value
    end,
    -- NaN sorts above every number, so least() drops it by itself and greatest() would keep it.
    min_value = least(summary.min_value, excluded.min_value),
    max_value
    = case
        when summary.max_value = 'NaN' then excluded.max_value
        when excluded.max_value = 'NaN' then summary.max_value
        else greatest(summary.max_value, excluded.max_value)
    end,
    number_count = summary.number_count + excluded.number_count,
    value_sum = needletail_sum(summary.value_sum, excluded.value_sum),
    -- Equal extremes keep the smaller step; NaN, above every number, has none to lose or to bring.
    min_step
    = case
        when excluded.min_value < summary.min_value then excluded.min_step
        when excluded.min_value = summary.min_value
            then least(summary.min_step, excluded.min_step)
        else summary.min_step
    end,
    max_step
    = case
        when excluded.max_value = summary.max_value
            then least(summary.max_step, excluded.max_step)
        when
            summary.max_value = 'NaN'
            or (excluded.max_value > summary.max_value and excluded.max_value <> 'NaN')
            then excluded.max_step
        else summary.max_step
    end;
