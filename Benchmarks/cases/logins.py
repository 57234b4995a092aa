"""What other calls feel of passwords, each of which costs a core a good part of a second."""

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from Benchmarks import wire
from Benchmarks.calls import Caller
from Benchmarks.cases import Case, Comparison, Outcome, Settings
from Benchmarks.figures import MeasurementError, Round, alternate
from Benchmarks.postgres import cluster
from Benchmarks.server import Load, server

_P99_AT_MOST = 2.0
_LOGINS = 4
_LOGIN = "needletail.identity.v1.Identity/Login"
_LIST_METHODS = "needletail.rpc.v1.Server/ListMethods"
# Of ListMethodsResponse and Method, and of LoginRequest.
_METHODS, _NAME, _EMAIL, _PASSWORD = 1, 1, 1, 2
# Enough that the p99 of a round is of many calls, and far below what the server can.
_CONNECTIONS, _EVERY_MS = 8, 5
_LIMIT_SECONDS = 30


@dataclass(slots=True)
class BesideLogins:
    """Paced echo calls while so many passwords are checked all the time."""

    load: Load
    endpoint: wire.Endpoint
    logins: int
    answers: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What it is beside."""
        return f"echo beside {self.logins or 'no'} logins at once"

    def measure(self, seconds: float) -> Round:
        """Measures one round."""
        end = threading.Event()
        threads = [
            threading.Thread(target=self._log_in, args=(number, end), daemon=True)
            for number in range(self.logins)
        ]
        for thread in threads:
            thread.start()
        try:
            return self.load.measure(seconds)
        finally:
            end.set()
            for thread in threads:
                thread.join(_LIMIT_SECONDS)

    def _log_in(self, number: int, end: threading.Event) -> None:
        """Tries a password again and again: a wrong one costs as much as a right one."""
        # From an address each, so that none is held off for the others' failures.
        source = f"127.0.0.{20 + number}"
        anonymous = replace(self.endpoint, api_key="")
        turn = 0
        while not end.is_set():
            with anonymous.connect(anonymous.context(), source=source) as connection:
                connection.settimeout(_LIMIT_SECONDS)
                caller = Caller(lambda: connection)
                while not end.is_set():
                    turn += 1
                    try:
                        caller.call(_LOGIN, _login(f"nobody-{number}-{turn}@example.com"))
                    except wire.CallFailedError as error:
                        self.answers.append(str(error))
                    except ConnectionResetError:
                        break


def _login(email: str) -> bytes:
    return wire.text_field(_EMAIL, email) + wire.text_field(_PASSWORD, "not the password")


def has_method(caller: Caller, name: str) -> bool:
    """Whether the server serves a method."""
    methods = [
        method
        for number, method in wire.fields(caller.call(_LIST_METHODS, b""))
        if number == _METHODS and isinstance(method, bytes)
    ]
    return any(dict(wire.fields(method)).get(_NAME) == name.encode() for method in methods)


def _password_logins(settings: Settings, outcome: Outcome) -> None:
    with ExitStack() as stack:
        database = stack.enter_context(cluster(settings.work / "logins-pg"))
        started = stack.enter_context(server(settings.work / "logins", postgres=database.url))
        endpoint = wire.Endpoint.of(started.connection)
        with Caller.of(endpoint) as caller:
            if not has_method(caller, _LOGIN):
                outcome.notes.append(f"skipped: this server has no method {_LOGIN}")
                return
        load = Load(started, "echo", _CONNECTIONS, 1, options=("--every", str(_EVERY_MS)))
        beside = BesideLogins(load, endpoint, _LOGINS)
        with_logins, alone = alternate(
            [beside, BesideLogins(load, endpoint, 0)],
            pairs=settings.pairs,
            seconds=settings.seconds,
        )
    if not beside.answers:
        raise MeasurementError("no login was answered")
    reasons = {reason: beside.answers.count(reason) for reason in sorted(set(beside.answers))}
    outcome.notes.append(f"logins that were answered: {reasons}")
    outcome.standings = [with_logins, alone]
    outcome.comparisons = [
        Comparison(
            "no logins, p99: logins",
            with_logins.ratio_to(alone, lambda one: one.p99_us),
            at_most=_P99_AT_MOST,
        )
    ]


CASES = (
    Case("password-logins", f"Echo beside {_LOGINS} password logins at once", _password_logins),
)
