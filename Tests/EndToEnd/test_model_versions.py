"""Versions of models, their stages and aliases: what is kept, and what is refused."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from needletail.registry import ModelName, ModelStage, ModelTag, ModelVersionStatus
from projects import audited, refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    import needletail
    from needletail.registry import Model
    from program import Connection, UpServer


def tags(**pairs: str) -> list[ModelTag]:
    return [ModelTag(key=key, value=value) for key, value in pairs.items()]


def pairs(found: Iterable[ModelTag]) -> dict[str, str]:
    return {one.key: one.value for one in found}


@pytest.fixture
def project_id(served: UpServer) -> str:
    return str(served.connection["project_id"])


@pytest.fixture
def model(client: needletail.Client, project_id: str) -> Model:
    """A model of the test's own."""
    return client.registry.create_model(project_id=project_id, name=f"model {uuid.uuid4()}")


def get(client: needletail.Client, model: Model) -> Any:
    return client.registry.get_model(id=model.id)


# Versions


def test_a_version_has_what_it_is_registered_with(
    client: needletail.Client, model: Model, run_id: str, sql: Connection
) -> None:
    fields: dict[str, Any] = {
        "version": "1.2.0-rc.1", "status_message": "soon", "source": "s3://bucket/model",
        "run_link": "https://example.com/run", "logged_model": "m-1", "description": "first",
        "user": "eve", "requirements": "numpy==2", "input_schema_json": '{"a": 1}',
        "output_schema_json": '{"b": 1}', "performance_metrics_json": '{"c": 1}',
        "training_metrics_json": '{"d": 1}', "hyperparameters_json": '{"e": 1}',
    }  # fmt: skip
    made = client.registry.create_model_version(
        model_id=model.id, status=ModelVersionStatus.PENDING, tags=tags(a="b"),
        source_run=run_id.replace("-", ""), **fields,
    )  # fmt: skip
    found = client.registry.get_model_version(id=made.id)
    assert {name: getattr(found, name) for name in fields} == fields
    assert (found.model_id, found.model_name, found.ordinal) == (model.id, model.name, 1)
    assert (found.source_run_id, found.source_run) == (run_id, run_id.replace("-", ""))
    assert (found.status, found.stage) == (ModelVersionStatus.PENDING, ModelStage.NONE)
    assert pairs(found.tags) == {"a": "b"}
    assert (made.etag, made.updated_at) == (found.etag, found.updated_at)
    after = get(client, model)
    assert after.updated_at == made.created_at
    assert [one.id for one in after.latest_versions] == [made.id]
    (entry,) = audited(sql, made.id, "model_version.create")
    assert entry["after"]["source"] == "s3://bucket/model"


def test_a_run_that_is_not_here_is_kept_as_it_was_written(
    client: needletail.Client, model: Model
) -> None:
    for text in (uuid.uuid4().hex, str(uuid.uuid4()), "elsewhere"):
        made = client.registry.create_model_version(model_id=model.id, source_run=text)
        assert (made.source_run_id, made.source_run) == ("", text)


def test_versions_that_come_at_once_have_ordinals_of_their_own(
    client: needletail.Client, model: Model
) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(lambda _: client.registry.create_model_version(model_id=model.id), range(24))
        )
    assert sorted(one.ordinal for one in made) == list(range(1, 25))
    assert all(one.version == f"{one.ordinal}.0.0" for one in made)
    client.registry.delete_model_version(model_id=model.id, ordinal=24)
    assert client.registry.create_model_version(model_id=model.id).ordinal == 25


def test_a_semantic_version_is_one_and_there_once(client: needletail.Client, model: Model) -> None:
    create = client.registry.create_model_version
    first = create(model_id=model.id, version="2.0.0+a")
    refused("MODEL_VERSION_TAKEN", create, model_id=model.id, version="2.0.0+b")
    refused("FIELD_INVALID", create, model_id=model.id, version="2.0")
    client.registry.delete_model_version(id=first.id)
    assert create(model_id=model.id, version="2.0.0+b").ordinal == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "x" * 1_001},
        {"source_run": "x" * 501},
        {"hyperparameters_json": "[]"},
        {"requirements": "x" * 65_537},
        {"status": 9},
        {"version": "1.0.0-" + "x" * 100},
    ],
)
def test_what_no_version_can_have_is_refused(
    client: needletail.Client, model: Model, fields: dict[str, Any]
) -> None:
    refused("FIELD_INVALID", client.registry.create_model_version, model_id=model.id, **fields)
    assert get(client, model).last_ordinal == 0


def test_a_version_is_changed_and_what_it_was_made_from_stays(
    client: needletail.Client, model: Model, sql: Connection
) -> None:
    made = client.registry.create_model_version(
        model_id=model.id, source="s3://a", input_schema_json='{"a": 1}', hyperparameters_json="{}"
    )
    changed = client.registry.update_model_version(
        model_id=model.id, ordinal=1, etag=made.etag, status=ModelVersionStatus.FAILED,
        status_message="no", description="d", input_schema_json="",
    )  # fmt: skip
    found = client.registry.get_model_version(id=made.id)
    assert (found.status, found.status_message, found.description) == (
        ModelVersionStatus.FAILED, "no", "d",
    )  # fmt: skip
    assert (found.input_schema_json, found.hyperparameters_json) == ("", "{}")
    assert (changed.etag, changed.updated_at) == (found.etag, found.updated_at)
    # What is said of a version changes nothing of its model.
    assert get(client, model).updated_at == made.created_at
    refused(
        "ETAG_MISMATCH", client.registry.update_model_version,
        id=made.id, etag=made.etag, description="x",
    )  # fmt: skip
    (entry,) = audited(sql, made.id, "model_version.update")
    assert (entry["before"]["status"], entry["after"]["status"]) == ("ready", "failed")


def test_a_deleted_version_is_gone_with_its_aliases(
    client: needletail.Client, model: Model
) -> None:
    registry = client.registry
    made = registry.create_model_version(model_id=model.id)
    registry.set_model_alias(model_id=model.id, alias="champion", ordinal=1)
    was = datetime.now(UTC)
    deleted = registry.delete_model_version(id=made.id)
    assert deleted.deleted_at is not None
    refused("MODEL_VERSION_NOT_FOUND", registry.get_model_version, id=made.id)
    refused("MODEL_VERSION_NOT_FOUND", registry.get_model_version, model_id=model.id, ordinal=1)
    refused(
        "MODEL_ALIAS_NOT_FOUND", registry.get_model_version, model_id=model.id, alias="champion"
    )
    found = registry.get_model_version(model_id=model.id, alias="champion", as_of=was)
    assert (found.id, found.deleted_at) == (made.id, deleted.deleted_at)
    after = get(client, model)
    assert (after.latest_versions, after.aliases) == ((), ())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"ordinal": 1, "alias": "a"},
        {"ordinal": -1},
        {"as_of": datetime.now(UTC), "ordinal": 1},
        {"alias": "latest"},
        {"stage": 9},
    ],
)
def test_what_is_asked_for_is_one_thing(
    client: needletail.Client, model: Model, fields: dict[str, Any]
) -> None:
    refused("FIELD_INVALID", client.registry.get_model_version, model_id=model.id, **fields)


# Stages


def test_a_version_in_use_archives_the_one_before(
    client: needletail.Client, model: Model, sql: Connection
) -> None:
    registry = client.registry
    first, second, third = (registry.create_model_version(model_id=model.id) for _ in range(3))
    for one in (first, second):
        registry.transition_model_version_stage(
            model_version_id=one.id, stage=ModelStage.PRODUCTION
        )
    answer = registry.transition_model_version_stage(
        model=ModelName(project_id=model.project_id, name=model.name), ordinal=3,
        stage=ModelStage.PRODUCTION, archive_existing_versions=True, comment="better",
    )  # fmt: skip
    assert list(answer.archived_version_ids) == [first.id, second.id]
    assert answer.version is not None
    assert answer.version.stage == ModelStage.PRODUCTION
    found = registry.get_model_version(model_id=model.id, stage=ModelStage.PRODUCTION)
    assert (found.id, found.etag) == (third.id, answer.version.etag)
    history = list(registry.iterate_stage_transitions(model_version_id=first.id, page_size=1))
    assert [(one.from_stage, one.stage, one.comment) for one in history] == [
        (ModelStage.PRODUCTION, ModelStage.ARCHIVED, "better"),
        (ModelStage.NONE, ModelStage.PRODUCTION, ""),
        (ModelStage.UNSPECIFIED, ModelStage.NONE, ""),
    ]
    assert history[0].ended_at is None
    assert [one.ended_at for one in history[1:]] == [one.started_at for one in history[:-1]]
    latest = {one.stage: one.ordinal for one in get(client, model).latest_versions}
    assert latest == {ModelStage.ARCHIVED: 2, ModelStage.PRODUCTION: 3}
    (entry,) = audited(sql, third.id, "model_version.transition")
    assert entry["after"]["archived"] == f"{first.id} {second.id}"
    refused(
        "FIELD_INVALID", registry.transition_model_version_stage, model_version_id=third.id,
        stage=ModelStage.ARCHIVED, archive_existing_versions=True,
    )  # fmt: skip
    refused("FIELD_INVALID", registry.transition_model_version_stage, model_version_id=third.id)


def test_the_same_stage_again_is_no_other_interval(client: needletail.Client, model: Model) -> None:
    made = client.registry.create_model_version(model_id=model.id)
    for _ in range(2):
        client.registry.transition_model_version_stage(
            model_version_id=made.id, stage=ModelStage.STAGING, archive_existing_versions=True
        )
    found = list(client.registry.iterate_stage_transitions(model_version_id=made.id))
    assert [one.stage for one in found] == [ModelStage.STAGING, ModelStage.NONE]


# Aliases


def test_an_alias_moves_and_what_it_stood_for_is_remembered(
    client: needletail.Client, model: Model, sql: Connection
) -> None:
    registry = client.registry
    first, second = (registry.create_model_version(model_id=model.id) for _ in range(2))
    set_first = registry.set_model_alias(model_id=model.id, alias="champion", ordinal=1)
    assert registry.set_model_alias(model_id=model.id, alias="champion", ordinal=1) == set_first
    set_second = registry.set_model_alias(model_id=model.id, alias="champion", ordinal=2)
    resolve = registry.get_model_version
    assert resolve(model_id=model.id, alias="champion").id == second.id
    at = set_first.started_at
    assert resolve(model_id=model.id, alias="champion", as_of=at).id == first.id
    refused(
        "MODEL_ALIAS_NOT_FOUND", resolve, model_id=model.id, alias="champion",
        as_of=model.created_at,
    )  # fmt: skip
    refused("MODEL_ALIAS_NOT_FOUND", resolve, model_id=model.id, alias="Champion")
    assert [one.alias for one in get(client, model).aliases] == ["champion"]
    assert resolve(id=second.id).aliases == ("champion",)
    registry.delete_model_alias(model_id=model.id, alias="champion")
    registry.delete_model_alias(model_id=model.id, alias="champion")
    refused("MODEL_ALIAS_NOT_FOUND", resolve, model_id=model.id, alias="champion")
    assert list(registry.iterate_model_aliases(model_id=model.id)) == []
    past = list(registry.iterate_model_aliases(model_id=model.id, include_ended=True, page_size=1))
    assert [(one.ordinal, one.started_at) for one in past] == [
        (2, set_second.started_at), (1, set_first.started_at),
    ]  # fmt: skip
    assert past[1].ended_at == past[0].started_at
    assert audited(sql, model.id, "model.set_alias")[-1] == {
        "before": {"alias.champion": first.id}, "after": {"alias.champion": second.id},
    }  # fmt: skip


@pytest.mark.parametrize("alias", ["", "latest", "LaTest", "v1", "V23", "a b", "a" * 256, "ä"])
def test_what_is_no_alias_is_refused(client: needletail.Client, model: Model, alias: str) -> None:
    client.registry.create_model_version(model_id=model.id)
    refused(
        "FIELD_INVALID", client.registry.set_model_alias, model_id=model.id, alias=alias, ordinal=1
    )


def test_an_alias_stands_for_a_version_that_there_is(
    client: needletail.Client, model: Model
) -> None:
    refused(
        "MODEL_VERSION_NOT_FOUND", client.registry.set_model_alias,
        model_id=model.id, alias="a", ordinal=1,
    )  # fmt: skip
    client.registry.create_model_version(model_id=model.id)
    for n in range(100):
        client.registry.set_model_alias(model_id=model.id, alias=f"a{n}", ordinal=1)
    refused(
        "ALIAS_LIMIT_REACHED", client.registry.set_model_alias,
        model_id=model.id, alias="more", ordinal=1,
    )  # fmt: skip
