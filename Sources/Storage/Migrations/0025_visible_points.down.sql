set local role needletail_owner;

create or replace view run_metrics with (security_invoker = true) as
select distinct
    chunk.organization_id,
    chunk.run_id,
    chunk.key as metric_name,
    chunk.epoch,
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
from metric_chunks as chunk
cross join lateral unnest(
    chunk.point_values, chunk.step_offsets, chunk.steps,
    chunk.time_offsets_us, chunk.times_us
) with ordinality
    as point (value, step_offset, step, time_offset_us, time_us, ordinal);
