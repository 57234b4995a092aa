-- What bounds traces, what measures them, and how long they stay.
set local role needletail_owner;

-- How many bytes an assessment takes, with what a message adds.
create function needletail_assessment_bytes(assessment trace_assessments) returns integer
language sql stable parallel safe
return (
    octet_length((assessment).value_json) + octet_length((assessment).metadata_json)
    + octet_length((assessment).public_id) + octet_length((assessment).name)
    + octet_length((assessment).source_type)
    + coalesce(octet_length((assessment).error_json), 0)
    + coalesce(octet_length((assessment).rationale), 0)
    + coalesce(octet_length((assessment).source_id), 0)
    + coalesce(octet_length((assessment).span_id), 0)
    + coalesce(octet_length((assessment).run_id), 0)
    + coalesce(octet_length((assessment).overrides), 0) + 100
);

-- Removes a batch of what traces have that came before a time, or, once they have nothing, of those
-- traces; says how many rows went. One server does it at a time: "ntltrace".
create function needletail_expire_traces(before timestamptz, batch_size bigint) returns bigint
language plpgsql
set search_path = public, pg_temp
set lock_timeout = '5s'
as $$
declare
    owner record;
    trace_ids uuid[];
begin
    if batch_size not between 1 and 100000 then
        raise exception 'batch_size must be 1 to 100000, not %', batch_size;
    end if;
    if not pg_try_advisory_xact_lock(x'6e746c7472616365'::bigint) then
        return 0;
    end if;
    for owner in select organization.id from organizations as organization loop
        -- Those that a call is writing to wait for the next run.
        trace_ids := array(
            select trace.id
            from traces as trace
            where
                trace.organization_id = owner.id
                and trace.id < needletail_uuid_floor(before)
            order by trace.id
            limit least(batch_size, 100)
            for update skip locked
        );
        if cardinality(trace_ids) > 0 then
            return needletail_purge_traces(owner.id, trace_ids, batch_size);
        end if;
    end loop;
    return 0;
end;
$$;

revoke execute on function needletail_expire_traces(timestamptz, bigint) from public;
grant execute on function needletail_expire_traces(timestamptz, bigint) to needletail_maintenance;

-- A number in a JSON object, by its name; null where there is none, or no JSON.
create function needletail_json_number(content text, name text) returns double precision
language plpgsql immutable strict
as $$
begin
    return case
        when jsonb_typeof(content::jsonb -> name) = 'number'
            then (content::jsonb ->> name)::double precision
    end;
exception when data_exception then
    return null;
end;
$$;
