"""A store of artifacts is one database's, which alone may remove what it knows nothing of."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING

import pytest
from postgres import create_database, drop_database
from program import UpServer, run_program
from seaweed import BUCKET, Fault, Relay, Seaweed
from test_artifacts import new_run
from uploads import digest_of, download, upload
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STRAY = b"a stray file"


class Folder:
    """A folder that several servers are given."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "installation"
        self.options = ["--set", f"artifact-folder={root}"]
        self.place = f"artifact-folder {root}"

    def marker(self) -> str | None:
        """Return what the marker says."""
        return self.file.read_text() if self.file.exists() else None

    def mark(self, owner: str | None) -> None:
        """Write the marker behind the servers' backs, or remove it."""
        self.file.unlink(missing_ok=True)
        if owner is not None:
            self.file.write_text(f"{owner}\n")

    def add_stray(self) -> None:
        """Put a file of an organization there that no database knows."""
        file = self.root / str(uuid.uuid4()) / "blobs" / "00" / digest_of(STRAY)
        file.parent.mkdir(parents=True)
        file.write_bytes(STRAY)
        for path in (file, *file.parents[:3]):
            shutil.chown(path, self.root.owner())

    def blobs(self) -> set[str]:
        """Return the digests of all that is there."""
        return {file.name for file in self.root.glob("*/blobs/*/*")}


class Bucket:
    """A prefix of a bucket that several servers are given."""

    def __init__(self, seaweed: Seaweed) -> None:
        self.seaweed = seaweed
        self.prefix = f"of/several/{uuid.uuid4()}/"
        self.options = seaweed.settings(s3_prefix=self.prefix)
        self.place = f"artifact-s3-bucket {BUCKET} with artifact-s3-prefix {self.prefix}"

    def marker(self) -> str | None:
        """Return what the marker says."""
        return self.seaweed.ask("GET", f"/{BUCKET}/{self.prefix}installation", "--fail")

    def mark(self, owner: str | None) -> None:
        """Write the marker behind the servers' backs, or remove it."""
        if owner is None:
            self.seaweed.ask("DELETE", f"/{BUCKET}/{self.prefix}installation")
        else:
            assert self.seaweed.put(f"{self.prefix}installation", f"{owner}\n")

    def add_stray(self) -> None:
        """Put an object of an organization there that no database knows."""
        key = f"{self.prefix}{uuid.uuid4()}/blobs/{digest_of(STRAY)}"
        assert self.seaweed.put(key, STRAY.decode())

    def blobs(self) -> set[str]:
        """Return the digests of all that is there."""
        keys = self.seaweed.keys(self.prefix)
        return {key.rpartition("/")[2] for key in keys if "/blobs/" in key}


Store = Folder | Bucket


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, place: Path) -> Store:
    """A store that is empty."""
    if request.param == "folder":
        return Folder(place / "artifacts")
    return Bucket(request.getfixturevalue("seaweed"))


@pytest.fixture
def installation(store: Store, place: Path, cluster_url: str) -> Iterator[Callable[..., UpServer]]:
    """Makes servers on the store; those of one name have one database."""
    servers: list[UpServer] = []
    urls: dict[str, str] = {}

    def make(name: str, *options: str) -> UpServer:
        if name not in urls:
            urls[name] = create_database(cluster_url)
        servers.append(UpServer(place / name, *store.options, *options, postgres=urls[name]))
        return servers[-1]

    yield make
    for server in servers:
        server.discard()
    for url in urls.values():
        drop_database(cluster_url, url)


def name_of(server: UpServer) -> str:
    """Return what a marker calls the server's database."""
    with server.sql() as sql:
        row = sql.execute(
            "select system_identifier || '-' || oid as name from pg_control_system(), pg_database"
            " where datname = current_database()"
        ).fetchone()
    assert row is not None
    return row["name"]


def refusal_of(server: UpServer) -> str:
    """Start a server that must refuse to; return what it says."""
    server.launch()
    assert server.wait() != 0
    return server.log


def use(server: UpServer, data: bytes) -> None:
    """Let the server keep and give back a file."""
    with server.client() as client:
        run_id = new_run(server, client)
        upload(client, run_id, "file", data)
        assert download(client, run_id, "file") == data


def test_a_store_is_the_first_databases_until_another_takes_it_over(
    store: Store, installation: Callable[..., UpServer]
) -> None:
    one, two = installation("one"), installation("two")
    one.start()
    use(one, b"of one")
    assert store.marker() == f"{name_of(one)}\n"
    said = refusal_of(two)
    for part in (store.place, name_of(one), name_of(two), f"artifact-adopt={name_of(one)}"):
        assert part in said
    assert store.marker() == f"{name_of(one)}\n"
    assert one.stop() == 0
    # What takes over another's takes over none's but that.
    assert "belongs to" in refusal_of(installation("two", "--set", "artifact-adopt=7-7"))
    heir = installation("two", "--set", f"artifact-adopt={name_of(one)}")
    for _ in range(2):
        heir.start()
        wait_until("the store is taken over", lambda: store.marker() == f"{name_of(two)}\n")
        assert heir.stop() == 0
    assert name_of(two) in refusal_of(one)


@pytest.mark.parametrize("store", ["bucket"], indirect=True)
def test_a_bucket_that_knows_no_conditions_is_marked_without(
    store: Bucket, installation: Callable[..., UpServer], seaweed: Seaweed
) -> None:
    relay = Relay(seaweed.port)
    relay.fail_once(is_marking, Fault(status=501, code="NotImplemented"))
    server = installation("one", "--set", f"artifact-s3-endpoint={relay.endpoint}")
    try:
        server.start()
        wait_until("the prefix is marked", lambda: store.marker() == f"{name_of(server)}\n")
        assert sum(is_marking(*request) for request in relay.seen) == 2
        use(server, b"of one")
    finally:
        relay.close()


def is_marking(method: str, path: str) -> bool:
    """Say whether a request writes a marker."""
    return method == "PUT" and path.endswith("/installation")


def test_a_store_without_a_marker_is_its_files_owners(
    store: Store, installation: Callable[..., UpServer]
) -> None:
    one = installation("one")
    one.start()
    use(one, b"of one")
    assert one.stop() == 0
    store.mark(None)
    said = refusal_of(installation("two"))
    assert "has no marker" in said
    assert "artifact-adopt=unmarked" in said
    assert store.marker() is None
    one.start()
    wait_until("it is marked again", lambda: store.marker() == f"{name_of(one)}\n")
    assert one.stop() == 0
    store.mark(None)
    two = installation("two", "--set", "artifact-adopt=unmarked")
    two.start()
    wait_until("it is taken over", lambda: store.marker() == f"{name_of(two)}\n")


def test_nothing_is_removed_from_a_store_whose_marker_is_anothers(
    store: Store, installation: Callable[..., UpServer]
) -> None:
    server = installation("one", "--set", "housekeeping-interval=100ms")
    server.start()
    gone, kept = b"gone", b"kept"
    with server.client() as client, server.sql() as sql:
        run_id = new_run(server, client)
        for data in (gone, kept):
            upload(client, run_id, data.decode(), data)
        client.tracking.delete_artifact(run_id=run_id, path="gone")

        def sweep_says(part: str) -> None:
            """Wait until a sweep that begins from now on has ended with an error."""
            now = sql.execute("select clock_timestamp() as now").fetchone()
            assert now is not None
            wait_until(f"a sweep says {part}", lambda: sql.execute(
                "select 1 from maintenance_tasks where name = 'artifacts' and started_at > %s"
                " and finished_at >= started_at and position(%s in error) > 0",
                (now["now"], part)).fetchone())  # fmt: skip

        for marker, part in (("7-7", "belongs to the database 7-7"), (None, "has no marker")):
            store.mark(marker)
            sweep_says(part)
            if marker:
                # Both would go now: what nothing refers to, and what nobody knows.
                sql.execute("update artifact_blobs set claimed_until = now() - interval '1 s'")
                store.add_stray()
                sweep_says(part)
            assert store.blobs() == {digest_of(data) for data in (gone, kept, STRAY)}
        entry = server.logged("no artifacts are removed")
        assert entry["level"] == "error"
        status = run_program("maintenance", "status", "--postgres", server.database_url)
        assert "no marker" in status.stdout, status
        # What is uploaded meanwhile is kept, too.
        upload(client, run_id, "late", b"late")
        store.mark(name_of(server))
        wait_until(
            "all goes that has to",
            lambda: store.blobs() == {digest_of(data) for data in (kept, b"late")},
        )
