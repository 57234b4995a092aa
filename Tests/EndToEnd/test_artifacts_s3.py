"""Files of runs in a bucket: everything that holds in a folder, and S3 that is away or wrong."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

import pytest
from authority import Authority
from needletail import AbortedError
from postgres import create_database, drop_database
from program import UpServer, new_folder, remove
from seaweed import Fault, Relay, Seaweed, keys_file

# Every test of the folder that asks nothing of the file system, on a bucket.
from test_artifacts import (  # noqa: F401
    LARGE,
    MIB,
    new_run,
    paths,
    refusal,
    test_a_file_and_a_folder_never_have_one_name,
    test_a_path_that_is_none_is_refused,
    test_a_piece_that_is_out_of_place_is_refused,
    test_a_quota_is_kept,
    test_a_server_that_is_killed_keeps_what_it_acknowledged,
    test_an_offset_or_a_chunk_out_of_bounds_is_refused,
    test_an_upload_has_one_stream_at_a_time,
    test_an_upload_that_was_cut_goes_on_where_it_was,
    test_folders_are_listed_with_what_is_in_them,
    test_folders_go_up_and_come_down_by_the_sdk,
    test_nothing_is_to_be_seen_before_the_end,
    test_of_two_uploads_of_one_path_the_later_stays,
    test_other_bytes_than_announced_are_refused,
    test_the_sdk_goes_on_while_the_server_is_killed,
    test_what_was_uploaded_is_downloaded,
)
from uploads import Upload, digest_of, download, upload
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import needletail

PREFIX = "artifact-s3-prefix="


@pytest.fixture(scope="module")
def served(seaweed: Seaweed) -> Iterator[UpServer]:
    """One server for all tests that leave it unharmed."""
    folder = new_folder()
    server = UpServer(folder, "--set", "password-cost=12", *seaweed.settings())
    try:
        server.start()
        yield server
        assert server.stop() == 0, server.log[-4_000:]
    finally:
        server.discard()
        remove(folder)


@pytest.fixture
def own_server(
    place: Path, seaweed: Seaweed, cluster_url: str
) -> Iterator[Callable[..., UpServer]]:
    """Makes servers that a test may harm, each with a database and a prefix of its own."""
    made: list[tuple[UpServer, str]] = []

    def make(*options: str, weed: Seaweed = seaweed) -> UpServer:
        url = create_database(cluster_url)
        folder = place / f"server{len(made)}"
        made.append((UpServer(folder, *weed.settings(), *options, postgres=url), url))
        return made[-1][0]

    yield make
    for server, url in made:
        server.discard()
        drop_database(cluster_url, url)


@pytest.fixture(scope="module")
def relayed_server(seaweed: Seaweed, cluster_url: str) -> Iterator[tuple[UpServer, Relay]]:
    """One server that sees SeaweedFS through a relay."""
    folder, url = new_folder(), create_database(cluster_url)
    relay = Relay(seaweed.port)
    server = UpServer(
        folder, *seaweed.settings(relay.endpoint, s3_stall_timeout="1s"), postgres=url
    )
    try:
        server.start()
        with server.client() as client:
            # The store is known to be its own from here on.
            upload(client, new_run(server, client), "first", b"first")
        yield server, relay
    finally:
        # First, so that no request of the server's end waits for it.
        relay.close()
        server.discard()
        drop_database(cluster_url, url)
        remove(folder)


@pytest.fixture
def relay(relayed_server: tuple[UpServer, Relay]) -> Iterator[Relay]:
    """What a test's server sees of SeaweedFS, harmless at first."""
    made = relayed_server[1]
    yield made
    made.heal()


@pytest.fixture
def relayed(
    relayed_server: tuple[UpServer, Relay], relay: Relay
) -> Iterator[tuple[UpServer, needletail.Client, str]]:
    """A server behind the relay, a client of it, and a run."""
    server = relayed_server[0]
    with server.client() as client:
        yield server, client, new_run(server, client, f"files {uuid.uuid4()}")


def is_body(method: str, path: str) -> bool:
    """Say whether a request brings bytes of an upload."""
    return method == "PUT" and "uploadId" not in path


def place_of(server: UpServer) -> str:
    """Return what the keys of the server's first organization begin with."""
    options = map(str, server.arguments)
    # The last of several is the one that holds.
    *_, prefix = (one.removeprefix(PREFIX) for one in options if one.startswith(PREFIX))
    return f"{prefix}{server.connection['organization_id']}/"


def resumed(client: needletail.Client, run_id: str, sent: Upload) -> Upload | None:
    """Go on with an upload, unless the stream that failed still has it."""
    with contextlib.suppress(AbortedError):
        return Upload(client, run_id, upload_id=sent.id)
    return None


def test_the_same_content_is_one_object(
    served: UpServer, client: needletail.Client, run_id: str, seaweed: Seaweed
) -> None:
    uploads = f"{place_of(served)}uploads/"
    # Of uploads that other tests broke off.
    before = set(seaweed.keys(uploads))
    for data in (b"the same content", LARGE):
        for path in ("one", "two"):
            upload(client, run_id, path, data)
        blob = f"{place_of(served)}blobs/{digest_of(data)}"
        assert seaweed.keys(blob) == [blob]
        client.tracking.delete_artifact(run_id=run_id, path="one")
        assert download(client, run_id, "two") == data
    # Nothing is left of how they came there.
    wait_until("segments are removed", lambda: set(seaweed.keys(uploads)) <= before)


def test_an_upload_of_small_durable_steps_is_whole(client: needletail.Client, run_id: str) -> None:
    data = LARGE[: 11 * MIB + 7]
    upload_id = ""
    for end in (3, 5, 4 * MIB, 6 * MIB + 1, 10 * MIB, len(data)):
        fields = {"upload_id": upload_id} if upload_id else {"size_bytes": len(data)}
        sent = Upload(client, run_id, "steps" if not upload_id else "", **fields)
        upload_id = sent.id
        sent.send(data, sent.durable, end)
        if end == len(data):
            assert sent.finish().sha256 == digest_of(data)
        else:
            error = refusal(sent.finish)
            assert (error.reason, error.details["durable_bytes"]) == ("UPLOAD_INCOMPLETE", str(end))
    assert download(client, run_id, "steps") == data


def test_what_nothing_refers_to_is_removed(
    own_server: Callable[..., UpServer], seaweed: Seaweed
) -> None:
    server = own_server("--set", "housekeeping-interval=100ms")
    server.start()
    with server.client() as client, server.sql() as sql:
        run_id = new_run(server, client)
        upload(client, run_id, "kept", b"kept")
        upload(client, run_id, "gone", b"gone")
        left = Upload(client, run_id, "left")
        left.send(LARGE, 0, 17 * MIB)
        left.wait_until_durable(16 * MIB)
        left.call.close()
        assert seaweed.keys(f"{place_of(server)}uploads/{left.id}/")
        client.tracking.delete_artifact(run_id=run_id, path="gone")
        # An hour and a day later:
        sql.execute("update artifact_blobs set claimed_until = now() - interval '1 s'")
        sql.execute("update artifact_uploads set updated_at = now() - interval '25 h'")
        kept = f"{place_of(server)}blobs/{digest_of(b'kept')}"
        wait_until("what is unused is removed", lambda: seaweed.keys(place_of(server)) == [kept])
        assert refusal(client.tracking.get_upload, id=left.id).reason == "UPLOAD_NOT_FOUND"
        assert download(client, run_id, "kept") == b"kept"


def test_without_s3_the_server_serves_and_artifacts_wait(
    own_server: Callable[..., UpServer], mortal_seaweed: Seaweed
) -> None:
    mortal_seaweed.kill()
    server = own_server(weed=mortal_seaweed)
    server.start()
    with server.client() as client:
        run_id = new_run(server, client)
        error = refusal(upload, client, run_id, "a", b"1")
        assert (error.code.name, error.reason) == ("UNAVAILABLE", "ARTIFACT_STORE_AWAY")
        server.logged("S3 does not answer")
        mortal_seaweed.start()
        upload(client, run_id, "a", b"1")
        server.logged("S3 answers again")
        assert download(client, run_id, "a") == b"1"


def test_s3_that_is_killed_keeps_what_was_acknowledged(
    own_server: Callable[..., UpServer], mortal_seaweed: Seaweed
) -> None:
    if not mortal_seaweed.is_running:
        mortal_seaweed.start()
    server = own_server(weed=mortal_seaweed)
    server.start()
    with server.client() as client:
        run_id = new_run(server, client)
        upload(client, run_id, "a", b"1")
        sent = Upload(client, run_id, "large", size_bytes=len(LARGE), sha256=digest_of(LARGE))
        sent.send(LARGE, 0, 20 * MIB)
        sent.wait_until_durable(16 * MIB)
        mortal_seaweed.kill()

        def rest() -> None:
            sent.send(LARGE, 20 * MIB)
            sent.finish()

        assert refusal(rest).reason == "ARTIFACT_STORE_AWAY"
        # Until its time is over the SDK asks again.
        error = refusal(download, client, run_id, "a", timeout_seconds=3)
        assert error.reason == "ARTIFACT_STORE_AWAY"
        assert paths(client, run_id) == ["a"]
        mortal_seaweed.start()
        again = wait_until("the stream that failed is over", lambda: resumed(client, run_id, sent))
        assert again.durable >= 16 * MIB
        again.send(LARGE, again.durable)
        assert again.finish().sha256 == digest_of(LARGE)
        assert download(client, run_id, "large") == LARGE
        assert download(client, run_id, "a") == b"1"


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        (Fault(status=507, code="XMinioStorageFull"), "RESOURCE_EXHAUSTED", "ARTIFACT_STORE_FULL"),
        (Fault(status=403, code="AccessDenied"), "FAILED_PRECONDITION", "ARTIFACT_STORE_DENIED"),
        (Fault(status=404, code="NoSuchBucket"), "FAILED_PRECONDITION", "ARTIFACT_STORE_DENIED"),
        (Fault(status=503, code="SlowDown"), "UNAVAILABLE", "ARTIFACT_STORE_BUSY"),
        (Fault(status=500, code="InternalError"), "UNAVAILABLE", "ARTIFACT_STORE_AWAY"),
        (Fault(hold=True), "UNAVAILABLE", "ARTIFACT_STORE_AWAY"),
    ],
    ids=["full", "denied", "no bucket", "busy", "broken", "slow"],
)
def test_an_upload_hears_what_is_wrong_with_s3(
    relayed: tuple[UpServer, needletail.Client, str], relay: Relay, fault: Fault, code: str,
    reason: str,
) -> None:  # fmt: skip
    _, client, run_id = relayed
    relay.fault = lambda method, _path: fault if method == "PUT" else None
    # One byte: libcurl takes a rate below a byte per second, over some seconds, for a stall.
    error = refusal(upload, client, run_id, "a", b"1")
    assert (error.code.name, error.reason) == (code, reason)
    assert paths(client, run_id) == []
    relay.heal()
    assert upload(client, run_id, "a", b"1").size_bytes == 1


def test_what_passes_by_itself_is_tried_again(
    relayed: tuple[UpServer, needletail.Client, str], relay: Relay
) -> None:
    _, client, run_id = relayed
    relay.fail_once(lambda method, _path: method == "PUT", Fault(status=503, code="SlowDown"))
    upload(client, run_id, "a", b"1")
    relay.fail_once(lambda method, _path: method == "GET", Fault(status=500))
    assert download(client, run_id, "a") == b"1"


def test_bytes_that_change_on_the_way_are_noticed(
    relayed: tuple[UpServer, needletail.Client, str], relay: Relay
) -> None:
    _, client, run_id = relayed
    upload(client, run_id, "a", LARGE[: 6 * MIB])
    assert download(client, run_id, "a") == LARGE[: 6 * MIB]
    # S3 refuses a body that is not what its checksum says; it is sent again.
    sent = LARGE[6 * MIB : 12 * MIB]
    relay.fail_once(is_body, Fault(alter="request"))
    before = len(relay.seen)
    upload(client, run_id, "b", sent)
    bodies = [path for method, path in relay.seen[before:] if is_body(method, path)]
    assert len(bodies) > len(set(bodies))
    assert download(client, run_id, "b") == sent
    relay.fault = lambda method, path: Fault(alter="request") if is_body(method, path) else None
    assert refusal(upload, client, run_id, "c", sent[:MIB]).code.name == "INTERNAL"
    assert paths(client, run_id) == ["a", "b"]
    # The whole is what is compared, and its end is what is kept back.
    relay.fault = lambda method, _path: Fault(alter="answer") if method == "GET" else None
    assert refusal(download, client, run_id, "a").code.name == "INTERNAL"


def test_an_end_that_fails_leaves_nothing_and_can_be_had_again(
    relayed: tuple[UpServer, needletail.Client, str], relay: Relay, seaweed: Seaweed
) -> None:
    server, client, run_id = relayed
    blob = f"{place_of(server)}blobs/{digest_of(LARGE)}"
    assert seaweed.keys(blob) == []
    sent = Upload(client, run_id, "large")
    sent.send(LARGE)
    relay.fault = lambda method, path: (
        Fault(status=400, code="InvalidPart") if method == "POST" and "uploadId" in path else None
    )
    assert refusal(sent.finish).reason == "ARTIFACT_STORE_DENIED"
    assert paths(client, run_id) == []
    assert seaweed.keys(blob) == []
    assert any(method == "DELETE" and "uploadId" in path for method, path in relay.seen)
    relay.heal()
    again = wait_until("the stream that failed is over", lambda: resumed(client, run_id, sent))
    assert again.durable == len(LARGE)
    assert again.finish().sha256 == digest_of(LARGE)
    assert download(client, run_id, "large") == LARGE
    assert seaweed.keys(blob) == [blob]


def test_keys_are_read_again_when_they_are_refused(
    own_server: Callable[..., UpServer], seaweed: Seaweed, place: Path
) -> None:
    file = keys_file(place / "keys", "another-secret")
    server = own_server("--set", f"artifact-s3-credentials-file={file}")
    server.start()
    with server.client() as client:
        run_id = new_run(server, client)
        error = refusal(upload, client, run_id, "a", b"1")
        assert error.reason == "ARTIFACT_STORE_DENIED"
        assert "another-secret" not in server.log
        keys_file(file)
        upload(client, run_id, "a", b"1")


def test_over_tls_the_endpoint_must_be_who_it_says(
    own_server: Callable[..., UpServer], seaweed: Seaweed, place: Path
) -> None:
    endpoint = f"https://127.0.0.1:{seaweed.https_port}"
    for authority, is_trusted in ((seaweed.authority, True), (Authority(place), False)):
        server = own_server(*seaweed.settings(endpoint, s3_ca_file=str(authority.ca_file)))
        server.start()
        with server.client() as client:
            run_id = new_run(server, client)
            if is_trusted:
                upload(client, run_id, "a", LARGE)
                assert download(client, run_id, "a") == LARGE
            else:
                error = refusal(upload, client, run_id, "a", b"1")
                assert error.reason == "ARTIFACT_STORE_DENIED"


def test_a_bucket_is_named_by_the_host_where_that_is_said(
    own_server: Callable[..., UpServer], seaweed: Seaweed
) -> None:
    server = own_server(
        "--set", "artifact-s3-style=host",
        "--set", f"artifact-s3-endpoint=http://localhost:{seaweed.port}",
    )  # fmt: skip
    server.start()
    with server.client() as client:
        run_id = new_run(server, client)
        upload(client, run_id, "a", LARGE)
        assert download(client, run_id, "a") == LARGE
        assert seaweed.keys(f"{place_of(server)}blobs/")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"s3_bucket": "none"}, "artifact-s3-endpoint and artifact-s3-bucket must be set"),
        ({"s3_credentials_file": "/nonexistent/keys"}, "cannot be read"),
        ({"s3_credentials_file": "none"}, "AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_at_the_start(
    own_server: Callable[..., UpServer], seaweed: Seaweed, settings: dict[str, str], what: str
) -> None:
    server = own_server(*seaweed.settings(**settings))
    server.launch()
    assert server.wait() != 0
    assert what in server.log
