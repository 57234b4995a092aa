-- Scorers: what judges the answers of applications, kept in versions.
-- squawk-ignore-file renaming-object
set local role needletail_owner;

-- A scorer is known by its name in an experiment, exactly as written. `last_version` is the
-- greatest that it has.
create table scorers (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid not null,
    experiment_id uuid not null,
    name text collate "C" not null,
    last_version bigint not null,
    constraint scorers_pkey primary key (organization_id, id),
    constraint scorers_experiment_id_fkey
    foreign key (organization_id, experiment_id, project_id)
    references experiments (organization_id, id, project_id) on delete cascade,
    constraint scorers_name_check check (char_length(name) between 1 and 256),
    constraint scorers_last_version_check check (last_version > 0)
);
create unique index idx_scorers_experiment_name
on scorers (organization_id, experiment_id, name);
create index idx_scorers_project on scorers (organization_id, project_id, experiment_id, name);

-- The client's JSON, as it came.
create table scorer_versions (
    organization_id uuid not null,
    scorer_id uuid not null,
    version bigint not null,
    serialized_scorer text not null,
    create_time_ms bigint not null,
    created_by uuid not null,
    constraint scorer_versions_pkey primary key (organization_id, scorer_id, version),
    constraint scorer_versions_scorer_id_fkey
    foreign key (organization_id, scorer_id)
    references scorers (organization_id, id) on delete cascade,
    constraint scorer_versions_created_by_fkey
    foreign key (created_by) references users (id) on delete restrict,
    constraint scorer_versions_version_check check (version > 0),
    constraint scorer_versions_serialized_scorer_check
    check (octet_length(serialized_scorer) <= 1048576)
);
create index idx_scorer_versions_created_by on scorer_versions (created_by);

select needletail_isolate('scorers');
select needletail_isolate('scorer_versions');

grant select, insert, update, delete
on scorers, scorer_versions to needletail_app, needletail_maintenance;

alter function needletail_purge_experiments(uuid, uuid[], bigint)
rename to needletail_purge_unscored_experiments;

-- Removes a batch of the versions of experiments' scorers, or, once none is left, of the scorers,
-- then of what else they have, and at last the experiments.
create function needletail_purge_experiments(
    owner_id uuid, experiment_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    scorer_ids uuid[] := array(
        select scorer.id
        from scorers as scorer
        where scorer.organization_id = owner_id and scorer.experiment_id = any(experiment_ids)
        limit least(batch_size, 100)
    );
begin
    if cardinality(scorer_ids) = 0 then
        return needletail_purge_unscored_experiments(owner_id, experiment_ids, batch_size);
    end if;
    delete from scorer_versions
    where
        (organization_id, scorer_id, version) in (
            select doomed.organization_id, doomed.scorer_id, doomed.version
            from scorer_versions as doomed
            where doomed.organization_id = owner_id and doomed.scorer_id = any(scorer_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from scorers where organization_id = owner_id and id = any(scorer_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

revoke execute on function needletail_purge_experiments(uuid, uuid[], bigint) from public;
grant execute on function needletail_purge_experiments(uuid, uuid[], bigint)
to needletail_maintenance;
