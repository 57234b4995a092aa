"""Searches for runs and lists of them, a hundred thousand of which have what searches read.

`NEEDLETAIL_BENCH_RUNS` makes fewer, for a quick look.
"""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from statistics import quantiles

from Benchmarks import wire
from Benchmarks.calls import Caller
from Benchmarks.cases import Bound, Case, Outcome, Settings
from Benchmarks.figures import MeasurementError, Round, Spread, alternate
from Benchmarks.people import another_organization, member_of
from Benchmarks.postgres import cluster
from Benchmarks.search_rows import SearchRows, fill
from Benchmarks.server import server

RUNS = 100_000
_RUNS_VARIABLE = "NEEDLETAIL_BENCH_RUNS"
# What the goal is of, and what nothing else may exceed.
_GOAL_MS, _AT_MOST_MS = 10.0, 100.0
_PAGE_SIZE = 100
_SERVICE = "needletail.tracking.v1.Tracking/"
_FAILED = 4
# The page whose beginning is far from that of the list.
_FAR_PAGE = 100


@dataclass(frozen=True, slots=True)
class Search:
    """A request for runs, or for how many there are."""

    name: str
    filter: str = ""
    order_by: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    project: str = ""
    page: int = 1
    is_count: bool = False
    at_most_ms: float = _AT_MOST_MS

    @property
    def method(self) -> str:
        """What is called."""
        return _SERVICE + ("CountRuns" if self.is_count else "SearchRuns")

    def request(self, token: str = "") -> bytes:
        """A CountRunsRequest or a SearchRunsRequest: both begin alike."""
        parts = wire.text_field(1, self.project)
        parts += b"".join(wire.text_field(2, one) for one in self.experiments)
        parts += wire.text_field(3, self.filter)
        if self.is_count:
            return parts
        parts += b"".join(wire.text_field(4, one) for one in self.order_by)
        return parts + wire.number_field(5, _PAGE_SIZE) + wire.text_field(6, token)


@dataclass(slots=True)
class Calls:
    """One kind of call, made again and again."""

    name: str
    caller: Caller
    method: str
    request: bytes
    found: set[int] = field(default_factory=set)

    def measure(self, seconds: float) -> Round:
        """Measures one round."""
        microseconds: list[float] = []
        start = time.perf_counter()
        while (now := time.perf_counter()) < start + seconds or len(microseconds) < 2:
            answer = self.caller.call(self.method, self.request)
            microseconds.append((time.perf_counter() - now) * 1e6)
        self.found.add(_found(answer))
        cuts = quantiles(microseconds, n=100, method="inclusive")
        return Round(len(microseconds) / (now - start), cuts[49], cuts[98])


def _found(answer: bytes) -> int:
    """How many rows a list has; of a count, what it says."""
    values = [value for number, value in wire.fields(answer) if number == 1]
    counts = [value for value in values if isinstance(value, int)]
    return counts[0] if counts else len(values)


_LOSS, _BY_LOSS = "metrics.accuracy > 0.9", ("metrics.loss",)


def searches(rows: SearchRows) -> Sequence[Search]:
    """What people ask for, from a whole project to one experiment."""
    big, many = (rows.experiment,), rows.experiments
    nested = (
        "(params.optimizer = 'adam' OR (params.optimizer = 'sgd' AND NOT (metrics.loss > 1 "
        "OR tags.stage = 'dev'))) AND (status = 'FINISHED' OR metrics.accuracy >= 0.8)"
    )
    metric = Search(
        "a metric, by it",
        "metrics.accuracy > 0.5",
        ("metrics.accuracy DESC",),
        at_most_ms=_GOAL_MS,
    )
    other = Search("a metric, by another", _LOSS, _BY_LOSS, at_most_ms=_GOAL_MS)
    return (
        metric,
        replace(metric, name="a metric, by it, whole project", project=rows.project),
        replace(metric, name="a metric, by it, one experiment", experiments=big),
        replace(metric, name="a metric, by it, 10 experiments", experiments=many),
        other,
        replace(other, name="a metric, by another, one experiment", experiments=big),
        Search("a metric, by another, few found", "metrics.accuracy > 0.995", _BY_LOSS),
        Search("a metric, by another, against it", "metrics.accuracy < 0.1", _BY_LOSS),
        Search("a metric, by another, against it, many", "metrics.accuracy < 0.4", _BY_LOSS),
        Search("a metric, by another, none found", "metrics.accuracy > 2", _BY_LOSS),
        Search("a metric of few runs, by another", "metrics.`rare 7` > 0.5", _BY_LOSS),
        Search("by a metric of few runs", "", ("metrics.`rare 7` DESC",)),
        Search(
            "two metrics, by time",
            "metrics.`metric 9` > 9000 AND metrics.loss < 0.1",
            ("start_time DESC",),
        ),
        Search("a parameter, by time", "params.optimizer = 'lion'", ("start_time DESC",)),
        Search("a parameter of one run, by time", "params.seed = '4711'", ("start_time DESC",)),
        Search(
            "a parameter of few, by time", "params.dataset = 'dataset 17'", ("start_time DESC",)
        ),
        Search("a parameter, by a parameter", "params.optimizer = 'lion'", ("params.dataset",)),
        Search("a tag like", "tags.note LIKE 'note on 00%'"),
        Search("a tag like, in its middle", "tags.note LIKE '% of the sweep 17%'"),
        Search("a tag like, in its middle, none found", "tags.note ILIKE '%nowhere%'"),
        Search("a tag like, by a metric", "tags.team LIKE 'team 1%'", _BY_LOSS),
        Search("a status, by creation", "status = 'FAILED'", ("creation_time DESC",)),
        Search("a rare status, by creation", "status = 'RUNNING'", ("creation_time DESC",)),
        Search("by end", "", ("end_time DESC",)),
        Search("by duration, a time", "start_time > 0", ("duration_ms DESC",)),
        Search("a name", "run_name LIKE 'run 99_99'"),
        Search("a metric or a tag", "metrics.loss < 0.001 OR tags.team = 'team 39'"),
        Search(
            "a metric or a tag, by a metric",
            "metrics.loss < 0.01 OR tags.team = 'team 39'",
            ("metrics.accuracy DESC",),
        ),
        Search("without a metric", "metrics.`rare 7` IS NULL"),
        Search("without a metric all have", "metrics.loss IS NULL"),
        Search("without a parameter, by a metric", "params.`rare 3` IS NULL", _BY_LOSS),
        Search("not a parameter", "NOT params.optimizer = 'adam'"),
        Search(
            "not a parameter, by a metric",
            "NOT (params.optimizer IN ('adam', 'sgd', 'adamw'))",
            _BY_LOSS,
        ),
        Search("nested", nested),
        Search("nested, by a metric", nested, _BY_LOSS),
        Search("a dataset, by time", "dataset.name = 'dataset 17'", ("start_time DESC",)),
        Search("a dataset, by a metric", "dataset.name = 'dataset 17'", _BY_LOSS),
        Search("a dataset's purpose, by a metric", "dataset.context = 'validation'", _BY_LOSS),
        Search("a dataset like", "dataset.name LIKE '%et 29_'"),
        Search("a dataset that none read", "dataset.digest = 'none'", ("start_time DESC",)),
        Search("without a dataset, by a metric", "dataset.name IS NULL", _BY_LOSS),
        Search("everything"),
        Search("everything, page 2", page=2),
        Search(f"everything, page {_FAR_PAGE}", page=_FAR_PAGE),
        replace(metric, name="a metric, by it, page 2", page=2),
        replace(metric, name=f"a metric, by it, page {_FAR_PAGE}", page=_FAR_PAGE),
        replace(other, name="a metric, by another, page 20", page=20, at_most_ms=_AT_MOST_MS),
        Search("count everything", is_count=True),
        Search("count a metric", "metrics.accuracy > 0.9", is_count=True),
        Search("count a parameter", "params.optimizer = 'lion'", is_count=True),
        Search("count nested", nested, is_count=True),
        Search("count a tag like", "tags.note LIKE '%ab%'", is_count=True),
        Search("count a dataset", "dataset.name = 'dataset 17'", is_count=True),
    )


def member_searches(searches: Sequence[Search]) -> Sequence[Search]:
    """What is also measured as somebody who only sees one project."""
    names = (
        "a metric, by it",
        "a metric, by another",
        "a parameter, by time",
        "a tag like",
        "a dataset, by time",
        "everything",
        "count a metric",
    )
    return [replace(one, name=f"member: {one.name}") for one in searches if one.name in names]


def _calls(caller: Caller, search: Search) -> Calls:
    """The search's page, found as a client finds it: of fewer runs the last one that there is."""
    token, reached = "", 1
    while reached < search.page:
        answer = dict(wire.fields(caller.call(search.method, search.request(token))))
        found = answer.get(2)
        if not isinstance(found, bytes):
            break
        token, reached = found.decode(), reached + 1
    name = search.name if reached == search.page else f"{search.name}: {reached}"
    return Calls(name, caller, search.method, search.request(token))


def _lists(caller: Caller, rows: SearchRows) -> Sequence[Calls]:
    """The lists that take no filter, or need none."""
    project = wire.text_field(1, rows.project)
    return (
        Calls("ListRuns", caller, _SERVICE + "ListRuns", b""),
        Calls(
            "ListRuns of an experiment",
            caller,
            _SERVICE + "ListRuns",
            wire.text_field(1, rows.experiment),
        ),
        Calls(
            "ListRuns of a project", caller, _SERVICE + "ListRuns", wire.text_field(2, rows.project)
        ),
        Calls("ListRuns of a status", caller, _SERVICE + "ListRuns", wire.number_field(3, _FAILED)),
        Calls(
            "ListRuns of an experiment and a status",
            caller,
            _SERVICE + "ListRuns",
            wire.text_field(1, rows.experiment) + wire.number_field(3, _FAILED),
        ),
        Calls("ListExperiments", caller, _SERVICE + "ListExperiments", project),
        Calls(
            "ListExperiments, filtered and sorted",
            caller,
            _SERVICE + "ListExperiments",
            wire.text_field(5, "name LIKE '%1%'") + wire.text_field(6, "name DESC"),
        ),
    )


def _logged_models(caller: Caller) -> Sequence[Calls]:
    """Searches for logged models, by the last of many values."""
    method = _SERVICE + "SearchLoggedModels"
    order = wire.message_field(5, wire.text_field(1, "metrics.accuracy DESC"))
    return (
        Calls("logged models, by a metric", caller, method, order),
        Calls(
            "logged models of a metric, by another",
            caller,
            method,
            wire.text_field(3, "metrics.loss < 0.5") + order,
        ),
    )


def _search(settings: Settings, outcome: Outcome) -> None:
    count = int(os.environ.get(_RUNS_VARIABLE, RUNS))
    with ExitStack() as stack:
        database = stack.enter_context(
            # Checkpoints while millions of rows are written are no part of what is measured.
            cluster(settings.work / "search-pg", options={"max_wal_size": "8GB"})
        )
        started = stack.enter_context(server(settings.work / "search", postgres=database.url))
        own = database.query("select id from organizations")[0][0]
        # Another one, with the same runs, which nothing that is asked for may find.
        rows = fill(database, organization_ids=[own, another_organization(started)], runs=count)
        endpoint = wire.Endpoint.of(started.connection)
        caller = stack.enter_context(Caller.of(endpoint))
        table = searches(rows)
        calls = [_calls(caller, search) for search in table]
        bounds = [search.at_most_ms for search in table]
        lists = _lists(caller, rows)
        calls += lists
        bounds += [_GOAL_MS] * len(lists)
        models = _logged_models(caller)
        calls += models
        bounds += [_AT_MOST_MS] * len(models)
        member = member_of(started, rows.project)
        own_caller = stack.enter_context(Caller.of(member))
        seen = member_searches(table)
        calls += [_calls(own_caller, search) for search in seen]
        bounds += [search.at_most_ms for search in seen]
        outcome.standings = alternate(calls, pairs=settings.pairs, seconds=settings.seconds)
    for call, standing, at_most in zip(calls, outcome.standings, bounds, strict=True):
        latency = standing.latency(lambda one: one.p50_us)
        if latency is None:
            raise MeasurementError(f"{call.name}: no latencies")
        spread = Spread(latency.median / 1e3, latency.least / 1e3, latency.greatest / 1e3)
        found = "/".join(map(str, sorted(call.found)))
        outcome.bounds.append(Bound(f"{call.name} ({found} found), p50", "ms", spread, at_most))
    if count != RUNS:
        outcome.notes.append(f"measured with {count:,} runs")


CASES = (Case("search", f"Searches among {RUNS:,} runs, by metrics, parameters and tags", _search),)
