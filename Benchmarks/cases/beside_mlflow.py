"""What a tracker is mostly asked for, beside MLflow on the same PostgreSQL cluster.

MLflow's rows for searches and histories are written into its tables, as it would write them.
"""

from contextlib import ExitStack

from Benchmarks import wire
from Benchmarks.calls import Caller
from Benchmarks.cases import Case, Comparison, Outcome, Settings
from Benchmarks.cases.history import POINTS
from Benchmarks.cases.ingest import Points
from Benchmarks.cases.search import Calls, Search
from Benchmarks.figures import Contender, PeerMissingError, Spread, alternate
from Benchmarks.peers import mlflow
from Benchmarks.postgres import Cluster, cluster, programs
from Benchmarks.processes import output_of
from Benchmarks.sdk_programs import times
from Benchmarks.search_rows import fill
from Benchmarks.server import Load, server

_CLIENTS, _BATCH_POINTS = 8, 1_000
# As many batches as the window of a stream holds.
_IN_FLIGHT = 48
_RUNS, _PAGE_SIZE = 5_000, 100
_INGEST_AT_LEAST, _SEARCH_AT_LEAST, _HISTORY_AT_LEAST = 400.0, 50.0, 100.0
_FILTER, _ORDER = "metrics.accuracy > 0.5", "metrics.accuracy DESC"
_SEARCH_BODY = (
    f'{{"experiment_ids":["0"],"filter":"{_FILTER}","order_by":["{_ORDER}"],'
    f'"max_results":{_PAGE_SIZE}}}'
)
HISTORY_RUN = "0123456789abcdef0123456789abcdef"


def _mlflow(settings: Settings, outcome: Outcome) -> None:
    try:
        mlflow.python()
    except PeerMissingError as error:
        outcome.notes.append(f"skipped: {error}")
        return
    with ExitStack() as stack:
        database = stack.enter_context(cluster(settings.work / "pg"))
        started = stack.enter_context(server(settings.work / "server", postgres=database.url))
        port = stack.enter_context(
            mlflow.mlflow(settings.work / "mlflow", database, cores=settings.cores)
        )
        own = database.query("select id from organizations")[0][0]
        fill(database, organization_ids=[own], runs=_RUNS)
        fill_mlflow(database, runs=_RUNS, points=POINTS)
        endpoint = wire.Endpoint.of(started.connection)
        caller = stack.enter_context(Caller.of(endpoint))
        search = Search("a metric, by it", _FILTER, (_ORDER,))
        batches = ("--batch-points", str(_BATCH_POINTS))
        single = ("--batch-points", "1", "--metrics", "1")
        _by_turns(
            settings,
            outcome,
            Points(Load(started, "append-metrics", _CLIENTS, _IN_FLIGHT, options=batches)),
            mlflow.Clients(
                f"mlflow log_batch of {_BATCH_POINTS:,} points, {_CLIENTS} clients",
                port,
                _CLIENTS,
                "runs/log-batch",
                mlflow.batch(_BATCH_POINTS),
                _BATCH_POINTS,
            ),
            _INGEST_AT_LEAST,
        )
        _by_turns(
            settings,
            outcome,
            Points(Load(started, "append-metrics", _CLIENTS, 1, options=single)),
            mlflow.Clients(
                f"mlflow log_metric, {_CLIENTS} clients",
                port,
                _CLIENTS,
                "runs/log-metric",
                mlflow.one,
            ),
            None,
        )
        _by_turns(
            settings,
            outcome,
            Calls(
                f"SearchRuns of {_RUNS:,}, {search.name}", caller, search.method, search.request()
            ),
            mlflow.Searches(f"mlflow search_runs of {_RUNS:,}", port, _SEARCH_BODY, _PAGE_SIZE),
            _SEARCH_AT_LEAST,
        )
        rounds = max(3, settings.pairs)
        reader = "history_reader.py"
        ours = times(reader, started, settings.work, POINTS, rounds)["to a list"]
        theirs = mlflow.read_history(port, HISTORY_RUN, "loss", rounds)
        ratio = Spread.of([other / mine for mine, other in zip(ours, theirs, strict=True)])
        peer = f"mlflow get_metric_history of {POINTS:,} points ({Spread.of(theirs).median:,.0f} ms"
        peer += f", ours {Spread.of(ours).median:,.0f} ms)"
        outcome.comparisons.append(Comparison(peer, ratio, _HISTORY_AT_LEAST))


def _by_turns(
    settings: Settings,
    outcome: Outcome,
    ours: Contender,
    theirs: Contender,
    at_least: float | None,
) -> None:
    standings = alternate([ours, theirs], pairs=settings.pairs, seconds=settings.seconds)
    outcome.standings += standings
    mine, other = standings
    outcome.comparisons.append(Comparison(other.name, mine.ratio_to(other), at_least))


def fill_mlflow(database: Cluster, *, runs: int, points: int) -> None:
    """As many runs, with the same number of parameters, metrics and tags; and a long history."""
    statement = f"""
        insert into runs (
            run_uuid, name, source_type, source_name, entry_point_name, user_id, status,
            start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id
        )
        select
            md5(n::text), 'run ' || n, 'LOCAL', '', '', 'somebody', 'FINISHED',
            n, n + 1000, '', 'active', 'mlflow-artifacts:/' || n, 0
        from generate_series(1, {runs}) as n
        union all
        select
            '{HISTORY_RUN}', 'history', 'LOCAL', '', '', 'somebody', 'RUNNING',
            0, null, '', 'active', 'mlflow-artifacts:/history', 0;
        insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
        select
            key, (hashint8extended(n, 60 + k) & 1048575) / 1048576.0, 0, 999, false, md5(n::text)
        from generate_series(1, {runs}) as n
        cross join (
            select case k when 1 then 'loss' when 2 then 'accuracy' else 'metric ' || k end, k
            from generate_series(1, 10) as k
        ) as metric (key, k);
        insert into metrics (key, value, timestamp, run_uuid, step, is_nan)
        select key, value, timestamp, run_uuid, step, is_nan from latest_metrics
        union all
        select 'loss', (step % 997) / 997.0, step, '{HISTORY_RUN}', step, false
        from generate_series(1, {points}) as step;
        insert into params (key, value, run_uuid)
        select 'parameter ' || k, (n * k)::text, md5(n::text)
        from generate_series(1, {runs}) as n
        cross join generate_series(1, 20) as k;
        insert into tags (key, value, run_uuid)
        select 'tag ' || k, (n % (k * 10))::text, md5(n::text)
        from generate_series(1, {runs}) as n
        cross join generate_series(1, 5) as k;
        analyze runs, metrics, latest_metrics, params, tags
    """  # noqa: S608
    url = database.url.replace("/postgres?", "/mlflow?")
    output_of([programs() / "psql", url, "-XAtqc", statement], limit_seconds=300)


CASES = (
    Case("mlflow", "What trackers are mostly asked for, beside MLflow on PostgreSQL", _mlflow),
)
