internal import Postgres

enum MetricAppendsQueries {
  private static let openWriterStatement = Statement(
    "tracking.openWriter",
    """
    insert into metric_writers as writer (organization_id, writer_id)
    values ($1, $2)
    on conflict (organization_id, writer_id) do update set updated_at = now()
    returning writer.last_sequence
    """, parameters: [2950, 2950], columns: [20])
  static func openWriter(organizationID: UUID, writerID: UUID) -> Query<Int64> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: writerID)
    return Query(openWriterStatement, parameters) { reply throws(PostgresError) in
      try reply.one { row throws(PostgresError) in try row.int8(0) }
    }
  }

  private static let advanceWriterStatement = Statement(
    "tracking.advanceWriter",
    """
    with advanced as (
        update metric_writers as writer
        set
            last_sequence
            = case
                when writer.last_sequence = $1::bigint - 1
                    then $2::bigint
                else needletail_refuse_sequence(writer.last_sequence, $1::bigint)
            end,
            updated_at = now()
        where writer.organization_id = $3 and writer.writer_id = $4
        returning writer.last_sequence
    )
    
    select
        coalesce(
            (select advanced.last_sequence from advanced),
            needletail_refuse('WRITER_UNKNOWN', null, null::bigint)
        ) as "last_sequence!"
    """, parameters: [20, 20, 2950, 2950], columns: [])
  static func advanceWriter(firstSequence: Int64, lastSequence: Int64, organizationID: UUID, writerID: UUID) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(int8: firstSequence)
    parameters.append(int8: lastSequence)
    parameters.append(uuid: organizationID)
    parameters.append(uuid: writerID)
    return Query(advanceWriterStatement, parameters)
  }

  private static let requireRunningRunsStatement = Statement(
    "tracking.requireRunningRuns",
    """
    with held as (
        select
            run.id,
            run.status
        from runs as run
        where
            run.organization_id = $1
            and run.id = any($2::uuid[])
            and run.deleted_at is null
            and (
                $3::boolean
                or exists (
                    select from visible_projects as visible
                    where
                        visible.organization_id = run.organization_id
                        and visible.project_id = run.project_id
                        and visible.user_id = $4
                )
            )
        order by run.id
        for share of run
    )
    
    select
        count(
            case
                when held.status = 'running' then held.id
                when held.id is null
                    then
                        needletail_refuse(
                            'RUN_NOT_FOUND', jsonb_build_object('run_id', wanted.id), wanted.id
                        )
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
    from unnest($2::uuid[]) as wanted (id)
    left join held on wanted.id = held.id
    """, parameters: [2950, 2951, 16, 2950], columns: [])
  static func requireRunningRuns(organizationID: UUID, runIDs: [UUID], seesAllProjects: Bool, userID: UUID) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuids: runIDs)
    parameters.append(bool: seesAllProjects)
    parameters.append(uuid: userID)
    return Query(requireRunningRunsStatement, parameters)
  }

  private static let insertMetricChunksStatement = Statement(
    "tracking.insertMetricChunks",
    """
    with series as (
        select
            item.id,
            item.run_id,
            item.key,
            item.point_count,
            item.min_step,
            item.max_step,
            item.step_form,
            item.first_step,
            item.step_stride,
            item.time_form,
            item.first_time_us,
            item.time_stride_us,
            item.min_value,
            item.max_value,
            sum(item.point_count::integer) over preceding as values_end,
            sum(item.point_count::integer) filter (where item.step_form = 1)
                over preceding
                as offsets_end,
            sum(item.point_count::integer) filter (where item.step_form = 2)
                over preceding
                as steps_end,
            sum(item.point_count::integer) filter (where item.time_form = 1)
                over preceding
                as shifts_end,
            sum(item.point_count::integer) filter (where item.time_form = 2) over preceding as times_end
        from
            unnest(
                $1::uuid[], $2::uuid[], $3::text[], $4::bigint[],
                $5::bigint[], $6::bigint[], $7::bigint[],
                $8::bigint[], $9::bigint[], $10::bigint[],
                $11::bigint[], $12::bigint[],
                $13::double precision[], $14::double precision[]
            ) with ordinality
                as item (
                    id, run_id, key, point_count, min_step, max_step, step_form, first_step,
                    step_stride, time_form, first_time_us, time_stride_us, min_value, max_value, ordinal
                )
        window preceding as (order by item.ordinal rows unbounded preceding)
    )
    
    insert into metric_chunks (
        organization_id, id, run_id, key, point_count, min_step, max_step, first_step, step_stride,
        first_time_us, time_stride_us, min_value, max_value, step_offsets, steps, time_offsets_us,
        times_us, point_values
    )
    select
        $15,
        series.id,
        series.run_id,
        series.key,
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
                    ($16::integer[])[
                        (series.offsets_end - series.point_count + 1):(series.offsets_end)
                    ]
        end,
        case
            when series.step_form = 2
                then
                    ($17::bigint[])[
                        (series.steps_end - series.point_count + 1):(series.steps_end)
                    ]
        end,
        case
            when series.time_form = 1
                then
                    ($18::integer[])[
                        (series.shifts_end - series.point_count + 1):(series.shifts_end)
                    ]
        end,
        case
            when series.time_form = 2
                then
                    ($19::bigint[])[
                        (series.times_end - series.point_count + 1):(series.times_end)
                    ]
        end,
        ($20::double precision[])[
            (series.values_end - series.point_count + 1):(series.values_end)
        ]
    from series
    """, parameters: [2951, 2951, 1009, 1016, 1016, 1016, 1016, 1016, 1016, 1016, 1016, 1016, 1022, 1022, 2950, 1007, 1016, 1007, 1016, 1022], columns: [])
  static func insertMetricChunks(ids: [UUID], runIDs: [UUID], keys: [String], pointCounts: [Int64], minSteps: [Int64], maxSteps: [Int64], stepForms: [Int64], firstSteps: [Int64], stepStrides: [Int64], timeForms: [Int64], firstTimesUs: [Int64], timeStridesUs: [Int64], minValues: [Double], maxValues: [Double], organizationID: UUID, stepOffsets: [Int32], wideSteps: [Int64], timeOffsetsUs: [Int32], wideTimesUs: [Int64], pointValues: [Double]) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuids: ids)
    parameters.append(uuids: runIDs)
    parameters.append(texts: keys)
    parameters.append(int8s: pointCounts)
    parameters.append(int8s: minSteps)
    parameters.append(int8s: maxSteps)
    parameters.append(int8s: stepForms)
    parameters.append(int8s: firstSteps)
    parameters.append(int8s: stepStrides)
    parameters.append(int8s: timeForms)
    parameters.append(int8s: firstTimesUs)
    parameters.append(int8s: timeStridesUs)
    parameters.append(float8s: minValues)
    parameters.append(float8s: maxValues)
    parameters.append(uuid: organizationID)
    parameters.append(int4s: stepOffsets)
    parameters.append(int8s: wideSteps)
    parameters.append(int4s: timeOffsetsUs)
    parameters.append(int8s: wideTimesUs)
    parameters.append(float8s: pointValues)
    return Query(insertMetricChunksStatement, parameters)
  }

  private static let upsertMetricSummariesStatement = Statement(
    "tracking.upsertMetricSummaries",
    """
    insert into run_metric_summaries as summary (
        organization_id, run_id, key, point_count, first_step, last_step, last_time_us, last_value,
        min_value, max_value
    )
    select
        $1,
        series.run_id,
        series.key,
        series.point_count,
        series.first_step,
        series.last_step,
        series.last_time_us,
        series.last_value,
        series.min_value,
        series.max_value
    from
        unnest(
            $2::uuid[], $3::text[], $4::bigint[], $5::bigint[],
            $6::bigint[], $7::bigint[], $8::double precision[],
            $9::double precision[], $10::double precision[]
        )
            as series (
                run_id, key, point_count, first_step, last_step, last_time_us, last_value, min_value,
                max_value
            )
    order by series.run_id, series.key collate "C"
    on conflict (organization_id, run_id, key) do update set
        point_count = summary.point_count + excluded.point_count,
        first_step = least(summary.first_step, excluded.first_step),
        (last_step, last_time_us, last_value) = (
            select
                greatest_point.step,
                greatest_point.time_us,
                greatest_point.value
            from (
                values
                (summary.last_step, summary.last_time_us, summary.last_value),
                (excluded.last_step, excluded.last_time_us, excluded.last_value)
            ) as greatest_point (step, time_us, value)
            order by greatest_point.step desc, greatest_point.time_us desc, greatest_point.value desc
            limit 1
        ),
        min_value = least(summary.min_value, excluded.min_value),
        max_value
        = case
            when summary.max_value = 'NaN' then excluded.max_value
            when excluded.max_value = 'NaN' then summary.max_value
            else greatest(summary.max_value, excluded.max_value)
        end
    """, parameters: [2950, 2951, 1009, 1016, 1016, 1016, 1016, 1022, 1022, 1022], columns: [])
  static func upsertMetricSummaries(organizationID: UUID, runIDs: [UUID], keys: [String], pointCounts: [Int64], firstSteps: [Int64], lastSteps: [Int64], lastTimesUs: [Int64], lastValues: [Double], minValues: [Double], maxValues: [Double]) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuids: runIDs)
    parameters.append(texts: keys)
    parameters.append(int8s: pointCounts)
    parameters.append(int8s: firstSteps)
    parameters.append(int8s: lastSteps)
    parameters.append(int8s: lastTimesUs)
    parameters.append(float8s: lastValues)
    parameters.append(float8s: minValues)
    parameters.append(float8s: maxValues)
    return Query(upsertMetricSummariesStatement, parameters)
  }

}