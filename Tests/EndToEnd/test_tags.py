"""Tags and parameters of experiments and runs: what is set, what is refused, what is kept."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.tracking import Parameter, RunStatus, SearchInclude, Tag
from projects import audited, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import needletail
    from program import Connection, UpServer


def tags(**pairs: str) -> list[Tag]:
    return [Tag(key=key, value=value) for key, value in pairs.items()]


def parameters(**pairs: str) -> list[Parameter]:
    return [Parameter(key=key, value=value) for key, value in pairs.items()]


def pairs(found: Iterable[Tag | Parameter]) -> dict[str, str]:
    return {one.key: one.value for one in found}


Described = tuple["Callable[..., Any]", "Callable[..., dict[str, str]]", dict[str, str], str]


@pytest.fixture(params=["run", "experiment"])
def described(
    request: pytest.FixtureRequest, client: needletail.Client, experiment_id: str, run_id: str
) -> Described:
    """How tags of something are set and listed, its id, and its kind."""
    tracking = client.tracking
    if request.param == "run":
        names = {"run_id": run_id}
        return (
            tracking.set_run_tags, lambda: pairs(tracking.iterate_run_tags(**names)), names, "run"
        )  # fmt: skip
    names = {"experiment_id": experiment_id}
    return (
        tracking.set_experiment_tags,
        lambda: pairs(tracking.iterate_experiment_tags(**names)), names, "experiment",
    )  # fmt: skip


def test_tags_are_set_changed_and_removed_together(described: Described, sql: Connection) -> None:
    put, listed, names, kind = described
    put(**names, tags=tags(team="vision", empty="", old="yes"))
    assert listed() == {"team": "vision", "empty": "", "old": "yes"}
    put(**names, tags=tags(team="speech", new="1", empty=""), delete_keys=["old", "never there"])
    assert listed() == {"team": "speech", "empty": "", "new": "1"}
    (identifier,) = names.values()
    assert audited(sql, identifier, f"{kind}.set_tags")[-1] == {
        "before": {"tags.team": "vision", "tags.old": "yes"},
        "after": {"tags.team": "speech", "tags.new": "1"},
    }


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tags": [Tag(key="", value="x")]},
        {"tags": [Tag(key="k" * 251, value="x")]},
        {"tags": [Tag(key="a\nb", value="x")]},
        {"tags": [Tag(key="k", value="1"), Tag(key="k", value="2")]},
        {"tags": [Tag(key="k", value="1")], "delete_keys": ["k"]},
        {"delete_keys": ["k", "k"]},
        {"tags": [Tag(key="k", value="x" * 80_001)]},
        {"tags": [Tag(key=f"k{n}", value="") for n in range(1_001)]},
    ],
)
def test_bad_tags_are_refused_and_none_is_set(described: Described, fields: dict[str, Any]) -> None:
    put, listed, names, _ = described
    refused("FIELD_INVALID", put, **names, **fields)
    assert listed() == {}


def test_a_key_has_250_characters_of_any_language(described: Described) -> None:
    put, listed, names, _ = described
    longest = "鍵" * 250
    put(**names, tags=[Tag(key=longest, value="🚀" * 1_000)])
    assert listed() == {longest: "🚀" * 1_000}
    refused("FIELD_INVALID", put, **names, tags=[Tag(key=longest + "é", value="")])


def test_the_tags_of_one_thing_are_bounded(described: Described) -> None:
    put, listed, names, _ = described
    put(**names, tags=[Tag(key=f"k{n}", value="") for n in range(1_000)])
    refused("TAG_LIMIT_REACHED", put, **names, tags=tags(more="1"))
    put(**names, tags=tags(more="1", k1="changed"), delete_keys=["k0"])
    found = listed()
    assert len(found) == 1_000
    assert found["k1"] == "changed"


def test_a_page_of_long_values_ends_before_its_frame_is_full(
    client: needletail.Client, run_id: str
) -> None:
    wanted = {f"k{n:03}": "x" * 32_000 for n in range(150)}
    for start in range(0, 150, 50):
        keys = list(wanted)[start : start + 50]
        client.tracking.set_run_tags(run_id=run_id, tags=tags(**{k: wanted[k] for k in keys}))
    first = client.tracking.list_run_tags(run_id=run_id)
    assert 0 < len(first.tags) < 150
    assert pairs(client.tracking.iterate_run_tags(run_id=run_id)) == wanted
    assert pairs(client.tracking.iterate_run_tags(run_id=run_id, page_size=7)) == wanted


def test_a_new_run_and_a_new_experiment_have_what_they_are_created_with(
    client: needletail.Client, served: UpServer, sql: Connection
) -> None:
    experiment = client.tracking.create_experiment(
        project_id=served.connection["project_id"], name=f"tagged {uuid.uuid4()}",
        tags=tags(team="vision"),
    ).id  # fmt: skip
    run = client.tracking.create_run(
        experiment_id=experiment, tags=tags(host="a"), parameters=parameters(rate="0.1")
    ).id
    assert pairs(client.tracking.iterate_experiment_tags(experiment_id=experiment)) == {
        "team": "vision"
    }
    assert pairs(client.tracking.iterate_run_tags(run_id=run)) == {"host": "a"}
    assert pairs(client.tracking.iterate_run_parameters(run_id=run)) == {"rate": "0.1"}
    (created,) = audited(sql, run, "run.create")
    assert created["after"]["tags.host"] == "a"
    assert created["after"]["parameters.rate"] == "0.1"


def test_a_parameter_stays_as_it_was_written(client: needletail.Client, run_id: str) -> None:
    tracking = client.tracking
    tracking.log_parameters(run_id=run_id, parameters=parameters(rate="0.1", depth="3"))
    tracking.log_parameters(run_id=run_id, parameters=parameters(rate="0.1", width="9"))
    error = refused(
        "PARAMETER_DIFFERS", tracking.log_parameters, run_id=run_id,
        parameters=parameters(extra="1", depth="4"),
    )  # fmt: skip
    assert error.details == {"key": "depth"}
    assert "depth" in str(error)
    assert pairs(tracking.iterate_run_parameters(run_id=run_id)) == {
        "rate": "0.1", "depth": "3", "width": "9",
    }  # fmt: skip


def test_values_that_only_look_the_same_differ(client: needletail.Client, run_id: str) -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    tracking = client.tracking
    tracking.log_parameters(run_id=run_id, parameters=parameters(name=composed))
    refused(
        "PARAMETER_DIFFERS", tracking.log_parameters, run_id=run_id,
        parameters=parameters(name=decomposed),
    )  # fmt: skip
    tracking.set_run_tags(run_id=run_id, tags=tags(**{composed: "1", decomposed: "2"}))
    assert len(pairs(tracking.iterate_run_tags(run_id=run_id))) == 2


def test_what_is_overwritten_is_kept(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    tracking = client.tracking
    for value in ("1", "2", "2", "3"):
        tracking.log_parameters(
            run_id=run_id, parameters=parameters(depth=value, rate="0.1"), overwrite=True
        )
    assert pairs(tracking.iterate_run_parameters(run_id=run_id)) == {"depth": "3", "rate": "0.1"}
    history = list(tracking.iterate_parameter_history(run_id=run_id, key="depth", page_size=1))
    assert [version.value for version in history] == ["2", "1"]
    assert history[0].replaced_at >= history[1].replaced_at
    assert history[0].replaced_by == tracking.get_run(id=run_id).created_by
    assert not list(tracking.iterate_parameter_history(run_id=run_id, key="rate"))
    assert audited(sql, run_id, "run.log_parameters")[-1] == {
        "before": {"parameters.depth": "2"}, "after": {"parameters.depth": "3"},
    }  # fmt: skip


def test_a_run_that_has_ended_takes_tags_and_no_parameters(
    client: needletail.Client, run_id: str
) -> None:
    tracking = client.tracking
    tracking.finish_run(id=run_id)
    tracking.set_run_tags(run_id=run_id, tags=tags(verdict="good"))
    refused("RUN_FINISHED", tracking.log_parameters, run_id=run_id, parameters=parameters(late="1"))
    tracking.reopen_run(id=run_id)
    tracking.log_parameters(run_id=run_id, parameters=parameters(late="1"))


def test_a_scheduled_run_takes_parameters(client: needletail.Client, experiment_id: str) -> None:
    run = client.tracking.create_run(experiment_id=experiment_id, status=RunStatus.SCHEDULED).id
    client.tracking.log_parameters(run_id=run, parameters=parameters(rate="1"))
    assert pairs(client.tracking.iterate_run_parameters(run_id=run)) == {"rate": "1"}


def test_the_parameters_of_a_run_are_bounded(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    sql.execute(
        "insert into run_parameters (organization_id, run_id, key, value)"
        " select organization_id, id, 'k' || n, '' from runs, generate_series(1, 9999) as n"
        " where id = %s",
        [run_id],
    )
    tracking = client.tracking
    tracking.log_parameters(run_id=run_id, parameters=parameters(last="1"))
    refused(
        "PARAMETER_LIMIT_REACHED", tracking.log_parameters, run_id=run_id,
        parameters=parameters(more="1"),
    )  # fmt: skip
    # What is there already may be said again.
    tracking.log_parameters(run_id=run_id, parameters=parameters(last="1"))


def test_the_audit_log_keeps_the_beginning_of_a_long_value(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    many = {f"k{n:03}": "" for n in range(120)}
    client.tracking.set_run_tags(run_id=run_id, tags=tags(a="x" * 5_000, **many))
    after = audited(sql, run_id, "run.set_tags")[-1]["after"]
    assert after["tags.a"] == "x" * 200 + "… (5000 bytes)"
    assert len(after) == 101
    assert after["tags_changed"] == "121"


def test_tags_come_along_with_experiments(client: needletail.Client) -> None:
    tracking, key = client.tracking, str(uuid.uuid4())
    project = client.identity.create_project(name="tagged", slug=f"t-{key}").id
    made = [
        tracking.create_experiment(
            project_id=project, name=f"{number}",
            tags=[Tag(key=key, value="x" * 80_000), Tag(key="n", value=str(number))],
        ).id
        for number in range(20)
    ]  # fmt: skip
    include = SearchInclude(all=True)
    shown = tracking.get_experiment(id=made[0], tags=include)
    assert [tag.key for tag in shown.tags] == sorted((key, "n"))
    assert tracking.get_experiment(id=made[0]).tags == ()
    named = SearchInclude(keys=("n",))
    assert tracking.get_experiment(id=made[0], tags=named).tags == (Tag(key="n", value="0"),)

    # 1 MiB of tags is a page, sorted or not.
    for order in ((), ("experiment_id DESC",)):
        found, token = [], ""
        while len(found) < len(made):
            page = tracking.list_experiments(
                project_id=project, order_by=order, page_token=token, tags=include
            )
            assert len(page.experiments) == min(13, len(made) - len(found))
            found += page.experiments
            token = page.next_page_token
        assert [one.tags[-1].value for one in found] == [str(n) for n in reversed(range(20))]
    many = [Tag(key=f"k{number}", value="x" * 80_000) for number in range(13)]
    tracking.set_experiment_tags(experiment_id=made[0], tags=many)
    refused("SEARCH_TOO_LARGE", tracking.get_experiment, id=made[0], tags=include)
    assert len(tracking.get_experiment(id=made[0], tags=named).tags) == 1
