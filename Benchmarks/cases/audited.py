"""What the promises of a change cost: audit entry, event and idempotency record in its transaction.

In plain SQL, by pgbench, so that the server's own work is in neither side. Each transaction is sent
as the server sends it, in one round trip.
"""

from contextlib import ExitStack

from Benchmarks.cases import Case, Comparison, Outcome, Settings
from Benchmarks.cases.runs import CreateRunPgbench, bench, create_run_script
from Benchmarks.figures import Contender, Standing, alternate
from Benchmarks.server import Load

_LATENCY_AT_MOST = 1.6
_THROUGHPUT_AT_LEAST = 0.5
_CLIENTS = 32


def _audited_mutation(settings: Settings, outcome: Outcome) -> None:
    with ExitStack() as stack:
        made = stack.enter_context(bench(settings, "audited"))
        ids = made.ids()
        scripts = {}
        for name, is_journaled in (("audited", True), ("bare", False)):
            scripts[name] = settings.work / f"{name}.sql"
            scripts[name].write_text(
                create_run_script(is_journaled=is_journaled, is_pipelined=True), encoding="utf-8"
            )

        def measure(contenders: list[Contender]) -> list[Standing]:
            standings = alternate(contenders, pairs=settings.pairs, seconds=settings.seconds)
            outcome.standings += standings
            return standings

        def in_sql(clients: int) -> list[Standing]:
            threads = min(clients, settings.cores)
            return measure(
                [
                    CreateRunPgbench(
                        made.database.url, path, threads, ids, clients, f"{name} transaction"
                    )
                    for name, path in scripts.items()
                ]
            )

        audited, bare = in_sql(1)
        outcome.comparisons.append(
            # One client has one transaction under way: the rates' ratio is the latencies'.
            Comparison(
                "the bare one: latency, 1 client",
                bare.ratio_to(audited),
                at_most=_LATENCY_AT_MOST,
            )
        )
        audited, bare = in_sql(_CLIENTS)
        outcome.comparisons.append(
            Comparison(
                f"the bare one: throughput, {_CLIENTS} clients",
                audited.ratio_to(bare),
                at_least=_THROUGHPUT_AT_LEAST,
            )
        )
        keyed, unkeyed = measure(
            [
                Load(made.server, "create-run", _CLIENTS, 1),
                Load(made.server, "create-run", _CLIENTS, 1, options=("--unkeyed",)),
            ]
        )
        outcome.comparisons.append(
            Comparison("the server without an idempotency key", keyed.ratio_to(unkeyed))
        )


CASES = (
    Case(
        "audited-mutation",
        "A change with audit, event and idempotency rows, beside the same without, in SQL",
        _audited_mutation,
    ),
)
