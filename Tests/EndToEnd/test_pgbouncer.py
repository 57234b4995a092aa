"""A server behind PgBouncer in transaction mode, as the operations page says to start it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import needletail
import psycopg
import pytest
from authority import Authority
from organizations import create_organization
from postgres import Cluster
from program import Server, connect_sql, migrate
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path("/usr/sbin/pgbouncer")
pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="pgbouncer is not installed")


class Bouncer:
    """PgBouncer before a cluster, with fewer connections to it than the server asks for."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._file = cluster.folder / "pgbouncer.ini"
        self._file.write_text(f"""
            [databases]
            * = host={cluster.folder} user=postgres
            [pgbouncer]
            listen_addr =
            listen_port = 6432
            unix_socket_dir = {cluster.folder}
            auth_type = any
            pool_mode = transaction
            default_pool_size = 3
            """)
        self._process: subprocess.Popen[bytes] | None = None

    def url(self) -> str:
        """Return the URL of the database `postgres` through it."""
        return f"{self._cluster.url()}&port=6432"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            [PROGRAM, "-q", self._file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd="/", **self._cluster.user,
        )  # fmt: skip
        wait_until("PgBouncer answers", self._answers)

    def stop(self) -> None:
        """End it, and every connection through it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def _answers(self) -> bool:
        try:
            with connect_sql(self.url()):
                return True
        except psycopg.OperationalError:
            return False


class Stage:
    """A cluster, PgBouncer before it, and a server behind that."""

    def __init__(self, place: Path) -> None:
        self.cluster = Cluster(place / "pg")
        self.cluster.start()
        self.bouncer = Bouncer(self.cluster)
        self.bouncer.start()
        migrate(self.cluster.url(), "up")
        with connect_sql(self.cluster.url()) as sql:
            organization = create_organization(sql, "acme")
        authority = Authority(place)
        pair = authority.pair("server")
        self.server = Server(
            place / "server", "serve", "--port", "0", "--certificate", pair.certificate, "--key",
            pair.key, "--postgres", self.bouncer.url(), "--direct-postgres", self.cluster.url(),
            "--set", "prepare-statements=off", "--operations-port", "0",
        )  # fmt: skip
        self.server.start()
        self.connection: dict[str, Any] = organization.connection({
            "address": "127.0.0.1",
            "port": self.server.port,
            "ca_file": str(authority.ca_file),
        })  # fmt: skip

    def client(self) -> needletail.Client:
        """Connect the SDK."""
        return needletail.connect(
            f"needletail://127.0.0.1:{self.server.port}",
            api_key=self.connection["api_key"],
            ca_file=self.connection["ca_file"],
        )

    def discard(self) -> None:
        """End all three."""
        self.server.discard()
        self.bouncer.stop()
        self.cluster.stop()


@pytest.fixture
def stage(place: Path) -> Iterator[Stage]:
    stage = Stage(place)
    yield stage
    stage.discard()


def test_a_run_is_logged_and_watched_and_a_new_bouncer_changes_nothing(
    stage: Stage, place: Path
) -> None:
    with stage.client() as client:
        project = stage.connection["project_id"]
        run = needletail.run(
            client=client, experiment="behind", project=project, spool_dir=place / "spool"
        )
        with run:
            for step in range(250):
                run.log({"loss": 1 / (step + 1)}, step=step)
            run.flush()
            stage.bouncer.stop()
            stage.bouncer.start()
            for step in range(250, 500):
                run.log({"loss": 1 / (step + 1)}, step=step)
            run.flush()
            assert run.id is not None
            wait_until("it is served again", lambda: stage.server.page("/healthz")[0] == 200)
            with client.tracking.watch_run(run_id=run.id) as watch:
                seen: list[int] = []
                while len(seen) < 500:
                    seen += [step for series in next(watch).series for step in series.steps]
                run.log({"loss": 0.0}, step=500)
                run.flush()
                while len(seen) < 501:
                    seen += [step for series in next(watch).series for step in series.steps]
            assert seen == list(range(501))
        assert run.finish().acknowledged_points == 501
        history = client.tracking.get_metric_history(run_id=run.id, key="loss", page_size=1_000)
        assert history.series.steps == tuple(range(501))
    broken = [entry for entry in stage.server.entries() if entry["level"] in {"error", "critical"}]
    assert broken == []
