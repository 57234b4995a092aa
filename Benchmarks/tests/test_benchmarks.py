"""Reading what the programs print, and summing it up."""

import struct
from dataclasses import dataclass, field

import pytest

from Benchmarks import wire
from Benchmarks.cases import Comparison, Outcome
from Benchmarks.cases.attackers import Beside
from Benchmarks.cases.decisions import parse_decisions
from Benchmarks.cases.runs import create_run_script
from Benchmarks.figures import MeasurementError, Round, Spread, Standing, alternate, best
from Benchmarks.load import parse_load
from Benchmarks.peers.nginx import parse_wrk
from Benchmarks.postgres import parse_pgbench, script
from Benchmarks.report import lines
from Benchmarks.statements import bound

WRK = """Running 1s test @ https://127.0.0.1:4443/
  Latency Distribution
     50%  420.00us
     75%  500.00us
     90%    1.00ms
     99%    2.50ms
  81234 requests in 1.00s, 12.34MB read
Requests/sec:  81100.50
"""
PGBENCH = """number of failed transactions: 0 (0.000%)
latency average = 0.151 ms
tps = 52950.123 (without initial connection time)
"""


@dataclass
class Scripted:
    """A contender whose rounds are known."""

    name: str
    rates: list[float]
    log: list[str] = field(default_factory=list)

    def measure(self, seconds: float) -> Round:
        """Returns the next rate."""
        del seconds
        self.log.append(self.name)
        return Round(self.rates.pop(0))


def test_contenders_take_turns_after_a_warm_up_that_does_not_count() -> None:
    log: list[str] = []
    ours = Scripted("ours", [1, 10, 20, 30], log)
    peer = Scripted("peer", [1, 5, 20, 10], log)
    mine, other = alternate([ours, peer], pairs=3, seconds=1)
    assert log == ["ours", "peer", "ours", "peer", "peer", "ours", "ours", "peer"]
    assert mine.rate == Spread(median=20, least=10, greatest=30)
    assert mine.ratio_to(other) == Spread(median=2, least=1, greatest=3)


def test_the_setting_that_is_fastest_at_median_is_chosen_whatever_one_round_says() -> None:
    one_thread = Scripted("one thread", [90, 10, 10])
    two_threads = Scripted("two threads", [20, 20, 5])
    assert best([one_thread, two_threads], seconds=1) is two_threads


def test_reports_of_wrk_pgbench_and_load_are_read() -> None:
    assert parse_wrk(WRK) == Round(81100.5, 420, 2500)
    assert parse_pgbench(PGBENCH, 8) == Round(52950.123)
    report = (
        '{"calls": 9, "seconds": 1, "calls_per_second": 9, "p50_us": 1, "p99_us": 2, "errors": 0}'
    )
    assert parse_load(f"warming up\n{report}\n") == Round(9, 1, 2)


@pytest.mark.parametrize(
    "text", ["", "{}", '{"calls_per_second": 1, "errors": 2, "p50_us": 1, "p99_us": 1}']
)
def test_a_load_report_with_errors_is_no_measurement(text: str) -> None:
    with pytest.raises(MeasurementError):
        parse_load(text)


@pytest.mark.parametrize(
    "line", ["  Non-2xx or 3xx responses: 3", "  Socket errors: connect 1, read 0"]
)
def test_wrk_with_errors_is_no_measurement(line: str) -> None:
    with pytest.raises(MeasurementError):
        parse_wrk(f"{WRK}{line}\n")


def test_a_statement_takes_expressions_for_its_parameters_and_keeps_its_casts() -> None:
    statements = {"get": "select (:id::uuid)::text, :at? from runs where name = :name"}
    values = {"id": ":run", "at": "now()", "name": "'a'"}
    assert bound("get", values, statements=statements) == (
        "select (:run::uuid)::text, now() from runs where name = 'a'"
    )
    with pytest.raises(MeasurementError, match="does not know: name"):
        bound("get", {"id": "", "at": ""}, statements=statements)
    assert script(["begin", "commit"], preamble=[r"\set n 1"]) == "\\set n 1\nbegin;\ncommit;\n"


def test_frames_are_written_and_recognized_by_their_body() -> None:
    frame = wire.hello("ntl_key")
    assert frame == struct.pack(">I", 11) + b"\x12\x09\x0a\x07ntl_key"
    assert wire.body_of(frame[4:]) == 2
    call = wire.unary_call(300, "s/M", b"m")
    assert call[4:] == b"\x08\xac\x02\x22\x0a\x0a\x03s/M\x2a\x01m\x30\x01"
    assert wire.body_of(call[4:]) == 4
    assert wire.body_of(wire.cancel(1)[4:]) == 7
    assert wire.body_of(wire.ping(1)[4:]) == 9


def test_fields_of_an_answer_are_read_and_an_error_is_raised_with_its_reason() -> None:
    message = wire.text_field(2, "token") + wire.number_field(3, 300) + wire.message_field(1, b"")
    assert list(wire.fields(message)) == [(2, b"token"), (3, 300), (1, b"")]
    end = wire.number_field(1, 1) + wire.message_field(wire.END, wire.message_field(2, message))
    assert wire.answer_of(end) == message
    status = wire.number_field(1, 7) + wire.text_field(3, "PERMISSION_MISSING")
    end = wire.number_field(1, 1) + wire.message_field(wire.END, wire.message_field(1, status))
    with pytest.raises(wire.CallFailedError, match="PERMISSION_MISSING"):
        wire.answer_of(end)


def test_a_latency_is_compared_pair_by_pair_and_rounds_without_one_are_left_out() -> None:
    ours, theirs = Standing("ours"), Standing("theirs")
    ours.rounds = [Round(1, p99_us=10), Round(1, p99_us=30), Round(1)]
    theirs.rounds = [Round(1, p99_us=5), Round(1, p99_us=10), Round(1, p99_us=1)]
    ratio = ours.ratio_to(theirs, lambda one: one.p99_us)
    assert ratio == Spread(median=2.5, least=2, greatest=3)


@pytest.mark.parametrize(
    ("at_least", "at_most", "told"),
    [
        (2, None, "goal ≥ 2: met"),
        (None, 2, "goal ≤ 2: missed"),
        (2, 4, "goal ≥ 2 and ≤ 4: met"),
        (None, None, ""),
    ],
)
def test_a_comparison_is_judged_by_the_bounds_it_has(
    at_least: float | None, at_most: float | None, told: str
) -> None:
    comparison = Comparison("a peer", Spread(3, 1, 5), at_least=at_least, at_most=at_most)
    line = list(lines(Outcome("a-case", "A title", comparisons=[comparison])))[-1]
    assert "3.00 ×" in line
    assert line.endswith(told or "(1.00 … 5.00)")


def test_the_transaction_without_a_journal_writes_the_run_alone_in_a_round_trip_too() -> None:
    whole = create_run_script(is_pipelined=True)
    bare = create_run_script(is_journaled=False, is_pipelined=True)
    tables = ("idempotency_records", "runs", "audit_logs", "events")
    places = [whole.index(f"insert into {table}") for table in tables]
    assert places == sorted(places)
    assert [table for table in tables if f"insert into {table}" in bare] == ["runs"]
    assert all("\\startpipeline\nbegin;" in text for text in (whole, bare))
    assert all(text.endswith("commit;\n\\endpipeline\n") for text in (whole, bare))


def test_a_report_of_decisions_that_permits_all_or_nothing_is_no_measurement() -> None:
    report = '{{"decisions": 10, "permitted": {}, "methods": 3, "nanoseconds": 500}}'
    assert parse_decisions(report.format(4)) == Round(2e7)
    for permitted in (0, 10):
        with pytest.raises(MeasurementError):
            parse_decisions(report.format(permitted))


def test_an_attack_that_did_nothing_is_no_measurement() -> None:
    beside = Beside("beside pings", Scripted("echo", [1]), [], [{"attacks": 30, "cuts": 4}])
    assert beside.note(1) == "beside pings: 12 a second, cut off 4 times a round"
    beside.reports = [{"attacks": 0, "cuts": 4}]
    with pytest.raises(MeasurementError):
        beside.note(1)
