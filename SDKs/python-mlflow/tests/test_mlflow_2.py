"""A server of MLflow 2 as a source of traces: it fails when it is asked for one by its id."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING

import pytest
from mlflow.entities import TraceInfo, TraceLocation, TraceState

from needletail_mlflow.importing.source import Source
from needletail_mlflow.importing.traces import _Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Server(http.server.BaseHTTPRequestHandler):
    version = "2.22.0"

    def do_GET(self) -> None:
        self._answer(self.version.encode() if self.path == "/version" else b"{}")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"{}")

    def _answer(self, content: bytes) -> None:
        is_known = "/traces/" not in self.path
        self.send_response(200 if is_known else 400)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("version", "is_2"), [("2.22.0", True), ("3.10.0", False)])
def test_its_version_tells(address, version, is_2, monkeypatch) -> None:
    monkeypatch.setattr(_Server, "version", version)
    assert Source(address).is_mlflow_2 is is_2


def test_a_trace_is_what_the_search_found_with_the_spans_of_its_file(
    address, tmp_path: Path
) -> None:
    span = {
        "name": "inner",
        "context": {"trace_id": "0x" + "1" * 32, "span_id": "0x" + "2" * 16},
        "parent_id": None,
        "start_time": 1,
        "end_time": 2,
        "status_code": "OK",
        "status_message": "",
        "attributes": {"mlflow.traceRequestId": '"tr"'},
        "events": [],
    }
    (tmp_path / "traces.json").write_text(json.dumps({"spans": [span]}))
    found = TraceInfo(
        trace_id="tr",
        trace_location=TraceLocation.from_experiment_id("1"),
        request_time=1,
        state=TraceState.OK,
        tags={"mlflow.artifactLocation": tmp_path.as_uri()},
    )
    trace = _Client(Source(address), found).get_trace("tr")
    assert trace.info is found
    assert [one.name for one in trace.data.spans] == ["inner"]
