"""Models: what is kept, what is refused, and what is found of them and their versions."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from needletail import CallError
from needletail.identity import ProjectRole, Visibility
from needletail.registry import ModelName, ModelStage, ModelTag
from projects import audited, open_team, refused

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


# Models


def test_a_model_has_what_it_is_created_with_and_is_found_by_its_name(
    client: needletail.Client, project_id: str, sql: Connection
) -> None:
    name = f"fraud {uuid.uuid4()}"
    made = client.registry.create_model(
        project_id=project_id, name=name, description="finds it", metadata_json='{"a": 1}',
        model_type="classification", framework="xgboost", task_type="binary",
        tags=tags(team="risk"),
    )  # fmt: skip
    by_name = client.registry.get_model(model=ModelName(project_id=project_id, name=name))
    assert by_name == client.registry.get_model(id=made.id)
    assert (by_name.name, by_name.description, by_name.metadata_json) == (
        name, "finds it", '{"a": 1}',
    )  # fmt: skip
    assert (by_name.model_type, by_name.framework, by_name.task_type) == (
        "classification", "xgboost", "binary",
    )  # fmt: skip
    assert pairs(by_name.tags) == {"team": "risk"}
    assert (by_name.last_ordinal, by_name.latest_versions, by_name.aliases) == (0, (), ())
    (entry,) = audited(sql, made.id, "model.create")
    assert entry["after"]["tags.team"] == "risk"
    assert entry["after"]["framework"] == "xgboost"


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "..", ".", "..a", "x" * 256, "a\nb", " a"])
def test_what_is_no_name_is_refused(client: needletail.Client, project_id: str, name: str) -> None:
    refused("FIELD_INVALID", client.registry.create_model, project_id=project_id, name=name)


def test_a_name_is_exact_and_taken_once(client: needletail.Client, project_id: str) -> None:
    name = "ü" * 210 + uuid.uuid4().hex
    client.registry.create_model(project_id=project_id, name=name)
    refused("MODEL_NAME_TAKEN", client.registry.create_model, project_id=project_id, name=name)
    client.registry.create_model(project_id=project_id, name=name.upper())
    refused(
        "MODEL_NOT_FOUND", client.registry.get_model,
        model=ModelName(project_id=project_id, name=name + "x"),
    )  # fmt: skip


def test_a_model_is_changed_where_it_was_not_changed_before(
    client: needletail.Client, model: Model, sql: Connection
) -> None:
    changed = client.registry.update_model(
        id=model.id, etag=model.etag, name=f"{model.name} 2", metadata_json='{"b":2}'
    )
    assert changed.name == f"{model.name} 2"
    found = get(client, model)
    assert (found.name, found.etag, found.updated_at) == (
        changed.name, changed.etag, changed.updated_at,
    )  # fmt: skip
    refused("ETAG_MISMATCH", client.registry.update_model, id=model.id, etag=model.etag, name="x")
    (entry,) = audited(sql, model.id, "model.update")
    assert entry["before"]["name"] == model.name
    assert entry["after"]["name"] == changed.name


def test_a_deleted_model_frees_its_name_and_comes_back_whole(
    client: needletail.Client, project_id: str, model: Model
) -> None:
    registry = client.registry
    registry.create_model_version(model_id=model.id, tags=tags(kept="yes"))
    registry.set_model_alias(model_id=model.id, alias="champion", ordinal=1)
    registry.delete_model(id=model.id)
    refused("MODEL_NOT_FOUND", registry.get_model, id=model.id)
    refused("MODEL_NOT_FOUND", registry.get_model_version, model_id=model.id, ordinal=1)
    assert model.id in {one.id for one in registry.iterate_models(deleted=True)}
    other = registry.create_model(project_id=project_id, name=model.name)
    refused("MODEL_NAME_TAKEN", registry.undelete_model, id=model.id)
    registry.delete_model(id=other.id)
    registry.undelete_model(id=model.id)
    refused("RECOVERY_OVER", registry.undelete_model, id=model.id)
    found = registry.get_model_version(model_id=model.id, alias="champion")
    assert pairs(found.tags) == {"kept": "yes"}


def test_tags_are_set_changed_and_removed_together(
    client: needletail.Client, model: Model, sql: Connection
) -> None:
    version = client.registry.create_model_version(model_id=model.id)
    for put, read, kind, identifier in (
        (
            lambda **f: client.registry.set_model_tags(model_id=model.id, **f),
            lambda: get(client, model), "model", model.id,
        ),
        (
            lambda **f: client.registry.set_model_version_tags(model_version_id=version.id, **f),
            lambda: client.registry.get_model_version(id=version.id), "model_version", version.id,
        ),
    ):  # fmt: skip
        before = read()
        put(tags=tags(team="vision", old="yes"))
        put(tags=tags(team="speech", new="x" * 100_000), delete_keys=["old", "never there"])
        after = read()
        assert pairs(after.tags) == {"team": "speech", "new": "x" * 100_000}
        assert after.updated_at > before.updated_at
        assert audited(sql, identifier, f"{kind}.set_tags")[-1]["before"] == {
            "tags.team": "vision", "tags.old": "yes",
        }  # fmt: skip
        refused("FIELD_INVALID", put, tags=tags(k="x" * 100_001))
        refused("FIELD_INVALID", put, tags=[ModelTag(key="k" * 251, value="")])
        refused("FIELD_INVALID", put)
        long = "x" * 100_000
        refused(
            "TAG_LIMIT_REACHED", put, tags=[ModelTag(key=f"k{n}", value=long) for n in range(6)]
        )
        refused(
            "TAG_LIMIT_REACHED", put, tags=[ModelTag(key=f"k{n}", value="") for n in range(999)]
        )
        assert read() == after


# Search


def test_models_are_found_by_name_tags_and_in_order(
    client: needletail.Client, project_id: str
) -> None:
    text = uuid.uuid4().hex
    made = [
        client.registry.create_model(
            project_id=project_id, name=f"{text}-{letter}", tags=tags(letter=letter, text=text)
        )
        for letter in "bac"
    ]

    def found(filter: str, *order: str) -> list[str]:  # noqa: A002
        return [
            one.name[-1]
            for one in client.registry.iterate_models(filter=filter, order_by=order, page_size=2)
        ]

    assert found(f"name LIKE '{text}%'") == ["c", "a", "b"]
    assert found(f"name LIKE '{text}%'", "name ASC") == ["a", "b", "c"]
    assert found(f"tags.text = '{text}' AND tags.letter != 'a'", "name") == ["b", "c"]
    assert found(f"name ILIKE '{text.upper()}%'", "creation_timestamp ASC") == ["b", "a", "c"]
    client.registry.create_model_version(model_id=made[0].id)
    assert found(f"tags.text = '{text}'", "last_updated_timestamp DESC") == ["b", "c", "a"]
    refused("FILTER_INVALID", client.registry.list_models, filter="nothing = 'x'")
    refused("ORDER_INVALID", client.registry.list_models, order_by=["nothing"])
    (one,) = client.registry.list_models(filter=f"name = '{text}-b'").models
    assert pairs(one.tags) == {"letter": "b", "text": text}
    assert [version.ordinal for version in one.latest_versions] == [1]


def test_versions_are_found_across_models(
    client: needletail.Client, project_id: str, run_id: str
) -> None:
    text = uuid.uuid4().hex
    for letter in "ab":
        model = client.registry.create_model(project_id=project_id, name=f"{text}-{letter}")
        for number in (1, 2):
            client.registry.create_model_version(
                model_id=model.id, source=f"s3://{text}/{letter}{number}", tags=tags(text=text),
                source_run=run_id if letter == "a" else text,
            )  # fmt: skip

    def found(filter: str, *order: str, **fields: Any) -> list[str]:  # noqa: A002
        return [
            f"{one.model_name[-1]}{one.ordinal}"
            for one in client.registry.iterate_model_versions(
                filter=filter, order_by=order, page_size=1, **fields
            )
        ]

    assert found(f"name = '{text}-a'") == ["a2", "a1"]
    assert found(f"tags.text = '{text}'", "version_number DESC", "name ASC") == [
        "a2", "b2", "a1", "b1",
    ]  # fmt: skip
    assert found(f"name = '{text}-b' AND version_number > 1") == ["b2"]
    assert found(f"run_id = '{run_id}'", "version_number ASC") == ["a1", "a2"]
    assert found(f"source_run_id = '{run_id}' AND version_number = 1") == ["a1"]
    assert found(f"run_id IN ('{text}', 'x')", "creation_timestamp ASC") == ["b1", "b2"]
    assert found(f"source_path = 's3://{text}/b1'") == ["b1"]
    assert found(f"tags.text = '{text}'", "name", "ordinal", model_id=model.id) == ["b1", "b2"]
    client.registry.transition_model_version_stage(
        model_id=model.id, ordinal=1, stage=ModelStage.PRODUCTION
    )
    assert found(f"tags.text = '{text}' AND stage = 'production'") == ["b1"]
    client.registry.delete_model_version(model_id=model.id, ordinal=1)
    assert found(f"name = '{text}-b'") == ["b2"]
    client.registry.delete_model(id=model.id)
    assert found(f"name = '{text}-b'") == []


def test_a_page_of_long_tags_is_shorter(client: needletail.Client, project_id: str) -> None:
    text = uuid.uuid4().hex
    for number in range(6):
        model = client.registry.create_model(
            project_id=project_id, name=f"{text}-{number}",
            tags=[ModelTag(key=f"k{n}", value="x" * 100_000) for n in range(5)],
        )  # fmt: skip
        client.registry.create_model_version(
            model_id=model.id, tags=[ModelTag(key=f"k{n}", value="x" * 100_000) for n in range(5)]
        )
    first = client.registry.list_models(filter=f"name LIKE '{text}%'")
    assert 0 < len(first.models) < 6
    assert len(list(client.registry.iterate_models(filter=f"name LIKE '{text}%'"))) == 6
    versions = list(client.registry.iterate_model_versions(filter=f"name LIKE '{text}%'"))
    assert [len(one.tags) for one in versions] == [5] * 6


# Access


def test_a_project_says_who_sees_and_changes_its_models(served: UpServer, sql: Connection) -> None:
    with open_team(served, sql) as team, open_team(served, sql, "others") as others:
        project = team.project(visibility=Visibility.PRIVATE).id
        made = team.owner.client.registry.create_model(project_id=project, name="private")
        team.owner.client.registry.create_model_version(model_id=made.id)
        name = ModelName(project_id=project, name="private")
        for stranger in (team.developer, others.admin):
            registry = stranger.client.registry
            refused("MODEL_NOT_FOUND", registry.get_model, model=name)
            refused("MODEL_NOT_FOUND", registry.get_model_version, model=name, ordinal=1)
            refused("MODEL_NOT_FOUND", registry.update_model, model=name, description="x")
            refused("MODEL_NOT_FOUND", registry.create_model_version, model=name)
            refused("MODEL_NOT_FOUND", registry.set_model_alias, model=name, alias="a", ordinal=1)
            refused(
                "MODEL_VERSION_NOT_FOUND", registry.transition_model_version_stage, model=name,
                ordinal=1, stage=ModelStage.STAGING,
            )  # fmt: skip
            refused("PROJECT_NOT_FOUND", registry.create_model, project_id=project, name="mine")
            assert list(registry.iterate_models()) == []
            assert list(registry.iterate_model_versions()) == []
        team.owner.client.identity.set_project_member(
            project_id=project, user_id=team.developer.id, role=ProjectRole.VIEWER
        )
        registry = team.developer.client.registry
        assert registry.get_model(model=name).id == made.id
        refused("PERMISSION_MISSING", registry.update_model, model=name, description="x")
        refused("PERMISSION_MISSING", registry.create_model_version, model=name)
        refused("PERMISSION_MISSING", registry.create_model, project_id=project, name="mine")


def test_no_more_models_than_the_plan_allows(served: UpServer, sql: Connection) -> None:
    with open_team(served, sql, "bounded") as team:
        sql.execute("update organizations set max_models = 3 where id = %s", [team.organization.id])
        registry = team.owner.client.registry
        project = team.project().id
        first = registry.create_model(project_id=project, name="first")
        with ThreadPoolExecutor(8) as pool:
            made = [
                pool.submit(registry.create_model, project_id=project, name=f"model {number}")
                for number in range(8)
            ]
        failures = [error for one in made if isinstance(error := one.exception(), CallError)]
        assert len(failures) == 6
        assert {(error.reason, error.details["max_models"]) for error in failures} == {
            ("PLAN_LIMIT_REACHED", "3")
        }
        registry.delete_model(id=first.id)
        registry.create_model(project_id=project, name="another")
        refused("PLAN_LIMIT_REACHED", registry.undelete_model, id=first.id)
