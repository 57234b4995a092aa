-- The points of a run are again those that no later epoch shadows, in chunks of all forms.
set local role needletail_owner;

create or replace view run_metrics with (security_invoker = true) as
select distinct
    chunk.organization_id,
    chunk.run_id,
    chunk.key as metric_name,
    chunk.epoch,
    number.step,
    number.timestamp,
    number.value
from metric_chunks as chunk
left join lateral (
    select min(newer.from_step) as step
    from run_epochs as newer
    where
        newer.organization_id = chunk.organization_id
        and newer.run_id = chunk.run_id
        and newer.epoch > chunk.epoch
) as shadow on true
cross join
    lateral (
        select
            coalesce(
                point.step,
                chunk.first_step
                + coalesce(chunk.step_stride, 0) * (point.ordinal - 1)
                + coalesce(point.step_offset, 0)
            ) as step,
            needletail_time(
                coalesce(
                    point.time_us,
                    chunk.first_time_us
                    + coalesce(chunk.time_stride_us, 0) * (point.ordinal - 1)
                    + coalesce(point.time_offset_us, 0)
                )
            ) as timestamp,
            point.value
        from
            unnest(
                chunk.point_values, chunk.step_offsets, chunk.steps,
                chunk.time_offsets_us, chunk.times_us
            ) with ordinality
                as point (value, step_offset, step, time_offset_us, time_us, ordinal)
    ) as number
where shadow.step is null or number.step < shadow.step;
