"""Files of runs: whole or not there, whatever happens on the way."""

from __future__ import annotations

import contextlib
import random
import threading
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from needletail import AbortedError, CallError, artifacts
from needletail.tracking import UploadArtifactRequest
from uploads import CHUNK_BYTES, Upload, digest_of, download, upload
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from program import Connection, UpServer

MIB = 1 << 20
# More than two acknowledgements.
LARGE = random.Random(7).randbytes(36 * MIB)


def refusal(work: Callable[..., Any], *arguments: Any, **fields: Any) -> CallError:
    """Return the error that a call must end with."""
    with pytest.raises(CallError) as caught:
        work(*arguments, **fields)
    return caught.value


def paths(client: needletail.Client, run_id: str) -> list[str]:
    """Return every file of a run."""
    return [entry.path for entry in artifacts.list_files(client, run_id)]


def new_run(server: UpServer, client: needletail.Client, experiment_name: str = "files") -> str:
    """Create a run of a new experiment on a server of the test's own."""
    experiment = client.tracking.create_experiment(
        project_id=server.connection["project_id"], name=experiment_name
    )
    return client.tracking.create_run(experiment_id=experiment.id).id


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, 20 * MIB + 1])
def test_what_was_uploaded_is_downloaded(client: needletail.Client, run_id: str, size: int) -> None:
    data = LARGE[:size]
    made = upload(client, run_id, "model/weights.bin", data, size_bytes=size,
                  sha256=digest_of(data))  # fmt: skip
    assert (made.run_id, made.path, made.size_bytes) == (run_id, "model/weights.bin", size)
    assert made.sha256 == digest_of(data)
    assert client.tracking.get_artifact(run_id=run_id, path=made.path) == made
    assert download(client, run_id, made.path) == data
    assert download(client, run_id, made.path, size // 2) == data[size // 2 :]
    assert download(client, run_id, made.path, size) == b""


def test_an_offset_or_a_chunk_out_of_bounds_is_refused(
    client: needletail.Client, run_id: str
) -> None:
    upload(client, run_id, "a", b"1234")
    for fields in ({"offset": -1}, {"offset": 5}, {"chunk_bytes": 1}, {"chunk_bytes": 1 << 30}):
        error = refusal(list, client.tracking.download_artifact(run_id=run_id, path="a", **fields))
        assert [violation.field for violation in error.field_violations] == list(fields)


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../secret", "a/../b", "a//b", "a/", "a\nb", "x" * 5_000]
)
def test_a_path_that_is_none_is_refused(client: needletail.Client, run_id: str, path: str) -> None:
    error = refusal(upload, client, run_id, path, b"1")
    assert (error.reason, error.field_violations[0].field) == ("FIELD_INVALID", "path")
    assert paths(client, run_id) == []


def test_nothing_is_to_be_seen_before_the_end(client: needletail.Client, run_id: str) -> None:
    half = Upload(client, run_id, "half.bin")
    half.send(LARGE, 0, 17 * MIB)
    half.wait_until_durable(16 * MIB)
    assert paths(client, run_id) == []
    assert client.tracking.list_artifacts(run_id=run_id).entries == ()
    error = refusal(client.tracking.get_artifact, run_id=run_id, path="half.bin")
    assert error.reason == "ARTIFACT_NOT_FOUND"
    assert refusal(download, client, run_id, "half.bin").reason == "ARTIFACT_NOT_FOUND"
    found = client.tracking.get_upload(id=half.id)
    assert (found.run_id, found.path, found.is_finished) == (run_id, "half.bin", False)
    assert found.durable_bytes >= 16 * MIB
    assert found.expires_at is not None
    half.call.close()


def test_an_upload_that_was_cut_goes_on_where_it_was(
    client: needletail.Client, run_id: str
) -> None:
    fields = {"size_bytes": len(LARGE), "sha256": digest_of(LARGE)}
    first = Upload(client, run_id, "large.bin", **fields)
    first.send(LARGE, 0, 20 * MIB)
    first.wait_until_durable(16 * MIB)
    first.call.close()

    def resumed() -> Upload | None:
        with contextlib.suppress(AbortedError):
            return Upload(client, run_id, upload_id=first.id)
        return None

    again = wait_until("the stream that was cut is over", resumed)
    assert again.id == first.id
    assert 16 * MIB <= again.durable <= 20 * MIB
    again.send(LARGE, again.durable)
    made = again.finish()
    assert made.id == first.id
    assert download(client, run_id, "large.bin") == LARGE
    # Whoever missed the answer hears it again.
    once_more = Upload(client, run_id, upload_id=first.id)
    assert once_more.artifact == made
    assert client.tracking.get_upload(id=first.id).is_finished


def test_a_server_that_is_killed_keeps_what_it_acknowledged(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server()
    server.start()
    with server.client() as client:
        run_id = new_run(server, client)
        kept = upload(client, run_id, "kept.bin", b"kept")
        sent = Upload(client, run_id, "large.bin", size_bytes=len(LARGE), sha256=digest_of(LARGE))
        sent.send(LARGE, 0, 35 * MIB)
        sent.wait_until_durable(16 * MIB)
        durable = sent.durable
        server.kill()
    server.start()
    with server.client() as client:
        assert paths(client, run_id) == ["kept.bin"]
        assert download(client, run_id, "kept.bin") == b"kept"
        assert client.tracking.get_artifact(run_id=run_id, path="kept.bin") == kept
        again = Upload(client, run_id, upload_id=sent.id)
        assert again.durable >= durable
        again.send(LARGE, again.durable)
        assert again.finish().sha256 == digest_of(LARGE)
        assert download(client, run_id, "large.bin") == LARGE


def test_the_sdk_goes_on_while_the_server_is_killed(
    own_server: Callable[..., UpServer], place: Path
) -> None:
    server = own_server()
    server.start()
    file = place / "large.bin"
    file.write_bytes(LARGE)
    with server.client() as client, server.sql() as sql:
        run_id = new_run(server, client)
        heard: list[object] = []

        def work() -> None:
            heard.append(artifacts.upload_file(client, run_id, file, "large.bin"))

        thread = threading.Thread(target=work)
        thread.start()

        def is_under_way() -> bool:
            row = sql.execute("select count(*) as n from artifact_uploads").fetchone()
            return row != {"n": 0} or bool(heard)

        wait_until("the upload has begun", is_under_way)
        sql.close()
        server.kill()
        server.start()
        thread.join(60)
        assert heard == [client.tracking.get_artifact(run_id=run_id, path="large.bin")]
        artifacts.download_file(client, run_id, "large.bin", place / "copy.bin")
    assert (place / "copy.bin").read_bytes() == LARGE


def test_other_bytes_than_announced_are_refused(client: needletail.Client, run_id: str) -> None:
    error = refusal(upload, client, run_id, "a", b"1234", sha256=digest_of(b"4321"))
    assert error.reason == "ARTIFACT_CHECKSUM_MISMATCH"
    assert paths(client, run_id) == []
    error = refusal(upload, client, run_id, "a", b"12345", size_bytes=4)
    assert error.reason == "ARTIFACT_TOO_LARGE"
    error = refusal(upload, client, run_id, "a", b"123", size_bytes=4)
    assert error.reason == "UPLOAD_INCOMPLETE"
    again = Upload(client, run_id, upload_id=error.details["upload_id"])
    assert again.durable == 3
    again.send(b"1234", 3)
    assert again.finish().size_bytes == 4


def test_a_piece_that_is_out_of_place_is_refused(client: needletail.Client, run_id: str) -> None:
    sent = Upload(client, run_id, "a")
    sent.send(b"12345678", 4)
    error = refusal(sent.finish)
    assert error.reason == "UPLOAD_OFFSET_WRONG"
    assert error.details["expected_offset"] == "0"
    sent = Upload(client, run_id, "a")
    sent.call.send(UploadArtifactRequest(data=bytes(MIB + 1)))
    assert refusal(sent.finish).field_violations[0].field == "data"


def test_an_upload_has_one_stream_at_a_time(client: needletail.Client, run_id: str) -> None:
    sent = Upload(client, run_id, "a")
    assert refusal(Upload, client, run_id, upload_id=sent.id).reason == "UPLOAD_IN_USE"
    sent.send(b"1")
    assert sent.finish().size_bytes == 1


def test_the_same_content_is_stored_once(
    served: UpServer, client: needletail.Client, run_id: str
) -> None:
    data = b"the same content"
    for path in ("one", "two"):
        upload(client, run_id, path, data)
    digest = digest_of(data)
    organization = served.connection["organization_id"]
    blob = served.data / "artifacts" / organization / "blobs" / digest[:2] / digest
    assert blob.read_bytes() == data
    assert blob.stat().st_mode & 0o777 == 0o600
    with served.sql() as sql:
        row = sql.execute(
            "select count(*) as n from artifact_blobs where sha256 = %s", [bytes.fromhex(digest)]
        ).fetchone()
    assert row == {"n": 1}
    client.tracking.delete_artifact(run_id=run_id, path="one")
    assert download(client, run_id, "two") == data


def test_of_two_uploads_of_one_path_the_later_stays(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    one, two = (Upload(client, run_id, "a") for _ in range(2))
    for sent, data in ((one, b"one"), (two, b"two")):
        sent.send(data)
    first, second = one.finish(), two.finish()
    assert (first.id, second.id) == (one.id, two.id)
    assert client.tracking.get_artifact(run_id=run_id, path="a") == second
    assert download(client, run_id, "a") == b"two"
    assert refusal(client.tracking.get_upload, id=one.id).reason == "UPLOAD_NOT_FOUND"
    entries = sql.execute(
        "select details from audit_logs where action = 'artifact.upload' and resource_id = %s",
        [second.id],
    ).fetchall()
    assert [
        (entry["details"]["before"]["sha256"], entry["details"]["after"]["sha256"])
        for entry in entries
    ] == [(first.sha256, second.sha256)]


def test_a_file_and_a_folder_never_have_one_name(client: needletail.Client, run_id: str) -> None:
    upload(client, run_id, "a/b/c", b"1")
    for path in ("a", "a/b", "a/b/c/d", "a/b/c/d/e"):
        assert refusal(upload, client, run_id, path, b"2").reason == "ARTIFACT_PATH_TAKEN"
    for path in ("a/b.txt", "a.txt", "a/b/c.txt", "a/b0"):
        upload(client, run_id, path, b"3")
    assert paths(client, run_id) == ["a.txt", "a/b.txt", "a/b/c", "a/b/c.txt", "a/b0"]


def test_folders_are_listed_with_what_is_in_them(client: needletail.Client, run_id: str) -> None:
    files = {"b.txt": 1, "a/one": 2, "a/two": 3, "a/deep/three": 4, "ab": 5}
    for path, size in files.items():
        upload(client, run_id, path, bytes(size))
    rows = []
    token = ""
    while True:
        page = client.tracking.list_artifacts(run_id=run_id, page_size=1, page_token=token)
        rows += [
            (entry.path, entry.is_folder, entry.size_bytes, entry.file_count)
            for entry in page.entries
        ]
        token = page.next_page_token
        if not token:
            break
    assert rows == [("a", True, 9, 3), ("ab", False, 5, 1), ("b.txt", False, 1, 1)]
    inside = client.tracking.list_artifacts(run_id=run_id, path="a").entries
    assert [(entry.path, entry.is_folder) for entry in inside] == [
        ("a/deep", True), ("a/one", False), ("a/two", False),
    ]  # fmt: skip
    assert inside[1].sha256 == digest_of(bytes(2))
    assert inside[0].sha256 == ""
    assert client.tracking.list_artifacts(run_id=run_id, path="b.txt").entries == ()
    assert client.tracking.list_artifacts(run_id=run_id, path="nowhere").entries == ()
    assert paths(client, run_id) == sorted(files)


def test_a_quota_is_kept(own_server: Callable[..., UpServer]) -> None:
    server = own_server(
        "--set", "artifact-quota-bytes=1000", "--set", "artifact-bytes-max=2000",
        "--set", "artifact-chunk-bytes=262144",
    )  # fmt: skip
    server.start()
    with server.client() as client:
        run_id = new_run(server, client)
        upload(client, run_id, "a", bytes(600))
        # The same again takes no room, whatever it is called.
        upload(client, run_id, "b", bytes(600), size_bytes=600, sha256=digest_of(bytes(600)))
        for fields in ({}, {"size_bytes": 401}):
            error = refusal(upload, client, run_id, "c", b"1" * 401, **fields)
            assert (error.code.name, error.reason) == (
                "RESOURCE_EXHAUSTED", "ARTIFACT_QUOTA_EXCEEDED",
            )  # fmt: skip
        upload(client, run_id, "c", b"1" * 400)
        error = refusal(Upload, client, run_id, "d", size_bytes=2_001)
        assert error.reason == "ARTIFACT_TOO_LARGE"
        assert paths(client, run_id) == ["a", "b", "c"]


def test_what_nothing_refers_to_is_removed(own_server: Callable[..., UpServer]) -> None:
    server = own_server("--set", "housekeeping-interval=100ms")
    server.start()
    with server.client() as client, server.sql() as sql:
        run_id = new_run(server, client)
        upload(client, run_id, "kept", b"kept")
        upload(client, run_id, "gone", b"gone")
        left = Upload(client, run_id, "left")
        left.send(b"left")
        left.call.close()
        root = server.data / "artifacts" / server.connection["organization_id"]
        stray = root / "blobs" / "00" / ("0" * 64)
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"stray")
        client.tracking.delete_artifact(run_id=run_id, path="gone")
        assert refusal(download, client, run_id, "gone").reason == "ARTIFACT_NOT_FOUND"
        # An hour and a day later:
        sql.execute("update artifact_blobs set claimed_until = now() - interval '1 s'")
        sql.execute("update artifact_uploads set updated_at = now() - interval '25 h'")

        def files() -> set[bytes]:
            return {file.read_bytes() for file in root.rglob("*") if file.is_file()}

        wait_until("what is unused is removed", lambda: files() == {b"kept", b"stray"})
        assert refusal(client.tracking.get_upload, id=left.id).reason == "UPLOAD_NOT_FOUND"
        assert download(client, run_id, "kept") == b"kept"


def test_without_a_folder_there_are_no_artifacts(own_server: Callable[..., UpServer]) -> None:
    server = own_server("--set", "artifact-folder=none")
    server.start()
    with server.client() as client:
        run_id = new_run(server, client)
        for work in (
            lambda: upload(client, run_id, "a", b"1"),
            lambda: download(client, run_id, "a"),
            lambda: client.tracking.get_artifact(run_id=run_id, path="a"),
            lambda: client.tracking.list_artifacts(run_id=run_id),
            lambda: client.tracking.delete_artifact(run_id=run_id, path="a"),
            lambda: client.tracking.get_upload(id=run_id),
        ):
            assert refusal(work).reason == "ARTIFACTS_NOT_CONFIGURED"


def test_folders_go_up_and_come_down_by_the_sdk(
    served: UpServer, place: Path, experiment_id: str
) -> None:
    source, target = place / "source", place / "target"
    files = {"a.txt": b"a", "deep/er/b.txt": b"b", "deep/empty": b""}
    for path, data in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(data)
    with (
        served.client() as client,
        needletail.run(
            project=served.connection["project_id"],
            experiment=experiment_id,
            client=client,
            spool_dir=place / "spool",
        ) as run,
    ):
        made = run.log_artifacts(source, "out")
        assert [artifact.path for artifact in made] == [
            "out/a.txt", "out/deep/empty", "out/deep/er/b.txt",
        ]  # fmt: skip
        assert run.log_artifact(source / "a.txt").path == "a.txt"
        run.download_artifacts(target, "out")
        assert {
            file.relative_to(target).as_posix(): file.read_bytes()
            for file in target.rglob("*") if file.is_file()
        } == files  # fmt: skip
        run.download_artifact("a.txt", place / "copy")
        assert (place / "copy").read_bytes() == b"a"
