"""Profiles of datasets that are too long for one message: brought and told in pieces."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.datasets import SHORT_PROFILE_BYTES, log_inputs, read_profile
from needletail.errors import CallError
from needletail.identity import ProjectRole, Visibility
from needletail.tracking import InputDataset, NewRunInput, SearchInclude
from projects import audited, open_team, refused

if TYPE_CHECKING:
    import needletail
    from program import Connection, UpServer

MIB = 1 << 20
MOST = 16 * MIB - 1


def new(profile: str = "", **fields: Any) -> InputDataset:
    """Make a dataset that no project has yet."""
    return InputDataset(name=f"data {uuid.uuid4()}", digest="1", profile=profile, **fields)


def declared(client: needletail.Client, run: str, size: int = 3 * MIB) -> dict[str, Any]:
    """Link a run to a dataset whose profile is to come; return how it is named."""
    dataset = new(profile_bytes=size)
    client.tracking.log_inputs(run_id=run, inputs=[NewRunInput(dataset=dataset)])
    return {"run_id": run, "name": dataset.name, "digest": "1", "profile_bytes": size}


def told(client: needletail.Client, run: str) -> InputDataset:
    """Return the one dataset that a run read."""
    (found,) = client.tracking.list_run_inputs(run_id=run).inputs
    assert found.dataset is not None
    return found.dataset


@pytest.mark.parametrize(
    "profile",
    [
        "x" * SHORT_PROFILE_BYTES,
        "x" * (SHORT_PROFILE_BYTES + 1),
        "\u20ac" * MIB,
        "x" * (2 * MIB - 1) + "\U0001f600" + "y" * 70_000,
        "z" * MOST,
    ],
    ids=["short", "just long", "many bytes a character", "cut at a character", "the longest"],
)
def test_a_profile_comes_back_whole(client: needletail.Client, run_id: str, profile: str) -> None:
    size = len(profile.encode())
    log_inputs(client, run_id, [NewRunInput(dataset=new(profile))])
    found = told(client, run_id)
    is_short = size <= SHORT_PROFILE_BYTES
    assert found.profile == (profile if is_short else "")
    assert found.profile_bytes == size
    assert read_profile(client, run_id, found) == profile
    pieces = list(client.tracking.read_dataset_profile(run_id=run_id, name=found.name, digest="1"))
    assert "".join(piece.text for piece in pieces) == profile
    assert pieces[0].offset == 0
    assert all(len(piece.text.encode()) <= MIB for piece in pieces)
    if is_short:
        # With all else it is more than a search takes along.
        return
    run = client.tracking.get_run(id=run_id)
    page = client.tracking.search_runs(
        experiment_ids=[run.experiment_id], inputs=SearchInclude(all=True)
    )
    (searched,) = page.runs
    assert [one.dataset for one in searched.inputs] == [found]


def test_a_profile_that_is_too_long_is_refused(client: needletail.Client, run_id: str) -> None:
    with pytest.raises(CallError) as caught:
        log_inputs(client, run_id, [NewRunInput(dataset=new("x" * (MOST + 1)))])
    (violation,) = caught.value.field_violations
    assert violation.field == "inputs[0].dataset.profile_bytes"
    for dataset in (new(profile_bytes=-1), new(profile_bytes=7), new("abc", profile_bytes=2),
                    new("abc", profile_bytes=2 * MIB)):  # fmt: skip
        error = refused(
            "FIELD_INVALID", client.tracking.log_inputs, run_id=run_id,
            inputs=[NewRunInput(dataset=dataset)],
        )  # fmt: skip
        assert error.field_violations[0].field == "inputs[0].dataset.profile_bytes"
    assert client.tracking.list_run_inputs(run_id=run_id).inputs == ()


def test_what_was_told_can_be_linked_again(
    client: needletail.Client, experiment_id: str, run_id: str
) -> None:
    again = client.tracking.create_run(experiment_id=experiment_id).id
    for profile in ("short", "long" * MIB):
        log_inputs(client, run_id, [NewRunInput(dataset=new(profile))])
        found = client.tracking.list_run_inputs(run_id=run_id).inputs[0].dataset
        assert found is not None
        log_inputs(client, again, [NewRunInput(dataset=found)])
        assert client.tracking.list_run_inputs(run_id=again).inputs[0].dataset == found
        assert read_profile(client, again, found) == profile


def test_a_profile_is_told_once_it_is_whole(client: needletail.Client, run_id: str) -> None:
    at = declared(client, run_id)
    for number in range(3):
        found = told(client, run_id)
        assert (found.profile, found.profile_bytes) == ("", 0)
        reading = {key: value for key, value in at.items() if key != "profile_bytes"}
        assert list(client.tracking.read_dataset_profile(**reading)) == []
        answer = client.tracking.append_dataset_profile(
            **at, offset=number * MIB, text=str(number) * MIB
        )
        assert (answer.stored_bytes, answer.profile_bytes) == ((number + 1) * MIB, 3 * MIB)
        # Who missed the answer sends it again.
        again = client.tracking.append_dataset_profile(
            **at, offset=number * MIB, text=str(number) * MIB
        )
        assert again == answer
    assert told(client, run_id).profile_bytes == 3 * MIB
    assert read_profile(client, run_id, told(client, run_id)) == "".join(
        str(number) * MIB for number in range(3)
    )


def test_a_piece_that_does_not_fit_is_refused(client: needletail.Client, run_id: str) -> None:
    at = declared(client, run_id, MIB + 100_000)
    append = client.tracking.append_dataset_profile
    append(**at, offset=0, text="x" * 100_000)
    for offset in (99_999, 100_001, 0):
        error = refused("PROFILE_OFFSET_WRONG", append, **at, offset=offset, text="y" * 200_000)
        assert error.details["expected_offset"] == "100000"
    for fields, field in (
        ({"offset": -1, "text": "x"}, "offset"),
        ({"offset": 1 << 62, "text": "x"}, "offset"),
        ({"offset": 100_000, "text": ""}, "text"),
        ({"offset": 100_000, "text": "x" * (MIB + 1)}, "text"),
        ({"offset": 100_000, "text": "x" * 65_535}, "text"),
    ):
        error = refused("FIELD_INVALID", append, **at, **fields)
        assert [violation.field for violation in error.field_violations] == [field]
    append(**at, offset=100_000, text="x" * (MIB - 10))
    error = refused("FIELD_INVALID", append, **at, offset=MIB + 99_990, text="x" * 11)
    assert "which has 1148576 bytes" in error.field_violations[0].description
    assert append(**at, offset=MIB + 99_990, text="x" * 10).stored_bytes == MIB + 100_000


def test_what_was_said_of_a_dataset_first_stays(client: needletail.Client, run_id: str) -> None:
    long = "x" * (2 * MIB)
    for first in ("", "short", "y" * (2 * MIB - 1)):
        dataset = new(first)
        log_inputs(client, run_id, [NewRunInput(dataset=dataset)])
        log_inputs(client, run_id, [
            NewRunInput(dataset=dataclasses.replace(dataset, profile=long), context="again")
        ])  # fmt: skip
        found = [
            one.dataset for one in client.tracking.list_run_inputs(run_id=run_id).inputs
            if one.dataset is not None and one.dataset.name == dataset.name
        ]  # fmt: skip
        assert [read_profile(client, run_id, one) for one in found] == [first, first]
        refused(
            "PROFILE_NOT_EXPECTED", client.tracking.append_dataset_profile, run_id=run_id,
            name=dataset.name, digest="1", profile_bytes=2 * MIB, text="x",
        )  # fmt: skip


def test_only_who_sees_the_run_reads_and_only_contributors_bring(
    served: UpServer, sql: Connection, client: needletail.Client, run_id: str
) -> None:
    with open_team(served, sql) as team:
        project = team.project(visibility=Visibility.PRIVATE).id
        owner = team.owner.client
        experiment = owner.tracking.create_experiment(project_id=project, name="e").id
        run = owner.tracking.create_run(experiment_id=experiment).id
        at = declared(owner, run, 2 * MIB)
        other = owner.tracking.create_run(experiment_id=experiment).id
        reading = {"name": at["name"], "digest": "1"}
        piece = {"offset": 0, "text": "x" * MIB}
        for who, reason in ((client, "RUN_NOT_FOUND"), (team.developer.client, "RUN_NOT_FOUND")):
            refused(reason, who.tracking.append_dataset_profile, **at, **piece)
            with pytest.raises(CallError) as caught:
                list(who.tracking.read_dataset_profile(run_id=run, **reading))
            assert caught.value.reason == reason
        team.owner.client.identity.set_project_member(
            project_id=project, user_id=team.developer.id, role=ProjectRole.VIEWER
        )
        viewer = team.developer.client.tracking
        refused("PERMISSION_MISSING", viewer.append_dataset_profile, **at, **piece)
        assert list(viewer.read_dataset_profile(run_id=run, **reading)) == []
        # A run that did not read it, and a dataset that is not there.
        for named in ({**at, "run_id": other}, {**at, "name": "another"}, {**at, "digest": "2"}):
            refused("DATASET_NOT_FOUND", owner.tracking.append_dataset_profile, **named, **piece)
            del named["profile_bytes"]
            with pytest.raises(CallError) as caught:
                list(owner.tracking.read_dataset_profile(**named))
            assert caught.value.reason == "DATASET_NOT_FOUND"
    assert client.tracking.list_run_inputs(run_id=run_id).inputs == ()


def test_a_deleted_run_tells_it_where_that_is_asked_for(
    client: needletail.Client, run_id: str
) -> None:
    log_inputs(client, run_id, [NewRunInput(dataset=new("x" * 2 * MIB))])
    found = told(client, run_id)
    client.tracking.delete_run(id=run_id)
    with pytest.raises(CallError) as caught:
        read_profile(client, run_id, found)
    assert caught.value.reason == "RUN_NOT_FOUND"
    assert len(read_profile(client, run_id, found, include_deleted=True)) == 2 * MIB


def test_the_audit_log_tells_how_far_it_came(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    at = declared(client, run_id, 2 * MIB)
    for number in range(2):
        client.tracking.append_dataset_profile(**at, offset=number * MIB, text="x" * MIB)
    assert audited(sql, run_id, "run.append_dataset_profile") == [
        {
            "name": at["name"], "digest": "1", "before": {"stored_bytes": str(number * MIB)},
            "after": {"stored_bytes": str((number + 1) * MIB)},
        }
        for number in range(2)
    ]  # fmt: skip
