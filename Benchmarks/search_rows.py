"""Runs by the hundred thousand, with what they are searched by, for measurements of searches."""

from collections.abc import Sequence
from dataclasses import dataclass

from Benchmarks.bulk import LIMIT_SECONDS, without_indexes
from Benchmarks.postgres import Cluster

# Of every run.
PARAMETERS, METRICS, TAGS = 20, 10, 5
# One experiment has a quarter of the runs, these share the rest.
EXPERIMENTS = 40
# Experiments from this number on are of a second project.
SECOND_PROJECT_FROM = 21
# A parameter, metric and tag of every run that only one in so many shares.
RARE_EVERY = 100
# One loss in so many is NaN.
_NAN_EVERY = 200
# Datasets of each project; each run read one of them, and one in so many runs another.
_DATASETS, _VALIDATED_EVERY = 300, 4
# Models that runs logged, and values of each of their two metrics; the last is any of them in size.
LOGGED_MODELS, _MODEL_VALUES = 20_000, 5
_PROJECTS = ("00000005-0000-4000-8000-000000000001", "00000005-0000-4000-8000-000000000002")


@dataclass(frozen=True, slots=True)
class SearchRows:
    """What was generated, to ask for."""

    runs: int
    # The one with more of the runs.
    project: str
    # The one with a quarter of the runs.
    experiment: str
    # Ten of the others.
    experiments: tuple[str, ...]


def fill(database: Cluster, *, organization_ids: Sequence[str], runs: int) -> SearchRows:
    """Writes the same runs into two projects of each of the organizations.

    They have parameters, summaries of metrics, tags and datasets; some logged a model.
    """
    for function in (_UUID_OF, _SHARE_OF):
        database.query(function)
    # Foreign keys would be looked up row by row; they hold by the way the rows are made.
    unchecked = "set session_replication_role = replica; "
    details = {
        "run_parameters": _parameters,
        "run_tags": _tags,
        "run_metric_summaries": _metrics,
        "run_inputs": _inputs,
        "logged_model_metrics": _logged_model_metrics,
    }
    for id_text in organization_ids:
        database.query(_parents(id_text))
    with without_indexes(database, list(details)):
        for id_text in organization_ids:
            own = f"'{id_text}'::uuid"
            for insertion in (_runs, _logged_models, *details.values()):
                database.query(unchecked + insertion(own, runs), limit_seconds=LIMIT_SECONDS)
    database.query("vacuum (analyze) runs, experiments, projects, input_datasets, logged_models")
    return SearchRows(runs, _PROJECTS[0], _experiment(0), tuple(map(_experiment, range(1, 11))))


def _experiment(number: int) -> str:
    return f"00000006-0000-4000-8000-{number:012x}"


def _parents(organization_id: str) -> str:
    """What runs belong to and read; whoever belongs to the organization made it."""
    first, second = _PROJECTS
    return f"""
        with own as (
            select organization_id as id, user_id from organization_memberships
            where organization_id = '{organization_id}' and role = 'admin'
            limit 1
        ), projects_made as (
            insert into projects (organization_id, id, name, slug, created_by)
            select own.id, project.id::uuid, project.slug, project.slug, own.user_id
            from own
            cross join (values ('{first}', 'first'), ('{second}', 'second')) as project (id, slug)
        ), experiments_made as (
            insert into experiments (organization_id, id, project_id, name, created_by)
            select own.id, uuid_of(6, n), {_project_of("n")}, 'experiment ' || n, own.user_id
            from own
            cross join generate_series(0, {EXPERIMENTS}) as n
        )

        insert into input_datasets (
            organization_id, id, project_id, name, digest, source_type, source, schema_text,
            profile_text
        )
        select
            own.id, uuid_of(8 + place, k), uuid_of(5, place), 'dataset ' || k, md5(k::text),
            'local', '{{}}', '{{}}', '{{}}'
        from own
        cross join generate_series(0, {_DATASETS}) as k
        cross join generate_series(1, 2) as place
    """  # noqa: S608


def _project_of(experiment: str) -> str:
    first, second = _PROJECTS
    return (
        f"case when {experiment} < {SECOND_PROJECT_FROM} then '{first}'::uuid "
        f"else '{second}'::uuid end"
    )


def _runs(own: str, runs: int) -> str:
    """Ids ascend with the time of creation; a run starts up to an hour after."""
    return f"""
        insert into runs (
            organization_id, id, experiment_id, project_id, name, status, started_at, completed_at,
            created_by, created_at, updated_at
        )
        select
            {own},
            uuid_of(7, n),
            uuid_of(6, experiment),
            {_project_of("experiment")},
            'run ' || n,
            status,
            case when status <> 'scheduled' then start end,
            case when status not in ('scheduled', 'running') then start + duration end,
            (select created_by from projects where organization_id = {own} limit 1),
            moment,
            moment
        from (
            select
                n,
                {_EXPERIMENT_OF} as experiment,
                case
                    when share_of(n, 1) < 0.90 then 'completed'
                    when share_of(n, 1) < 0.95 then 'failed'
                    when share_of(n, 1) < 0.98 then 'cancelled'
                    when share_of(n, 1) < 0.99 then 'running'
                    else 'scheduled'
                end as status,
                now() - make_interval(mins => {runs} - n) as moment,
                now() - make_interval(mins => {runs} - n, secs => -3600 * share_of(n, 2)) as start,
                make_interval(secs => 36000 * share_of(n, 3)) as duration
            from generate_series(1, {runs}) as n
        ) as run
    """  # noqa: S608


def _parameters(own: str, runs: int) -> str:
    """Keys whose values are anything from four to as many as there are runs."""
    return f"""
        insert into run_parameters (organization_id, run_id, key, value)
        select {own}, uuid_of(7, n), pair.key, pair.value
        from generate_series(1, {runs}) as n
        cross join lateral (
            values
            ('optimizer', (array['adam', 'adamw', 'sgd', 'lion'])[1 + (n / 3) % 4]),
            ('learning_rate', (array['0.1', '0.01', '0.001', '0.0001'])[1 + (n / 7) % 4]),
            ('batch_size', (8 << (n % 8))::text),
            ('seed', n::text),
            ('dataset', 'dataset ' || (share_of(n, 11) * 300)::int),
            ('rare ' || n % {RARE_EVERY}, n::text)
        ) as pair (key, value)
        union all
        select
            {own},
            uuid_of(7, n),
            'parameter ' || k,
            round((share_of(n, 20 + k) * k * 5)::numeric)::text
        from generate_series(1, {runs}) as n
        cross join generate_series(7, {PARAMETERS}) as k
    """  # noqa: S608


def _tags(own: str, runs: int) -> str:
    return f"""
        insert into run_tags (organization_id, run_id, key, value)
        select {own}, uuid_of(7, n), pair.key, pair.value
        from generate_series(1, {runs}) as n
        cross join lateral (
            values
            ('team', 'team ' || (share_of(n, 50) * share_of(n, 51) * 40)::int),
            ('stage', (array['dev', 'test', 'production'])[1 + (n / 5) % 3]),
            ('note', 'note on ' || md5(n::text) || ' of the sweep ' || n / 50),
            ('mlflow.user', 'user' || (share_of(n, 52) * 400)::int),
            ('rare ' || n % {RARE_EVERY}, n::text)
        ) as pair (key, value)
    """  # noqa: S608


def _metrics(own: str, runs: int) -> str:
    """A loss, an accuracy that goes with it, scales of all sizes, and one that few runs have."""
    return f"""
        insert into run_metric_summaries (
            organization_id, run_id, key, point_count, first_step, last_step, last_time_us,
            last_value, min_value, max_value, settled_value
        )
        select
            {own},
            uuid_of(7, n),
            pair.key,
            1000,
            0,
            999,
            0,
            pair.value,
            pair.value,
            pair.value,
            {_SETTLED}
        from generate_series(1, {runs}) as n
        cross join lateral (
            values
            ('loss', case when n % {_NAN_EVERY} = 0 then 'NaN' else share_of(n, 60) * 4 end),
            ('accuracy', 1 - share_of(n, 60) * 0.5 - share_of(n, 61) * 0.5),
            ('rare ' || n % {RARE_EVERY}, share_of(n, 62))
        ) as pair (key, value)
        union all
        select
            {own},
            uuid_of(7, n),
            'metric ' || k,
            1000,
            0,
            999,
            0,
            value,
            value,
            value,
            {_SETTLED.replace("pair.", "")}
        from generate_series(1, {runs}) as n
        cross join generate_series(4, {METRICS}) as k
        cross join lateral (values (share_of(n, 60 + k) * 10 ^ (k - 5))) as scaled (value)
    """  # noqa: S608


def _inputs(own: str, runs: int) -> str:
    """One dataset to train with, and in some runs another to validate with."""
    return f"""
        insert into run_inputs (organization_id, id, run_id, dataset_id, context, tags)
        select
            {own},
            uuid_of(11 + use, n),
            uuid_of(7, n),
            uuid_of(
                case when {_EXPERIMENT_OF} < {SECOND_PROJECT_FROM} then 9 else 10 end,
                (share_of(n, 70 + use) * {_DATASETS})::bigint
            ),
            (array['training', 'validation'])[use],
            '{{}}'
        from generate_series(1, {runs}) as n
        cross join generate_series(1, 2) as use
        where use = 1 or n % {_VALIDATED_EVERY} = 0
    """  # noqa: S608


def _logged_models(own: str, runs: int) -> str:
    return f"""
        insert into logged_models (
            organization_id, id, project_id, experiment_id, name, status, source_run_id, created_by
        )
        select
            organization_id, uuid_of(13, n), project_id, experiment_id, 'model ' || n, 'ready', id,
            created_by
        from generate_series(1, {min(runs, LOGGED_MODELS)}) as n
        inner join runs on organization_id = {own} and id = uuid_of(7, n)
    """  # noqa: S608


def _logged_model_metrics(own: str, runs: int) -> str:
    return f"""
        insert into logged_model_metrics (
            organization_id, logged_model_id, key, time_us, step, run_id, dataset_name,
            dataset_digest, value
        )
        select
            {own}, uuid_of(13, n), key, step * 1000, step, uuid_of(7, n), 'dataset', '',
            share_of(n * {_MODEL_VALUES} + step, 80 + length(key))
        from generate_series(1, {min(runs, LOGGED_MODELS)}) as n
        cross join generate_series(1, {_MODEL_VALUES}) as step
        cross join unnest(array['loss', 'accuracy']) as key
    """  # noqa: S608


# As upkeep leaves them; a run in a hundred has just logged.
_SETTLED = "case when n % 100 <> 50 then pair.value end"
_EXPERIMENT_OF = f"(case when n % 4 = 0 then 0 else 1 + n % {EXPERIMENTS} end)"
# Names of things; SQL, so that it is inlined.
_UUID_OF = """
    create function uuid_of(kind bigint, number bigint) returns uuid
    language sql immutable parallel safe
    return (
        lpad(to_hex(kind), 8, '0') || '000040008000' || lpad(to_hex(number), 12, '0')
    )::uuid
"""
# From 0 to 1, evenly, and always the same.
_SHARE_OF = """
    create function share_of(number bigint, kind bigint) returns double precision
    language sql immutable parallel safe
    return (hashint8extended(number, kind) & 1048575) / 1048576.0
"""
