"""Files of runs, logged models and traces: each their own, with the roles of their project."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.artifacts import Owner, download_file, list_files, upload_file, upload_folder
from needletail.errors import CallError
from needletail.identity import ProjectRole, Visibility
from needletail.tracing import TraceState
from organizations import uuid7
from program import run_program
from projects import open_team, refused
from uploads import Upload, digest_of, download, upload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import needletail
    from program import Connection, UpServer
    from projects import Team

KINDS = ("run", "logged_model", "trace")
REASONS = {
    "run": "RUN_NOT_FOUND", "logged_model": "LOGGED_MODEL_NOT_FOUND", "trace": "TRACE_NOT_FOUND",
}  # fmt: skip


class Owners:
    """One of everything that may have files, in an experiment of the test's own."""

    def __init__(self, client: needletail.Client, sql: Connection, project: str) -> None:
        self.client, self.sql, self.project = client, sql, project
        tracking = client.tracking
        self.experiment = tracking.create_experiment(
            project_id=project, name=f"files {uuid.uuid4()}"
        ).id
        self.run = tracking.create_run(experiment_id=self.experiment).id
        self.trace = f"tr-{uuid.uuid4().hex}"
        client.tracing.start_trace(
            project_id=project, experiment_id=self.experiment, trace_id=self.trace,
            state=TraceState.OK, request_time_ms=1,
        )  # fmt: skip
        self.model = str(uuid7())
        sql.execute(
            "insert into logged_models (organization_id, id, project_id, experiment_id, name,"
            " created_by) select organization_id, %s, project_id, id, 'model', created_by"
            " from experiments where id = %s",
            [self.model, self.experiment],
        )

    def of(self, kind: str) -> Owner:
        """Return one of them as the SDK names it."""
        if kind == "run":
            return Owner(run_id=self.run)
        if kind == "logged_model":
            return Owner(logged_model_id=self.model)
        return Owner(trace_id=self.trace, project_id=self.project)

    def delete(self, kind: str) -> None:
        """Delete one of them."""
        if kind == "run":
            self.client.tracking.delete_run(id=self.run)
        elif kind == "trace":
            self.client.tracing.delete_traces(
                project_id=self.project, experiment_id=self.experiment, trace_ids=[self.trace]
            )
        else:
            self.sql.execute(
                "update logged_models set deleted_at = now() where id = %s", [self.model]
            )


@pytest.fixture
def owners(served: UpServer, client: needletail.Client, sql: Connection) -> Owners:
    return Owners(client, sql, served.connection["project_id"])


@pytest.fixture(scope="module")
def team(served: UpServer) -> Iterator[Team]:
    with served.sql() as sql, open_team(served, sql) as team:
        yield team


def calls(client: needletail.Client, owner: Owner, path: str = "a") -> dict[str, Any]:
    """Return every way to ask for files of an owner."""
    named, tracking = owner.fields, client.tracking
    return {
        "upload": lambda: upload(client, owner, path, b"1"),
        "download": lambda: download(client, owner, path),
        "get": lambda: tracking.get_artifact(**named, path=path),
        "list": lambda: tracking.list_artifacts(**named),
        "delete": lambda: tracking.delete_artifact(**named, path=path),
    }


def test_each_has_files_of_its_own(client: needletail.Client, owners: Owners) -> None:
    made = {}
    for kind in KINDS:
        owner, data = owners.of(kind), kind.encode()
        sent = Upload(client, owner, "out/data.bin", sha256=digest_of(data))
        under_way = client.tracking.get_upload(id=sent.id)
        told = {f"{one}_id": getattr(under_way, f"{one}_id") for one in KINDS}
        assert told == {name: getattr(owner, name) for name in told}
        sent.send(data)
        made[kind] = sent.finish()
        assert {f"{one}_id": getattr(made[kind], f"{one}_id") for one in KINDS} == told
        finished = client.tracking.get_upload(id=sent.id)
        assert finished.is_finished
        assert {f"{one}_id": getattr(finished, f"{one}_id") for one in KINDS} == told
    for kind in KINDS:
        named = owners.of(kind).fields
        assert client.tracking.get_artifact(**named, path="out/data.bin") == made[kind]
        assert download(client, owners.of(kind), "out/data.bin") == kind.encode()
        (folder,) = client.tracking.list_artifacts(**named).entries
        assert (folder.path, folder.is_folder, folder.size_bytes) == ("out", True, len(kind))
        error = refused("ARTIFACT_PATH_TAKEN", upload, client=client, owner=owners.of(kind),
                        path="out", data=b"1")  # fmt: skip
        assert "out" in str(error)
    # One goes, and the others stay.
    for number, kind in enumerate(KINDS, 1):
        named = owners.of(kind).fields
        assert client.tracking.delete_artifact(**named, path="out/data.bin") == made[kind]
        refused("ARTIFACT_NOT_FOUND", client.tracking.delete_artifact, **named, path="out/data.bin")
        left = [one for one in KINDS if list(list_files(client, owners.of(one)))]
        assert left == list(KINDS[number:])


def test_an_upload_goes_on_only_for_its_owner(client: needletail.Client, owners: Owners) -> None:
    sent = Upload(client, owners.of("trace"), "a")
    sent.send(b"12345")
    made = sent.finish()
    for kind in ("run", "logged_model"):
        refused("UPLOAD_NOT_FOUND", Upload, client=client, owner=owners.of(kind),
                upload_id=sent.id)  # fmt: skip
    assert Upload(client, owners.of("trace"), upload_id=sent.id).artifact == made
    begun = Upload(client, owners.of("logged_model"), "b")
    begun.call.close()
    refused("UPLOAD_NOT_FOUND", Upload, client=client, owner=owners.of("trace"),
            upload_id=begun.id)  # fmt: skip


def test_exactly_one_owner_is_named(client: needletail.Client, owners: Owners) -> None:
    run, model = {"run_id": owners.run}, {"logged_model_id": owners.model}
    trace = {"trace_id": owners.trace, "project_id": owners.project}
    for wrong, field in (
        ({}, "run_id"),
        ({**run, **model}, "logged_model_id"),
        ({**run, **trace}, "trace_id"),
        ({**model, **trace}, "trace_id"),
        ({"trace_id": owners.trace}, "project_id"),
        ({**run, "project_id": owners.project}, "project_id"),
        ({"project_id": owners.project}, "project_id"),
        ({"logged_model_id": "m-1"}, "logged_model_id"),
        ({**trace, "trace_id": "x" * 251}, "trace_id"),
    ):
        for call in calls(client, Owner(**wrong)).values():
            error = refused("FIELD_INVALID", call)
            assert field in {violation.field for violation in error.field_violations}
    with pytest.raises(CallError) as caught:
        client.tracking.list_artifacts(**run, **model)
    (violation,) = caught.value.field_violations
    assert "run_id and logged_model_id is" in violation.description


def test_what_is_not_there_or_another_thing_is_not_found(
    client: needletail.Client, owners: Owners
) -> None:
    strange = str(uuid.uuid4())
    for kind, owner in (
        ("run", Owner(run_id=owners.model)),
        ("logged_model", Owner(logged_model_id=owners.run)),
        ("logged_model", Owner(logged_model_id=strange)),
        ("trace", Owner(trace_id=owners.run, project_id=owners.project)),
        ("trace", Owner(trace_id=owners.trace, project_id=strange)),
    ):
        for call in calls(client, owner).values():
            refused(REASONS[kind], call)


def test_another_organization_finds_nothing(
    team: Team, client: needletail.Client, owners: Owners
) -> None:
    for kind in KINDS:
        made = upload(client, owners.of(kind), "a", b"theirs")
        for call in calls(team.admin.client, owners.of(kind)).values():
            refused(REASONS[kind], call)
        refused("UPLOAD_NOT_FOUND", team.admin.client.tracking.get_upload, id=made.id)
        assert download(client, owners.of(kind), "a") == b"theirs"


def test_the_role_in_the_project_counts(team: Team, sql: Connection) -> None:
    project = team.project(visibility=Visibility.PRIVATE).id
    owners = Owners(team.owner.client, sql, project)
    for kind in KINDS:
        made = upload(team.owner.client, owners.of(kind), "a", b"1")
        for call in calls(team.developer.client, owners.of(kind)).values():
            refused(REASONS[kind], call)
        refused("UPLOAD_NOT_FOUND", team.developer.client.tracking.get_upload, id=made.id)
    identity = team.owner.client.identity
    identity.set_project_member(
        project_id=project, user_id=team.developer.id, role=ProjectRole.VIEWER
    )
    for kind in KINDS:
        found = calls(team.developer.client, owners.of(kind))
        assert found["download"]() == b"1"
        assert len(found["list"]().entries) == 1
        refused("PERMISSION_MISSING", found["upload"])
        refused("PERMISSION_MISSING", found["delete"])
    identity.set_project_member(
        project_id=project, user_id=team.developer.id, role=ProjectRole.CONTRIBUTOR
    )
    for kind in KINDS:
        found = calls(team.developer.client, owners.of(kind))
        found["upload"]()
        assert found["delete"]().path == "a"


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_a_deleted_owner_are_not_there(
    client: needletail.Client, owners: Owners, kind: str
) -> None:
    made = upload(client, owners.of(kind), "a", b"1")
    under_way = Upload(client, owners.of(kind), "b")
    key = f"key {uuid.uuid4()}"
    gone = client.tracking.delete_artifact(**owners.of(kind).fields, path="a", idempotency_key=key)
    assert gone == made
    owners.delete(kind)
    for call in calls(client, owners.of(kind)).values():
        refused(REASONS[kind], call)
    for upload_id in (made.id, under_way.id):
        refused("UPLOAD_NOT_FOUND", client.tracking.get_upload, id=upload_id)
    under_way.send(b"2")
    with pytest.raises(CallError):
        under_way.finish()
    # What was answered before is answered again.
    again = client.tracking.delete_artifact(**owners.of(kind).fields, path="a", idempotency_key=key)
    assert again == made


def test_rows_go_with_a_trace_and_bytes_once_nothing_has_them(
    client: needletail.Client, owners: Owners, sql: Connection
) -> None:
    data = uuid.uuid4().bytes
    upload(client, owners.of("trace"), "attachments/1", data)
    upload(client, owners.of("run"), "kept", data)
    owners.delete("trace")
    row = sql.execute(
        "select count(*) as n from artifacts where sha256 = %s", [bytes.fromhex(digest_of(data))]
    ).fetchone()
    assert row == {"n": 1}
    assert download(client, owners.of("run"), "kept") == data


def test_the_audit_log_says_whose_file_it_was(
    client: needletail.Client, owners: Owners, sql: Connection
) -> None:
    for kind in KINDS:
        made = upload(client, owners.of(kind), "a", b"1")
        client.tracking.delete_artifact(**owners.of(kind).fields, path="a")
        entries = sql.execute(
            "select action, project_id::text, details from audit_logs where resource_id = %s"
            " order by id",
            [made.id],
        ).fetchall()
        assert [entry["action"] for entry in entries] == ["artifact.upload", "artifact.delete"]
        named = getattr(owners.of(kind), f"{kind}_id")
        for entry in entries:
            assert entry["project_id"] == owners.project
            assert (entry["details"][f"{kind}_id"], entry["details"]["path"]) == (named, "a")
        assert entries[0]["details"]["after"]["sha256"] == made.sha256


@pytest.mark.parametrize("kind", KINDS)
def test_the_sdk_and_the_command_line_know_each_kind(
    served: UpServer, client: needletail.Client, owners: Owners, place: Path, kind: str
) -> None:
    (place / "out" / "deep").mkdir(parents=True)
    (place / "out" / "deep" / "one").write_bytes(b"one")
    owner = owners.of(kind)
    upload_file(client, owner, place / "out" / "deep" / "one", "by/sdk")
    upload_folder(client, owner, place / "out", "folder")
    download_file(client, owner, "folder/deep/one", place / "copy")
    assert (place / "copy").read_bytes() == b"one"
    options = {
        "run": [owners.run], "logged_model": ["--logged-model", owners.model],
        "trace": ["--trace", owners.trace, "--project", owners.project],
    }[kind]  # fmt: skip

    def cli(verb: str, *arguments: str | Path) -> str:
        result = run_program(
            "artifacts", verb, *options, *arguments, "--connection-file", served.connection_file
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    cli("upload", place / "out", "by/cli")
    cli("download", "by/cli/deep/one", "--to", place / "two")
    assert (place / "two").read_bytes() == b"one"
    entries = json.loads(cli("list", "by", "--recursive", "-o", "json"))["entries"]
    assert [entry["path"] for entry in entries] == ["by/cli/deep/one", "by/sdk"]
    cli("delete", "by", "--recursive", "--yes")
    assert [one.path for one in list_files(client, owner)] == ["folder/deep/one"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["list", "run", "a", "b"],
        ["list", "--logged-model", "1", "--trace", "2", "--project", "3"],
        ["list", "--trace", "2"],
        ["list", "--project", "3", "run"],
        ["upload", "run"],
        ["upload", "--logged-model", "1"],
        ["download", "run"],
        ["delete", "--logged-model", "1", "--yes"],
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: list[str]) -> None:
    result = run_program("artifacts", *arguments)
    assert result.returncode == 2, result.stderr
    assert "needletail artifacts" in result.stderr
