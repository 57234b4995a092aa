"""Encodes points the way a server does, for the statements that store them."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenants import uuid7

if TYPE_CHECKING:
    from collections.abc import Callable

INT32, INT64 = 2**31, 2**63
Point = tuple[int, int, float]


@dataclass(frozen=True, slots=True)
class Column:
    """One column in the smallest of its three forms."""

    form: int
    first: int
    stride: int
    offsets: list[int]
    wide: list[int]

    @classmethod
    def of(cls, numbers: list[int]) -> Column:
        """Regular, else 32-bit offsets, else as they are."""
        first = numbers[0]
        strides = {b - a for a, b in itertools.pairwise(numbers)} or {0}
        if len(strides) == 1 and -INT64 <= numbers[-1] - first < INT64:
            return cls(0, first, strides.pop(), [], [])
        offsets = [number - first for number in numbers]
        if all(-INT32 <= offset < INT32 for offset in offsets):
            return cls(1, first, 0, offsets, [])
        return cls(2, first, 0, [], numbers)


def chunk_parameters(series: list[tuple[Any, str, list[Point]]], epoch: int = 0) -> dict[str, Any]:
    """Return insertMetricChunks' arrays for (run, key, points) series."""
    parameters: dict[str, list[Any]] = defaultdict(list)
    for pool in ("step_offsets", "wide_steps", "time_offsets_us", "wide_times_us"):
        parameters[pool] = []
    for run_id, key, points in series:
        steps = Column.of([point[0] for point in points])
        times = Column.of([point[1] for point in points])
        numbers = [point[2] for point in points if not math.isnan(point[2])] or [math.nan]
        for name, value in {
            "ids": uuid7(), "run_ids": run_id, "keys": key, "point_counts": len(points),
            "min_steps": min(point[0] for point in points),
            "max_steps": max(point[0] for point in points),
            "step_forms": steps.form, "first_steps": steps.first, "step_strides": steps.stride,
            "time_forms": times.form, "first_times_us": times.first,
            "time_strides_us": times.stride,
            "min_values": min(numbers), "max_values": max(numbers), "epochs": epoch,
        }.items():  # fmt: skip
            parameters[name].append(value)
        parameters["step_offsets"] += steps.offsets
        parameters["wide_steps"] += steps.wide
        parameters["time_offsets_us"] += times.offsets
        parameters["wide_times_us"] += times.wide
        parameters["point_values"] += [point[2] for point in points]
        parameters["step_ends"].append(
            len(parameters["wide_steps" if steps.wide else "step_offsets"])
        )
        parameters["time_ends"].append(
            len(parameters["wide_times_us" if times.wide else "time_offsets_us"])
        )
        parameters["value_ends"].append(len(parameters["point_values"]))
    return parameters


def extreme_step(points: list[Point], extreme: Callable[[list[float]], float]) -> int | None:
    """Return the first step of the least or greatest number; None without a number."""
    numbers = [value for _, _, value in points if not math.isnan(value)]
    if not numbers:
        return None
    return min(step for step, _, value in points if value == extreme(numbers))


def summary_parameters(series: list[tuple[Any, str, list[Point]]]) -> dict[str, Any]:
    """Return upsertMetricSummaries' arrays for the same series."""
    chunks = chunk_parameters(series)

    def rank(point: Point) -> tuple[int, int, bool, float]:
        return (point[0], point[1], math.isnan(point[2]), point[2])

    values = [[p[2] for p in points if not math.isnan(p[2])] for _, _, points in series]
    last = [max(points, key=rank) for _, _, points in series]
    return {
        "run_ids": chunks["run_ids"], "keys": chunks["keys"],
        "point_counts": chunks["point_counts"], "first_steps": chunks["min_steps"],
        "last_steps": [point[0] for point in last],
        "last_times_us": [point[1] for point in last],
        "last_values": [point[2] for point in last],
        "min_values": chunks["min_values"], "max_values": chunks["max_values"],
        "number_counts": [len(numbers) for numbers in values],
        "value_sums": [sum(numbers, 0.0) for numbers in values],
        "min_steps": [extreme_step(points, min) or 0 for _, _, points in series],
        "max_steps": [extreme_step(points, max) or 0 for _, _, points in series],
    }  # fmt: skip
