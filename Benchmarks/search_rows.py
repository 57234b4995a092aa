"""Runs by the hundred thousand, with what they are searched by, for measurements of searches."""

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
_SECOND_PROJECT = "00000005-0000-4000-8000-000000000001"


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


def fill(database: Cluster, *, organization_id: str, runs: int) -> SearchRows:
    """Writes runs with parameters, summaries of metrics and tags into two projects."""
    project, user = database.query(
        "select id, created_by from projects "  # noqa: S608
        f"where organization_id = '{organization_id}' limit 1"
    )[0]
    for function in (_UUID_OF, _SHARE_OF):
        database.query(function)
    own = f"'{organization_id}'::uuid"
    database.query(
        "insert into projects (organization_id, id, name, slug, created_by) "  # noqa: S608
        f"values ({own}, '{_SECOND_PROJECT}', 'second', 'second', '{user}')"
    )
    database.query(
        "insert into experiments (organization_id, id, project_id, name, created_by) "  # noqa: S608
        f"select {own}, uuid_of(6, n), case when n < {SECOND_PROJECT_FROM} "
        f"then '{project}'::uuid else '{_SECOND_PROJECT}' end, 'experiment ' || n, '{user}' "
        f"from generate_series(0, {EXPERIMENTS}) as n"
    )
    # Foreign keys would be looked up row by row; they hold by the way the rows are made.
    unchecked = "set session_replication_role = replica; "
    details = {
        "run_parameters": _parameters(own, runs),
        "run_tags": _tags(own, runs),
        "run_metric_summaries": _metrics(own, runs),
    }
    with without_indexes(database, list(details)):
        database.query(unchecked + _runs(own, project, user, runs), limit_seconds=LIMIT_SECONDS)
        for insertion in details.values():
            database.query(unchecked + insertion, limit_seconds=LIMIT_SECONDS)
    database.query("vacuum (analyze) runs, experiments, projects")
    return SearchRows(runs, project, _experiment(0), tuple(map(_experiment, range(1, 11))))


def _experiment(number: int) -> str:
    return f"00000006-0000-4000-8000-{number:012x}"


def _runs(own: str, project: str, user: str, runs: int) -> str:
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
            case
                when experiment < {SECOND_PROJECT_FROM} then '{project}'::uuid
                else '{_SECOND_PROJECT}'
            end,
            'run ' || n,
            status,
            case when status <> 'scheduled' then start end,
            case when status not in ('scheduled', 'running') then start + duration end,
            '{user}',
            moment,
            moment
        from (
            select
                n,
                case when n % 4 = 0 then 0 else 1 + n % {EXPERIMENTS} end as experiment,
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
            last_value, min_value, max_value
        )
        select {own}, uuid_of(7, n), pair.key, 1000, 0, 999, 0, pair.value, pair.value, pair.value
        from generate_series(1, {runs}) as n
        cross join lateral (
            values
            ('loss', case when n % {_NAN_EVERY} = 0 then 'NaN' else share_of(n, 60) * 4 end),
            ('accuracy', 1 - share_of(n, 60) * 0.5 - share_of(n, 61) * 0.5),
            ('rare ' || n % {RARE_EVERY}, share_of(n, 62))
        ) as pair (key, value)
        union all
        select {own}, uuid_of(7, n), 'metric ' || k, 1000, 0, 999, 0, value, value, value
        from generate_series(1, {runs}) as n
        cross join generate_series(4, {METRICS}) as k
        cross join lateral (values (share_of(n, 60 + k) * 10 ^ (k - 5))) as scaled (value)
    """  # noqa: S608


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
