"""Log lines: appended exactly once, followed live, searched by text and level."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from wire import Wire, message

if TYPE_CHECKING:
    from collections.abc import Iterator

    import needletail
    from program import Connection, UpServer

INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION = 3, 5, 9
TIME_US = 1_800_000_000_000_000
LAST_TIME_US = 253_402_300_799_999_999
DEBUG, INFO, WARNING, ERROR, CRITICAL = 1, 2, 3, 4, 5


def run_logs(run_id: str, *texts: str, **columns: Any) -> Any:
    encoded = [text.encode() for text in texts]
    return message(
        "RunLogs", run_id=run_id, text="".join(texts), text_bytes=[len(one) for one in encoded],
        **columns,
    )  # fmt: skip


def batch(sequence: int, *runs: Any, writer: str = "") -> Any:
    return message("AppendLogsRequest", writer_id=writer, sequence=sequence, runs=runs)


class Writer:
    """One stream of AppendLogs."""

    def __init__(self, wire: Wire, writer_id: str | None = None) -> None:
        self.wire = wire
        self.id = writer_id or str(uuid.uuid4())
        self.stream = wire.open("AppendLogs", batch(0, writer=self.id), end=False)
        self.acknowledged = self._next()

    def _next(self) -> int:
        frame = self.wire.receive()
        assert frame.HasField("data"), frame
        answer = message("AppendLogsResponse").FromString(frame.data.message)
        return int(answer.acknowledged_sequence)

    def store(self, *batches: Any) -> None:
        """Send batches and wait for the acknowledgement of the last."""
        for one in batches:
            self.wire.data(self.stream, one)
        while self.acknowledged < batches[-1].sequence:
            self.acknowledged = self._next()

    def refused(self, *batches: Any) -> Any:
        """Send what must end the stream; return the status."""
        for one in batches:
            self.wire.data(self.stream, one)
        return self.wire.end(self.stream).status


def append(wire: Wire, *runs: Any) -> None:
    """Store one batch of a new writer."""
    writer = Writer(wire)
    writer.store(batch(1, *runs))
    wire.half_close(writer.stream)
    assert wire.end(writer.stream).status.code == 0


def log(wire: Wire, run_id: str, **asked: Any) -> list[Any]:
    """Every line that a listing gives, over all its pages."""
    found: list[Any] = []
    request = message("ListLogsRequest", run_id=run_id, **asked)
    while True:
        end = wire.call("ListLogs", request)
        assert end.status.code == 0, end.status
        page = message("ListLogsResponse").FromString(end.message)
        found += page.lines
        request.page_token = page.next_page_token
        if not request.page_token:
            return found


def texts(lines: list[Any]) -> list[str]:
    return [line.text for line in lines]


def filtered(**of: Any) -> dict[str, Any]:
    return {"filter": message("LogFilter", **of)}


def watched(wire: Wire, stream: int) -> Iterator[Any]:
    """Yield what a watch sends, to its end in order."""
    while True:
        frame = wire.receive()
        assert frame.stream == stream
        if frame.HasField("end"):
            assert frame.end.status.code == 0, frame.end.status
            return
        yield message("WatchLogsResponse").FromString(frame.data.message)


def lines_until(messages: Iterator[Any], count: int) -> tuple[list[Any], str]:
    """Return the next `count` lines of a watch, and the last token."""
    lines: list[Any] = []
    token = ""
    while len(lines) < count:
        one = next(messages)
        lines += one.lines
        token = one.resume_token
    assert len(lines) == count
    return lines, token


def test_a_line_comes_back_as_it_was_written(wire: Wire, run_id: str) -> None:
    odd = ["", "\x1b[31mred\x1b[0m", "50%|█████     |\r100%", "tab\tand\x01", "é" * 32_768]
    append(wire, run_logs(
        run_id, *odd, rank=7, times_us=[TIME_US, 0, LAST_TIME_US, TIME_US, TIME_US],
        levels=[0, DEBUG, INFO, WARNING, CRITICAL], stream_names=["stderr", "my log"],
        streams=[0, 1, 1, 0, 0],
    ))  # fmt: skip
    lines = log(wire, run_id)
    assert texts(lines) == odd
    assert [line.time_us for line in lines] == [TIME_US, 0, LAST_TIME_US, TIME_US, TIME_US]
    assert [line.level for line in lines] == [0, DEBUG, INFO, WARNING, CRITICAL]
    assert [line.stream for line in lines] == ["stderr", "my log", "my log", "stderr", "stderr"]
    assert {line.rank for line in lines} == {7}
    positions = [line.position for line in lines]
    assert positions == sorted(set(positions))


def test_lines_without_more_are_of_now_and_of_stdout(wire: Wire, run_id: str) -> None:
    append(wire, run_logs(run_id, "a", "b"))
    first, second = log(wire, run_id)
    assert (first.stream, first.level, first.rank) == ("stdout", 0, 0)
    assert first.time_us == second.time_us > TIME_US // 2


def test_lines_are_readable_by_plain_sql(wire: Wire, sql: Connection, run_id: str) -> None:
    append(wire, run_logs(run_id, "one", "two", levels=[0, ERROR], times_us=[TIME_US] * 2))
    rows = sql.execute(
        "select line_number, stream, level, rank, text from run_log_lines where run_id = %s"
        " order by chunk_id, line_number",
        [run_id],
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        (1, "stdout", None, 0, "one"), (2, "stdout", "error", 0, "two"),
    ]  # fmt: skip


def test_pages_join_without_a_seam_in_both_directions(wire: Wire, run_id: str) -> None:
    numbers = [str(number) for number in range(700)]
    writer = Writer(wire)
    writer.store(*(
        batch(index + 1, run_logs(run_id, *numbers[index * 70 : index * 70 + 70]))
        for index in range(10)
    ))  # fmt: skip
    for size in (0, 1_000, 99):
        assert texts(log(wire, run_id, page_size=size)) == numbers
        backwards = log(wire, run_id, page_size=size, newest_first=True)
        assert texts(backwards) == numbers[::-1]


def test_long_lines_make_short_pages(wire: Wire, run_id: str) -> None:
    writer = Writer(wire)
    for number in (1, 2, 3):
        writer.store(batch(number, run_logs(run_id, *["x" * 65_536] * 16)))
    end = wire.call("ListLogs", message("ListLogsRequest", run_id=run_id, page_size=1_000))
    page = message("ListLogsResponse").FromString(end.message)
    assert len(page.lines) == 16
    assert page.next_page_token
    assert len(log(wire, run_id, page_size=1_000)) == 48


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({}, "abcdef"),
        ({"streams": ["stderr"]}, "bdf"),
        ({"streams": ["stderr", "stdout"]}, "abcdef"),
        ({"streams": ["nowhere"]}, ""),
        ({"levels": [ERROR]}, "cf"),
        ({"levels": [0, ERROR]}, "acdf"),
        ({"levels": [CRITICAL]}, ""),
        ({"ranks": [1]}, "def"),
        ({"ranks": [0, 1]}, "abcdef"),
        ({"ranks": [2]}, ""),
        ({"from_us": TIME_US + 2}, "cf"),
        ({"until_us": TIME_US + 1}, "ad"),
        ({"from_us": TIME_US + 1, "until_us": TIME_US + 2}, "be"),
        ({"from_us": TIME_US + 3}, ""),
        ({"contains": "LOSS"}, "be"),
        ({"contains": "100%_\\"}, "c"),
        ({"contains": "nothing"}, ""),
        ({"contains": "loss", "ranks": [1], "levels": [INFO]}, "e"),
    ],
)
def test_a_filter_chooses(wire: Wire, run_id: str, chosen: dict[str, Any], found: str) -> None:
    columns = {
        "levels": [0, INFO, ERROR], "times_us": [TIME_US, TIME_US + 1, TIME_US + 2],
        "stream_names": ["stdout", "stderr"],
    }  # fmt: skip
    append(
        wire,
        run_logs(run_id, "a", "b Loss", "c 100%_\\", streams=[0, 1, 0], **columns),
        run_logs(run_id, "d", "e lOSS", "f 100!!", streams=[1, 0, 1], rank=1, **columns),
    )
    chosen_lines = log(wire, run_id, **filtered(**chosen))
    assert "".join(text[0] for text in texts(chosen_lines)) == found
    backwards = log(wire, run_id, newest_first=True, page_size=1, **filtered(**chosen))
    assert backwards == chosen_lines[::-1]


def test_a_page_token_is_of_its_listing(wire: Wire, run_id: str) -> None:
    append(wire, run_logs(run_id, "a", "b"))
    request = message("ListLogsRequest", run_id=run_id, page_size=1)
    page = message("ListLogsResponse").FromString(wire.call("ListLogs", request).message)
    for other in (
        message("ListLogsRequest", run_id=run_id, newest_first=True),
        message("ListLogsRequest", run_id=run_id, **filtered(contains="a")),
    ):
        other.page_token = page.next_page_token
        status = wire.call("ListLogs", other).status
        assert (status.code, status.reason) == (INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


@pytest.mark.parametrize(
    ("chosen", "field"),
    [
        ({"levels": [9]}, "filter.levels[0]"),
        ({"contains": "x" * 257}, "filter.contains"),
        ({"streams": [""]}, "filter.streams[0]"),
        ({"streams": ["x"] * 17}, "filter.streams"),
        ({"ranks": range(1_001)}, "filter.ranks"),
    ],
)
def test_a_bad_filter_is_named(wire: Wire, run_id: str, chosen: dict[str, Any], field: str) -> None:
    for method in ("ListLogs", "WatchLogs"):
        request = message(f"{method}Request", run_id=run_id, **filtered(**chosen))
        status = wire.call(method, request).status
        assert status.code == INVALID_ARGUMENT
        assert [violation.field for violation in status.field_violations] == [field]


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"text_bytes": []}, "runs"),
        ({"text_bytes": [1]}, "runs[0].text_bytes"),
        ({"text": "é", "text_bytes": [1, 1]}, "runs[0].text_bytes[0]"),
        ({"text": "x" * 65_537, "text_bytes": [65_537]}, "runs[0].text_bytes[0]"),
        ({"text": "x" * 10_001, "text_bytes": [1] * 10_001}, "runs"),
        ({"text": "x" * (1 << 20 | 1), "text_bytes": [1] * 9}, "runs"),
        ({"rank": 1_000_000}, "runs[0].rank"),
        ({"times_us": [1]}, "runs[0].times_us"),
        ({"times_us": [1, -1]}, "runs[0].times_us[1]"),
        ({"times_us": [LAST_TIME_US + 1, 1]}, "runs[0].times_us[0]"),
        ({"levels": [1]}, "runs[0].levels"),
        ({"levels": [1, 6]}, "runs[0].levels[1]"),
        ({"streams": [0]}, "runs[0].streams"),
        ({"streams": [0, 1]}, "runs[0].streams[1]"),
        ({"stream_names": [""]}, "runs[0].stream_names[0]"),
        ({"stream_names": ["a\nb"]}, "runs[0].stream_names[0]"),
        ({"stream_names": ["x" * 65]}, "runs[0].stream_names[0]"),
        ({"stream_names": ["x"] * 17}, "runs[0].stream_names"),
        ({"run_id": "none"}, "runs[0].run_id"),
    ],
)  # fmt: skip
def test_a_bad_batch_is_named_and_nothing_of_it_stored(
    wire: Wire, run_id: str, columns: dict[str, Any], field: str
) -> None:
    writer = Writer(wire)
    bad = message("RunLogs", **{"run_id": run_id, "text": "ab", "text_bytes": [1, 1], **columns})
    status = writer.refused(
        batch(1, run_logs(run_id, "good")), batch(2, run_logs(run_id, "too"), bad)
        if field != "runs" else batch(2, bad),
    )  # fmt: skip
    assert status.code == INVALID_ARGUMENT
    found = [one.field.replace("runs[1]", "runs[0]") for one in status.field_violations]
    assert found == [field]
    assert texts(log(wire, run_id)) == ["good"]


def test_ten_thousand_lines_are_taken(wire: Wire, run_id: str) -> None:
    append(wire, run_logs(run_id, *["x"] * 10_000))
    assert len(log(wire, run_id, page_size=1_000)) == 10_000


def test_a_nul_is_refused(wire: Wire, run_id: str) -> None:
    status = Writer(wire).refused(batch(1, run_logs(run_id, "\0")))
    assert status.code == INVALID_ARGUMENT


def test_a_gap_says_where_to_continue(wire: Wire, run_id: str) -> None:
    status = Writer(wire).refused(batch(1, run_logs(run_id, "a")), batch(3, run_logs(run_id, "c")))
    assert (status.code, status.reason) == (FAILED_PRECONDITION, "SEQUENCE_GAP")
    assert status.details["expected_sequence"] == "2"
    assert texts(log(wire, run_id)) == ["a"]


def test_a_replay_is_stored_once(served: UpServer, wire: Wire, run_id: str) -> None:
    batches = [batch(n, run_logs(run_id, str(n))) for n in range(1, 6)]
    first = Writer(wire)
    first.store(*batches[:4])
    with Wire.opened(served.connection) as other:
        second = Writer(other, first.id)
        assert second.acknowledged == 4
        second.store(*batches)
    assert texts(log(wire, run_id)) == ["1", "2", "3", "4", "5"]


def test_a_run_that_is_not_there_takes_no_lines(wire: Wire) -> None:
    absent = str(uuid.uuid4())
    status = Writer(wire).refused(batch(1, run_logs(absent, "a")))
    assert (status.code, status.reason) == (NOT_FOUND, "RUN_NOT_FOUND")
    for method in ("ListLogs", "WatchLogs"):
        status = wire.call(method, message(f"{method}Request", run_id=absent)).status
        assert (status.code, status.reason) == (NOT_FOUND, "RUN_NOT_FOUND")


def test_a_finished_run_takes_no_lines(wire: Wire, client: needletail.Client, run_id: str) -> None:
    append(wire, run_logs(run_id, "a"))
    client.tracking.finish_run(id=run_id)
    status = Writer(wire).refused(batch(1, run_logs(run_id, "b")))
    assert (status.code, status.reason) == (FAILED_PRECONDITION, "RUN_FINISHED")
    assert texts(log(wire, run_id)) == ["a"]


def test_a_watch_tells_what_there_was_and_what_comes_and_ends_with_the_run(
    served: UpServer, wire: Wire, client: needletail.Client, run_id: str
) -> None:
    append(wire, run_logs(run_id, *(str(number) for number in range(600))))
    with Wire.opened(served.connection) as watching:
        stream = watching.open("WatchLogs", message("WatchLogsRequest", run_id=run_id))
        messages = watched(watching, stream)
        lines, _ = lines_until(messages, 600)
        assert texts(lines) == [str(number) for number in range(600)]
        append(wire, run_logs(run_id, "live"))
        lines, _ = lines_until(messages, 1)
        assert texts(lines) == ["live"]
        append(wire, run_logs(run_id, "last"))
        client.tracking.finish_run(id=run_id)
        assert texts([line for one in messages for line in one.lines]) == ["last"]


def test_a_watch_goes_on_at_any_message_without_repeating_a_line(
    served: UpServer, wire: Wire, client: needletail.Client, run_id: str
) -> None:
    numbers = [str(number) for number in range(1_000)]
    writer = Writer(wire)
    writer.store(*(
        batch(index + 1, run_logs(run_id, *numbers[index * 300 : index * 300 + 300]))
        for index in range(4)
    ))  # fmt: skip
    client.tracking.finish_run(id=run_id)
    found: list[Any] = []
    token = ""
    while len(found) < len(numbers):
        with Wire.opened(served.connection) as watching:
            request = message("WatchLogsRequest", run_id=run_id, resume_token=token)
            one = next(watched(watching, watching.open("WatchLogs", request)))
            found += one.lines
            token = one.resume_token
    assert texts(found) == numbers
    # Whoever has seen the end hears of nothing more, and that it is one.
    request = message("WatchLogsRequest", run_id=run_id, resume_token=token)
    rest = watched(wire, wire.open("WatchLogs", request))
    assert not [line for one in rest for line in one.lines]


def test_a_watch_may_choose_and_leave_the_past_out(
    served: UpServer, wire: Wire, run_id: str
) -> None:
    append(wire, run_logs(run_id, "past", levels=[ERROR]))
    with Wire.opened(served.connection) as watching:
        stream = watching.open("WatchLogs", message(
            "WatchLogsRequest", run_id=run_id, skip_history=True, **filtered(levels=[ERROR])
        ))  # fmt: skip
        messages = watched(watching, stream)
        # Whether the watch began before or after these, each comes at most once, and the last does.
        for number in range(100):
            append(wire, run_logs(run_id, "no", f"error {number}", levels=[INFO, ERROR]))
        found: list[str] = []
        while "error 99" not in found:
            found += texts(next(messages).lines)
    assert found == [f"error {number}" for number in range(100 - len(found), 100)]


def test_a_damaged_token_is_refused(wire: Wire, client: needletail.Client, run_id: str) -> None:
    append(wire, run_logs(run_id, "a"))
    client.tracking.finish_run(id=run_id)
    messages = watched(wire, wire.open("WatchLogs", message("WatchLogsRequest", run_id=run_id)))
    token = [one.resume_token for one in messages][-1]
    status = wire.call(
        "WatchLogs", message("WatchLogsRequest", run_id=run_id, resume_token="x" + token)
    ).status
    assert (status.code, status.reason) == (INVALID_ARGUMENT, "RESUME_TOKEN_INVALID")
