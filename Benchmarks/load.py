"""What a load program reports: one JSON object with calls, seconds, rate, latencies and errors."""

import json

from Benchmarks.figures import MeasurementError, Round


def parse_load(text: str) -> Round:
    """Reads the report of `needletail load … --json`, or of a peer's client that does the same."""
    try:
        report = json.loads(text.strip().splitlines()[-1])
        rate, errors = float(report["calls_per_second"]), int(report["errors"])
        p50, p99 = float(report["p50_us"]), float(report["p99_us"])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise MeasurementError(f"not a load report: {text.strip()[-300:]!r}") from error
    if errors > 0:
        raise MeasurementError(f"{errors} calls failed")
    return Round(rate, p50, p99)
