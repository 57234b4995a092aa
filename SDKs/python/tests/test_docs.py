"""The examples of the documentation run as they are written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tracking_peer import PROJECT, TrackingScript

if TYPE_CHECKING:
    from collections.abc import Callable

    from peer import Certificates, Peer
    from tracking_peer import Store

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    page for page in (ROOT / "Docs/python.md", ROOT / "SDKs/python/README.md") if page.exists()
]
EXAMPLES = [
    (page.name, example)
    for page in PAGES
    for example in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
]


@pytest.mark.parametrize(("page", "example"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(
    store: Store,
    make_peer: Callable[..., Peer],
    certificates: Certificates,
    tmp_path: Path,
    page: str,
    example: str,
) -> None:
    connection = {
        "address": "127.0.0.1",
        "port": make_peer(TrackingScript(store)).port,
        "ca_file": str(certificates.ca_file),
        "api_key": "k",
        "project_id": PROJECT,
    }
    path = tmp_path / "connection.json"
    path.write_text(json.dumps(connection))
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", example],
        env={
            **os.environ,
            "NEEDLETAIL_CONNECTION_FILE": str(path),
            "NEEDLETAIL_SPOOL_DIR": str(tmp_path / "spool"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{page}: {done.stderr}"
