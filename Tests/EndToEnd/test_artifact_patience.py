"""What the command line says and does while the store of files is away."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from program import run_program
from seaweed import Fault, Relay
from test_artifacts import paths
from test_artifacts_s3 import relay, relayed, relayed_server  # noqa: F401

if TYPE_CHECKING:
    from pathlib import Path

    import needletail
    from program import UpServer


def test_the_command_line_says_what_it_waits_for(
    relayed: tuple[UpServer, needletail.Client, str],  # noqa: F811
    relay: Relay,  # noqa: F811
    place: Path,
) -> None:
    server, client, run_id = relayed
    (place / "a").write_bytes(b"1")
    upload = (
        "artifacts", "upload", run_id, place / "a", "--connection-file", server.connection_file,
    )  # fmt: skip
    relay.fault = lambda method, _path: Fault(status=500) if method == "PUT" else None
    gave_up = run_program(*upload, "--timeout", "2s")
    assert gave_up.returncode == 6, gave_up
    waiting, *error = gave_up.stderr.splitlines()
    assert "ARTIFACT_STORE_AWAY" in waiting
    assert "Trying again for" in waiting
    assert error[0].startswith("error: UNAVAILABLE / ARTIFACT_STORE_AWAY")
    assert paths(client, run_id) == []
    # For programs there is one document.
    gave_up = run_program(*upload, "--timeout", "2s", "--json")
    assert json.loads(gave_up.stderr)["error"]["reason"] == "ARTIFACT_STORE_AWAY"
    waits = threading.Timer(1, relay.heal)
    waits.start()
    went_on = run_program(*upload)
    waits.join()
    assert (went_on.returncode, went_on.stdout.split()[:2]) == (0, ["uploaded", "a"]), went_on
    assert paths(client, run_id) == ["a"]
