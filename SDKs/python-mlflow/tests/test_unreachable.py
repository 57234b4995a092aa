"""A server that cannot be reached is told at first use, within the patience for it."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import needletail
import pytest
from mlflow.exceptions import MlflowException
from needletail._transport import tls

from needletail_mlflow.errors import to_mlflow
from needletail_mlflow.tracking_store import TrackingStore

if TYPE_CHECKING:
    from collections.abc import Iterator

_AN_HOUR = 3_600.0


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waited for an answer here would wait for an hour."""
    for name in ("NEEDLETAIL_CONNECTION_FILE", "NEEDLETAIL_PROFILE", "NEEDLETAIL_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NEEDLETAIL_API_KEY", "ntl_any")
    monkeypatch.setenv("NEEDLETAIL_MLFLOW_PATIENCE_SECONDS", "0.2")
    monkeypatch.setattr(needletail.settings, "DEFAULT_TIMEOUT_SECONDS", _AN_HOUR)


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """A port that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def swallowing() -> Iterator[str]:
    """A port where packets are lost: there is no room for one connection more."""
    with contextlib.ExitStack() as held, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def unknown() -> Iterator[str]:
    """A name that nobody knows."""
    yield "no-such-host.invalid:7443"


@pytest.mark.parametrize("place", [nobody, silent, swallowing, unknown])
@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.search_experiments(),
        lambda store: store.create_run("0", "somebody", 1_000, [], "away"),
    ],
)
def test_the_first_use_says_where_nobody_is_and_what_to_do(place, use) -> None:
    with place() as address:
        store = TrackingStore(f"needletail://{address}/project")
        with pytest.raises(MlflowException, match="Look at MLFLOW_TRACKING_URI") as caught:
            use(store)
    assert caught.value.error_code == "TEMPORARILY_UNAVAILABLE"
    assert address in str(caught.value)


def test_nobody_is_asked_before_the_first_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        TrackingStore(f"needletail://127.0.0.1:{listener.getsockname()[1]}/project")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_server_of_something_else_over_tls_is_another_port_and_no_wrong_certificate() -> None:
    error = tls.wrong_protocol("host:443", "http/1.1")
    assert error is not None
    told = to_mlflow(error)
    assert told.error_code == "INVALID_PARAMETER_VALUE"
    assert "host:443 does not speak" in str(told)
    assert "also at its port" in str(told)
    assert "NEEDLETAIL_CA_FILE" not in str(told)
