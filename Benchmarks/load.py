"""What a load program reports: one JSON object with calls, seconds, rate, latencies and errors."""

import json

from Benchmarks.figures import MeasurementError, Round


def parse_load(text: str, *, rate: str = "calls_per_second") -> Round:
    """Reads the report of `needletail load … --json`, or of a peer's client that does the same.

    The rate is the one that the report calls so.
    """
    try:
        report = json.loads(text.strip().splitlines()[-1])
        per_second, errors = float(report[rate]), int(report["errors"])
        p50, p99 = float(report["p50_us"]), float(report["p99_us"])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise MeasurementError(f"not a load report: {text.strip()[-300:]!r}") from error
    if errors > 0:
        raise MeasurementError(f"{errors} calls failed")
    return Round(per_second, p50, p99)
