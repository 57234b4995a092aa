"""Runs against a peer that keeps points and fails on demand."""

from __future__ import annotations

import itertools
import logging
import math
import threading
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from tracking_peer import PROJECT, Store, TrackingScript

import needletail

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from peer import Peer

    MakePeer = Callable[..., Peer]
    StartRun = Callable[..., needletail.ActiveRun]


class Index:
    """An integer that isn't `int`, as NumPy's are."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value


NumpyBool = type("bool_", (), {"__float__": lambda _: 1.0})


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.segment"))


def test_points_arrive_with_step_time_and_value(
    store: Store, make_peer: MakePeer, start_run: StartRun, tmp_path: Path
) -> None:
    peer = make_peer(TrackingScript(store))
    with start_run(peer.port, project="default", name="first") as run:
        assert run.id in store.runs
        assert run.name == "first"
        run.log({"loss": 0.5, "accuracy": 1}, step=7)
        run.log({"loss": Fraction(1, 4)})
        run.log({"loss": math.nan}, step=Index(-3))
        run.log({"loss": -math.inf})
    steps = [(step, repr(value)) for step, value in store.values()]
    assert steps == [(7, "0.5"), (8, "0.25"), (-3, "nan"), (-2, "-inf")]
    assert store.values("accuracy") == [(7, 1.0)]
    assert all(time_us > 1_700_000_000_000_000 for _, _, _, time_us, _ in store.points)
    assert [(f.id, f.status) for f in store.finishes] == [(run.id, 3)]
    assert not left_in(tmp_path)
    assert not list((tmp_path / "spool").iterdir())


@pytest.mark.parametrize(
    ("metrics", "step", "error"),
    [
        ({"a": True}, 0, TypeError),
        ({"a": NumpyBool()}, 0, TypeError),
        ({"a": "1"}, 0, TypeError),
        ({"a": None}, 0, TypeError),
        ({1: 1.0}, 0, TypeError),
        ([("a", 1.0)], 0, TypeError),
        ({"a": 1.0}, "3", TypeError),
        ({"\ud800": 1.0}, 0, ValueError),
        ({"": 1.0}, 0, ValueError),
        ({"x" * 251: 1.0}, 0, ValueError),
        ({"a\nb": 1.0}, 0, ValueError),
        ({"a": 1.0}, 1 << 63, ValueError),
        ({"a": 1.0}, -(1 << 63) - 1, ValueError),
        ({"a": 1.0}, True, TypeError),
        ({"a": 1.0}, 1.0, TypeError),
    ],
)
def test_what_is_no_metric_is_refused_at_once(
    store: Store,
    make_peer: MakePeer,
    start_run: StartRun,
    metrics: Any,
    step: Any,
    error: type[Exception],
) -> None:
    with start_run(make_peer(TrackingScript(store)).port) as run:
        # It names what is wrong, not what Python met.
        with pytest.raises(error, match=r"^(a: a value|a metric's key|a step|metrics) "):
            run.log(metrics, step=step)
        with pytest.raises(TypeError, match="a line is text, not int"):
            run.log_line(5)  # type: ignore[arg-type]
        run.log({"loss": 1e308, "big": 10**400}, step=(1 << 63) - 1)
        with pytest.raises(ValueError, match="64 bits"):
            run.log({"loss": 0.0})
    assert store.values() == [((1 << 63) - 1, 1e308)]
    assert store.values("big") == [((1 << 63) - 1, math.inf)]


def test_numpys_numbers_are_numbers(store: Store, make_peer: MakePeer, start_run: StartRun) -> None:
    np = pytest.importorskip("numpy")
    with start_run(make_peer(TrackingScript(store)).port) as run:
        run.log({"loss": np.float32(0.5)}, step=np.int64(4))
        run.log({"loss": np.array(3)})
        with pytest.raises(TypeError):
            run.log({"loss": np.True_})
    assert store.values() == [(4, 0.5), (5, 3.0)]


def test_the_experiment_is_found_by_name_or_created_once(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    peer = make_peer(TrackingScript(store))
    threads = [
        threading.Thread(target=lambda: start_run(peer.port, project=PROJECT).finish())
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    start_run(peer.port, experiment="DIGITS").finish()
    assert list(store.experiments) == ["digits"]
    assert len(store.runs) == len(store.finishes) == 5


def test_a_project_that_is_not_there_is_an_error_at_once(
    store: Store, make_peer: MakePeer, start_run: StartRun, tmp_path: Path
) -> None:
    peer = make_peer(TrackingScript(store))
    with pytest.raises(needletail.NotFoundError, match="default"):
        start_run(peer.port, project="nowhere")
    assert not list((tmp_path / "spool").iterdir())


def test_an_exception_fails_the_run_and_an_interrupt_cancels_it(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    peer = make_peer(TrackingScript(store))
    for error in (
        ZeroDivisionError(), KeyboardInterrupt(), SystemExit(), SystemExit(0), SystemExit(1),
        SystemExit("no data"),
    ):  # fmt: skip
        with pytest.raises(type(error)), start_run(peer.port) as run:
            run.log({"loss": 1})
            raise error
    assert [finish.status for finish in store.finishes] == [4, 5, 3, 3, 4, 4]
    with pytest.raises(RuntimeError):
        run.log({"loss": 1})


def test_many_points_are_cut_into_batches(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    with start_run(make_peer(TrackingScript(store)).port, flush_seconds=0.2) as run:
        for index in range(30_000):
            run.log({"loss": index})
    assert store.values() == [(index, float(index)) for index in range(30_000)]
    assert 3 <= store.commits <= 100
    assert run.acknowledged_points == 30_000


def test_logging_goes_on_from_many_threads(
    store: Store, make_peer: MakePeer, start_run: StartRun, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with start_run(make_peer(TrackingScript(store)).port) as run:

        def work(number: int) -> None:
            for index in range(500):
                run.log({f"m{number}": index})

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    steps = list(itertools.chain.from_iterable(store.values(f"m{n}") for n in range(8)))
    assert sorted(step for step, _ in steps) == list(range(4000))
    for number in range(8):
        assert [value for _, value in store.values(f"m{number}")] == list(range(500))
    assert not caplog.records
