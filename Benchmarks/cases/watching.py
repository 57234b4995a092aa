"""How soon whoever watches a run hears of what was committed."""

from contextlib import ExitStack
from statistics import quantiles

from Benchmarks.cases import Bound, Case, Outcome, Settings
from Benchmarks.figures import Spread
from Benchmarks.postgres import cluster
from Benchmarks.sdk_programs import times
from Benchmarks.server import server

_AT_MOST_MS = 50.0
_BATCHES_A_SECOND = 40


def _watch_live(settings: Settings, outcome: Outcome) -> None:
    batches = max(50, int(settings.seconds * _BATCHES_A_SECOND))
    with ExitStack() as stack:
        database = stack.enter_context(cluster(settings.work / "watch-pg"))
        started = stack.enter_context(server(settings.work / "watch", postgres=database.url))
        rounds = [
            times("watch_reader.py", started, settings.work, batches) for _ in range(settings.pairs)
        ]
    for name in rounds[0]:
        cuts = [quantiles(one[name], n=100, method="inclusive") for one in rounds]
        for percentile in (50, 99):
            spread = Spread.of([one[percentile - 1] for one in cuts])
            what = f"{name}, p{percentile} from the acknowledgement to the watcher"
            outcome.bounds.append(Bound(what, "ms", spread, _AT_MOST_MS))


CASES = (Case("watch-live", "WatchRun and WatchLogs, a batch at a time", _watch_live),)
