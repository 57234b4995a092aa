"""Pages of one organization's audit log, among millions of entries of many.

`NEEDLETAIL_BENCH_AUDIT_ROWS` makes fewer, for a quick look.
"""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import quantiles

from Benchmarks import wire
from Benchmarks.audit_rows import AuditRows, fill
from Benchmarks.calls import Caller
from Benchmarks.cases import Bound, Case, Outcome, Settings
from Benchmarks.figures import MeasurementError, Round, Spread, alternate
from Benchmarks.postgres import cluster
from Benchmarks.server import server

ROWS = 10_000_000
_ROWS_VARIABLE = "NEEDLETAIL_BENCH_AUDIT_ROWS"
_AT_MOST_MS = 5.0
_LIST = "needletail.identity.v1.Identity/ListAuditLogs"
# The server's default, and what it gives at most.
_PAGE_SIZE = 100
_PAGE_SIZE_MAX = 1_000
# Of ListAuditLogsRequest, AuditLogFilter and ListAuditLogsResponse.
_FILTER, _SIZE, _TOKEN = 1, 2, 3
_ENTRIES, _NEXT_TOKEN = 1, 2


@dataclass(slots=True)
class Listing:
    """One kind of page, asked for again and again."""

    name: str
    caller: Caller
    request: bytes
    rows: set[int] = field(default_factory=set)

    def measure(self, seconds: float) -> Round:
        """Measures one round."""
        microseconds: list[float] = []
        start = time.perf_counter()
        while (now := time.perf_counter()) < start + seconds or len(microseconds) < 2:
            answer = self.caller.call(_LIST, self.request)
            microseconds.append((time.perf_counter() - now) * 1e6)
        self.rows.add(sum(1 for number, _ in wire.fields(answer) if number == _ENTRIES))
        cuts = quantiles(microseconds, n=100, method="inclusive")
        return Round(len(microseconds) / (now - start), cuts[49], cuts[98])


def _request(entry_filter: bytes = b"", *, size: int = _PAGE_SIZE, token: str = "") -> bytes:
    parts = wire.message_field(_FILTER, entry_filter) if entry_filter else b""
    return parts + wire.number_field(_SIZE, size) + wire.text_field(_TOKEN, token)


def _time_range(rows: AuditRows, start: float, end: float) -> bytes:
    """Parts of the whole time, from 0 to 1."""
    span = rows.last - rows.first
    return b"".join(
        wire.message_field(number, wire.number_field(1, round(rows.first + part * span)))
        for number, part in ((7, start), (8, end))
    )


def _filters(rows: AuditRows) -> Sequence[tuple[str, bytes]]:
    actor = wire.text_field(1, rows.common_actor)
    return (
        ("the first page", b""),
        ("an actor of many entries", actor),
        ("an actor of few entries", wire.text_field(1, rows.rare_actor)),
        ("an actor of none", wire.text_field(1, "00000000-0000-4000-8000-0000000000ff")),
        ("an API key", wire.text_field(2, rows.api_key)),
        ("an action", wire.text_field(3, "run.update")),
        ("an action of none", wire.text_field(3, "run.pause")),
        ("actions of a resource", wire.text_field(3, "member.*")),
        ("actions of a resource of none", wire.text_field(3, "model.*")),
        ("a resource type", wire.text_field(4, "project")),
        ("a resource", wire.text_field(5, rows.resource)),
        ("refusals", wire.number_field(6, 2)),
        ("a time range", _time_range(rows, 0.3, 0.31)),
        (
            "a time range, an actor and an action",
            _time_range(rows, 0.2, 0.6) + actor + wire.text_field(3, "run.delete"),
        ),
    )


def _middle(caller: Caller, rows: AuditRows) -> bytes:
    """The page in the middle, found as a client finds it."""
    half = rows.rows // 20
    token, request = "", b""
    for _ in range(max(half // _PAGE_SIZE_MAX, 1)):
        request = _request(size=_PAGE_SIZE_MAX, token=token)
        answer = dict(wire.fields(caller.call(_LIST, request)))
        found = answer.get(_NEXT_TOKEN)
        if not isinstance(found, bytes):
            raise MeasurementError("the audit log ends before its middle")
        token = found.decode()
    return _request(token=token)


def _audit_listing(settings: Settings, outcome: Outcome) -> None:
    count = int(os.environ.get(_ROWS_VARIABLE, ROWS))
    with ExitStack() as stack:
        database = stack.enter_context(
            # Checkpoints while millions of rows are written are no part of what is measured.
            cluster(settings.work / "listing-pg", options={"max_wal_size": "8GB"})
        )
        started = stack.enter_context(server(settings.work / "listing", postgres=database.url))
        own = database.query("select id from organizations")[0][0]
        rows = fill(database, organization_id=own, rows=count)
        endpoint = wire.Endpoint.of(started.connection)
        caller = stack.enter_context(Caller.of(endpoint))
        listings = [Listing(name, caller, _request(one)) for name, one in _filters(rows)]
        listings.insert(1, Listing("a page in the middle", caller, _middle(caller, rows)))
        outcome.standings = alternate(listings, pairs=settings.pairs, seconds=settings.seconds)
    for listing, standing in zip(listings, outcome.standings, strict=True):
        latency = standing.latency(lambda one: one.p50_us)
        if latency is None:
            raise MeasurementError(f"{listing.name}: no latencies")
        spread = Spread(latency.median / 1e3, latency.least / 1e3, latency.greatest / 1e3)
        found = "/".join(map(str, sorted(listing.rows)))
        outcome.bounds.append(
            Bound(f"{listing.name} ({found} rows), p50", "ms", spread, _AT_MOST_MS)
        )
    if count != ROWS:
        outcome.notes.append(f"measured with {count:,} entries")


CASES = (
    Case(
        "audit-listing",
        f"Pages of an audit log of {ROWS // 10:,} entries among {ROWS:,}",
        _audit_listing,
    ),
)
