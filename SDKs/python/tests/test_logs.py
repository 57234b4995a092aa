"""The log of a run: lines by hand, from the console and from `logging`, each exactly once."""

from __future__ import annotations

import itertools
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracking_peer import Store, TrackingScript, message

import needletail
from needletail._runs import lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from peer import Peer

    MakePeer = Callable[..., Peer]
    StartRun = Callable[..., needletail.ActiveRun]


def texts(store: Store, stream: str = "stdout") -> list[str]:
    return [line for _, _, name, _, line in store.lines if name == stream]


def test_lines_arrive_with_level_stream_and_rank(
    store: Store, make_peer: MakePeer, start_run: StartRun, tmp_path: Path
) -> None:
    with start_run(make_peer(TrackingScript(store)).port, rank=3) as run:
        run.log_line("one")
        run.log_line("two\nthree\n", level="warning", stream="stderr")
        run.log_line("", level=logging.CRITICAL)
        run.log_line("custom", level=35)
    assert store.lines == [
        (run.id, 3, "stdout", 0, "one"),
        (run.id, 3, "stderr", 3, "two"),
        (run.id, 3, "stderr", 3, "three"),
        (run.id, 3, "stdout", 5, ""),
        (run.id, 3, "stdout", 3, "custom"),
    ]
    summary = run.finish()
    assert (summary.acknowledged_lines, summary.unsent_lines, summary.lost_lines) == (5, 0, 0)
    assert summary.is_finished
    assert not list((tmp_path / "spool").iterdir())


def test_what_is_no_text_is_replaced_and_what_is_too_long_goes_on(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    with start_run(make_peer(TrackingScript(store)).port) as run:
        run.log_line("a\0b")
        run.log_line(b"\xff".decode("utf-8", "surrogateescape"))
        run.log_line("é" * 40_000)
        run.log_line("\x1b[0m\r\t")
    found = texts(store)
    assert found[:2] == ["a\N{REPLACEMENT CHARACTER}b", "?"]
    assert [len(line.encode()) for line in found[2:4]] == [1 << 16, 80_000 - (1 << 16)]
    assert "".join(found[2:4]) == "é" * 40_000
    assert found[4] == "\x1b[0m\r\t"


@pytest.mark.parametrize(
    "wrong", [{"level": "loud"}, {"stream": ""}, {"stream": "a\n"}, {"stream": "x" * 65}]
)
def test_what_is_no_line_is_refused_at_once(
    store: Store, make_peer: MakePeer, start_run: StartRun, wrong: dict[str, Any]
) -> None:
    with start_run(make_peer(TrackingScript(store)).port) as run:
        with pytest.raises(ValueError, match=r"level|stream"):
            run.log_line("x", **wrong)
        run.log_line("good")
    assert texts(store) == ["good"]
    with pytest.raises(RuntimeError, match="finished"):
        run.log_line("late")


def test_the_console_goes_to_the_log_and_to_where_it_went(
    store: Store, make_peer: MakePeer, start_run: StartRun, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.stdout, sys.stderr
    with start_run(make_peer(TrackingScript(store)).port, capture_console=True):
        print("a", "b")
        print("half", end="")
        print(" and half\nrest", end="")
        print("bad", file=sys.stderr)
        assert sys.stdout.isatty() is before[0].isatty()
    assert (sys.stdout, sys.stderr) == before
    print("after")
    assert texts(store) == ["a b", "half and half", "rest"]
    assert texts(store, "stderr") == ["bad"]
    assert capsys.readouterr() == ("a b\nhalf and half\nrestafter\n", "bad\n")


def test_records_of_logging_go_to_the_log(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    logger = logging.getLogger("training")
    with start_run(make_peer(TrackingScript(store)).port) as run:
        handler = needletail.LogHandler(run, logging.WARNING)
        logger.addHandler(handler)
        try:
            logger.info("too little")
            logger.warning("epoch %d", 1)
            logger.error("gone")
        finally:
            logger.removeHandler(handler)
    handler.handle(logging.makeLogRecord({"msg": "after the end"}))
    assert [line[2:] for line in store.lines] == [("logging", 3, "epoch 1"), ("logging", 4, "gone")]


def test_every_line_is_stored_once_over_cut_connections(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    looks = itertools.count(1)
    store.fault = lambda point: "before" in point and next(looks) % 7 == 0
    with start_run(make_peer(TrackingScript(store)).port, flush_seconds=0.001) as run:
        for number in range(300):
            run.log_line(str(number))
            run.log({"loss": number})
            if number % 10 == 0:
                run.flush()
    assert texts(store) == [str(number) for number in range(300)]
    assert [value for _, value in store.values()] == list(range(300))


def test_what_is_left_is_sent_by_sync_before_the_run_ends(
    store: Store,
    make_peer: MakePeer,
    start_run: StartRun,
    connect: Callable[..., needletail.Client],
    tmp_path: Path,
) -> None:
    peer = make_peer(TrackingScript(store))
    store.fault = lambda point: point == "before commit"
    run = start_run(peer.port)
    run.log({"loss": 1.0})
    run.log_line("kept")
    summary = run.finish(timeout_seconds=0.1)
    assert (summary.unsent_points, summary.unsent_lines, summary.is_finished) == (1, 1, False)
    assert not store.finishes
    with connect(peer) as client:
        reports = needletail.sync(spool_dir=tmp_path / "spool", client=client, timeout_seconds=0.3)
        assert all(report.problem for report in reports)
        assert not store.finishes
        store.fault = lambda _: False
        reports = needletail.sync(spool_dir=tmp_path / "spool", client=client)
    assert [(report.sent_points, report.problem) for report in reports] == [(1, ""), (1, "")]
    assert texts(store) == ["kept"]
    assert len(store.finishes) == 1


def test_a_forked_child_writes_its_own_lines(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    with start_run(make_peer(TrackingScript(store)).port) as run:
        run.log_line("parent")
        assert run.flush()
        child = os.fork()
        if child == 0:
            run.log_line("child")
            os._exit(0 if run.finish().acknowledged_lines == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        run.log_line("parent again")
    assert texts(store) == ["parent", "child", "parent again"]
    assert len(store.finishes) == 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.lists(st.tuples(st.sampled_from("abcdefghijklmnopqrst"), st.text(max_size=40))),
        )
    )
)
def test_batches_hold_every_line_in_order(entries: list[tuple[int, list[tuple[str, str]]]]) -> None:
    found: list[tuple[int, str, str]] = []
    count = 0
    for lines_in, data in lines.cut_lines(((level, 7, of) for level, of in entries), rank=2):
        run = message("RunLogs", data)
        assert len(run.stream_names) <= lines.MAX_BATCH_STREAMS
        text, start = run.text.encode(), 0
        for index, length in enumerate(run.text_bytes):
            stream = run.stream_names[run.streams[index] if run.streams else 0]
            line = text[start : start + length].decode()
            start += length
            found.append((run.levels[index] if run.levels else 0, stream, line))
        count += lines_in
    wanted = [
        (level, stream, line.replace("\0", "\N{REPLACEMENT CHARACTER}"))
        for level, of in entries
        for stream, line in of
    ]
    assert found == wanted
    assert count == len(wanted)


def test_batches_keep_within_the_servers_bounds() -> None:
    many = [(0, 7, [("a", "x")] * 25_000)]
    sizes = [len(message("RunLogs", data).text_bytes) for _, data in lines.cut_lines(many, rank=0)]
    assert sizes == [10_000, 10_000, 5_000]
    long = [(0, 7, [("a", "x" * 60_000)] * 40)]
    sizes = [len(message("RunLogs", data).text) for _, data in lines.cut_lines(long, rank=0)]
    assert max(sizes) <= 1 << 20
    assert sum(sizes) == 40 * 60_000


@pytest.mark.parametrize(
    ("variables", "rank"),
    [
        ({}, 0),
        ({"RANK": "5"}, 5),
        ({"SLURM_PROCID": "6"}, 6),
        ({"RANK": "x", "OMPI_COMM_WORLD_RANK": "7"}, 7),
        ({"RANK": "1000000"}, 0),
    ],
)
def test_the_launcher_says_the_rank(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], rank: int
) -> None:
    for name in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert lines.own_rank() == rank
