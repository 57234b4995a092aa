"""Histories: columns put together from messages, as lists, arrays and tables."""

from __future__ import annotations

import math
from array import array
from typing import Any

import pytest

from needletail import histories
from needletail._generated.descriptors import message_class
from needletail._generated.tracking import StreamMetricHistoriesRequest

PART = message_class("needletail.tracking.v1.StreamMetricHistoriesResponse")
LIKE = StreamMetricHistoriesRequest(from_step=5)
LARGEST, SMALLEST = (1 << 63) - 1, -(1 << 63)


def part(run_id: str, key: str, *points: tuple[int, int, float]) -> Any:
    message = PART(run_id=run_id)
    message.series.key = key
    message.series.steps.extend(point[0] for point in points)
    message.series.times_us.extend(point[1] for point in points)
    message.series.values.extend(point[2] for point in points)
    return PART.FromString(message.SerializeToString())


def collected(*parts: Any) -> histories.Histories:
    collector = histories.Collector()
    for one in parts:
        collector.add(one)
    return collector.finish()


def test_parts_of_one_metric_are_one_history() -> None:
    found = collected(
        part("a", "loss", (1, 10, 0.5), (2, 20, 0.25)),
        part("b", "loss", (7, 70, 7.0)),
        part("a", "loss", (3, 30, 0.125)),
    )
    assert found["a", "loss"].points() == [(1, 10, 0.5), (2, 20, 0.25), (3, 30, 0.125)]
    assert list(found) == [("a", "loss"), ("b", "loss")]
    assert found.point_count == 4


def test_every_number_comes_as_it_was() -> None:
    values = [math.inf, -math.inf, -0.0, 5e-324]
    points = [(SMALLEST, 0, values[0]), (-1, 1, values[1]), (0, 2, values[2])]
    points.append((LARGEST, 253_402_300_799_999_999, values[3]))
    history = collected(part("a", "loss", *points))["a", "loss"]
    assert history.points() == points
    assert math.copysign(1, history.values[2]) == -1
    assert math.isnan(collected(part("a", "loss", (0, 0, math.nan)))["a", "loss"].values[0])


def test_arrays_share_their_memory_with_the_columns() -> None:
    history = collected(part("a", "loss", (1, 10, 0.5), (2, 20, 0.25)))["a", "loss"]
    steps, times, values = history.to_numpy()
    assert [one.dtype.name for one in (steps, times, values)] == ["int64", "int64", "float64"]
    assert (steps.tolist(), times.tolist(), values.tolist()) == ([1, 2], [10, 20], [0.5, 0.25])
    history.values[0] = 9.0
    assert values[0] == 9.0


def test_a_protobuf_that_does_not_show_its_memory_is_read_all_the_same() -> None:
    column = array("d", [1.0])
    histories.extend(column, [2.0, 3.0])
    assert column.tolist() == [1.0, 2.0, 3.0]


def test_a_metric_without_points_is_empty() -> None:
    collector = histories.Collector()
    collector.expect("a", "nothing")
    history = collector.finish()["a", "nothing"]
    assert (len(history), history.points()) == (0, [])
    assert [column.size for column in history.to_numpy()] == [0, 0, 0]


def test_many_runs_and_keys_are_asked_for_in_several_calls() -> None:
    runs = [f"run {number}" for number in range(101)]
    keys = [f"key {number}" for number in range(250)]
    made = list(histories.requests([*runs, runs[0]], [*keys, keys[0]], LIKE))
    assert [(len(one.run_ids), len(one.keys)) for one in made] == [
        (100, 100), (100, 100), (100, 50), (1, 100), (1, 100), (1, 50),
    ]  # fmt: skip
    assert {one.from_step for one in made} == {5}
    asked = {(run, key) for one in made for run in one.run_ids for key in one.keys}
    assert asked == {(run, key) for run in runs for key in keys}


def test_a_table_has_a_row_for_each_point() -> None:
    pandas = pytest.importorskip("pandas")
    table = collected(
        part("a", "loss", (1, 1_000_000, 0.5), (2, 2_000_000, 0.25)),
        part("b", "loss", (7, 0, math.nan)),
    ).to_pandas()
    assert list(table.columns) == ["run_id", "key", "step", "time", "value"]
    assert table["run_id"].tolist() == ["a", "a", "b"]
    assert table["step"].tolist() == [1, 2, 7]
    assert table["time"][1] == pandas.Timestamp(2, unit="s", tz="UTC")
    assert collected().to_pandas().empty


def test_a_fork_that_lacks_points_says_so() -> None:
    lacking = part("fork", "loss")
    lacking.lacks_inherited = True
    whole = part("whole", "loss", (1, 10, 0.5))
    more = part("fork", "accuracy", (5, 50, 0.5))
    found = collected(lacking, whole, more)
    assert found.lacking_run_ids == ("fork",)
    assert [one.lacks_inherited for one in found.values()] == [True, False, True]
    assert found["fork", "accuracy"].points() == [(5, 50, 0.5)]
    assert collected(whole).lacking_run_ids == ()
