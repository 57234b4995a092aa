"""Webhooks: what is stored, changed, listed and refused, and who sees them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.identity import ProjectRole, Visibility
from needletail.registry import WebhookEvents, WebhookStatus
from projects import audited, open_team, refused
from test_purged_runs import purge
from waiting import wait_until

if TYPE_CHECKING:
    import needletail
    from needletail.registry import Webhook
    from program import Connection, UpServer

CREATED = "model_version.created"


class Hooks:
    """Webhooks of a project of the test's own."""

    def __init__(self, client: needletail.Client, project_id: str) -> None:
        self.registry, self.at = client.registry, {"project_id": project_id}

    def create(self, name: str = "hook", **fields: Any) -> Webhook:
        """Create a webhook."""
        standard = {"url": "https://example.com/hook", "events": [CREATED]}
        return self.registry.create_webhook(**{**self.at, **standard, "name": name, **fields})

    def where(self, webhook: Webhook) -> dict[str, str]:
        """Return what names a webhook."""
        return {**self.at, "webhook_id": webhook.id}

    def get(self, webhook: Webhook) -> Webhook:
        """Return a webhook as it is now."""
        return self.registry.get_webhook(**self.where(webhook))

    def names(self, **fields: Any) -> list[str]:
        """Return the names of all that a listing tells."""
        found, token = [], ""
        while True:
            page = self.registry.list_webhooks(**self.at, page_token=token, **fields)
            found += [one.name for one in page.webhooks]
            token = page.next_page_token
            if not token:
                return found


@pytest.fixture
def hooks(client: needletail.Client) -> Hooks:
    name = f"hooks-{uuid.uuid4()}"
    return Hooks(client, client.identity.create_project(name=name, slug=name).id)


def test_a_webhook_is_what_it_was_created_with(hooks: Hooks, sql: Connection) -> None:
    events = ["prompt_alias.deleted", CREATED, "registered_model.created"]
    made = hooks.create(
        "a", description="tells it", url="HTTP://localhost:8080/x?y=z", events=events,
        sealed_secret="gAAAA-secret",  # noqa: S106
    )  # fmt: skip
    assert hooks.get(made) == made
    assert (made.name, made.description, made.url) == (
        "a", "tells it", "HTTP://localhost:8080/x?y=z",
    )  # fmt: skip
    assert (list(made.events), made.sealed_secret) == (events, "gAAAA-secret")
    assert (made.status, made.created_at) == (WebhookStatus.ACTIVE, made.updated_at)
    assert hooks.create(status=WebhookStatus.DISABLED).status == WebhookStatus.DISABLED
    (entry,) = audited(sql, made.id, "webhook.create")
    assert (entry["before"], entry["after"]["secret"]) == ({}, "kept")
    assert entry["after"]["events"] == " ".join(events)
    assert "gAAAA" not in str(entry)


def test_a_change_changes_what_it_names_and_is_on_record(hooks: Hooks, sql: Connection) -> None:
    made = hooks.create(description="before", sealed_secret="one")  # noqa: S106
    other = hooks.create("other")
    update = hooks.registry.update_webhook
    changed = update(**hooks.where(made), status=WebhookStatus.DISABLED)
    assert (changed.status, changed.name) == (WebhookStatus.DISABLED, "hook")
    changed = update(
        **hooks.where(made), name="new", description="after", url="http://example.com",
        events=WebhookEvents(events=["prompt.created"]),
    )  # fmt: skip
    assert (changed.name, changed.description, changed.url) == (
        "new", "after", "http://example.com",
    )  # fmt: skip
    assert (list(changed.events), changed.status) == (["prompt.created"], WebhookStatus.DISABLED)
    assert (changed.sealed_secret, changed.created_at) == ("one", made.created_at)
    times = [changed.updated_at]
    for secret in ("two", ""):
        changed = update(**hooks.where(made), sealed_secret=secret)
        assert changed.sealed_secret == secret
        times.append(changed.updated_at)
    milliseconds = [time and int(time.timestamp() * 1_000) for time in times]
    assert milliseconds == sorted(set(milliseconds))
    assert hooks.get(made) == changed
    assert hooks.get(other) == other
    entries = audited(sql, made.id, "webhook.update")
    assert [entry["after"] for entry in entries] == [
        {"status": "disabled"},
        {
            "name": "new", "description": "after", "url": "http://example.com",
            "events": "prompt.created",
        },
        {"secret": "another"},
        {"secret": "none"},
    ]  # fmt: skip
    assert entries[2]["before"] == entries[3]["before"] == {"secret": "kept"}


def test_webhooks_are_listed_newest_first_and_by_what_they_are_told_of(hooks: Hooks) -> None:
    hooks.create("a", events=["prompt.created"])
    hooks.create("b", events=["prompt.created", CREATED], status=WebhookStatus.DISABLED)
    hooks.create("c")
    for size in (0, 1, 2):
        assert hooks.names(page_size=size) == ["c", "b", "a"]
        assert hooks.names(page_size=size, event="prompt.created") == ["b", "a"]
    assert hooks.names(event=CREATED) == ["c", "b"]
    assert hooks.names(event="prompt.deleted") == []
    listing = hooks.registry.list_webhooks
    token = listing(**hooks.at, page_size=1).next_page_token
    refused("PAGE_TOKEN_INVALID", listing, **hooks.at, page_token=token, event=CREATED)
    refused("FIELD_INVALID", listing, **hooks.at, event="created")
    refused("FIELD_INVALID", listing, **hooks.at, page_size=101)


def test_the_longest_webhooks_fit_a_page(hooks: Hooks) -> None:
    for number in range(100):
        hooks.create(
            f"{number:063}", description="ä" * 2_048, url="https://" + "ä" * 1_020,
            events=[f"{event:099}.x"[1:] for event in range(100)], sealed_secret="x" * 4_096,
        )  # fmt: skip
    page = hooks.registry.list_webhooks(**hooks.at)
    assert (len(page.webhooks), page.next_page_token) == (100, "")


def test_a_webhook_that_is_deleted_is_gone(hooks: Hooks, sql: Connection) -> None:
    made, other = hooks.create("a"), hooks.create("b")
    hooks.registry.delete_webhook(**hooks.where(made))
    for method in (
        hooks.registry.get_webhook, hooks.registry.update_webhook, hooks.registry.delete_webhook,
    ):  # fmt: skip
        refused("WEBHOOK_NOT_FOUND", method, **hooks.where(made))
        refused("WEBHOOK_NOT_FOUND", method, **hooks.at, webhook_id=str(uuid.uuid4()))
        refused("PROJECT_NOT_FOUND", method, project_id=str(uuid.uuid4()), webhook_id=other.id)
    assert hooks.names() == ["b"]
    (entry,) = audited(sql, made.id, "webhook.delete")
    assert (entry["before"]["name"], entry["after"]) == ("a", {})


def test_a_webhook_is_of_its_project(hooks: Hooks, served: UpServer) -> None:
    made = hooks.create()
    elsewhere = str(served.connection["project_id"])
    for method in (
        hooks.registry.get_webhook, hooks.registry.update_webhook, hooks.registry.delete_webhook,
    ):  # fmt: skip
        refused("WEBHOOK_NOT_FOUND", method, project_id=elsewhere, webhook_id=made.id)
    assert hooks.get(made) == made


def test_a_request_that_is_sent_again_makes_one_webhook(hooks: Hooks) -> None:
    key = str(uuid.uuid4())
    first, second = (hooks.create(idempotency_key=key) for _ in range(2))
    assert first == second
    assert hooks.names() == ["hook"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[
            ("name", name)
            for name in ("", "-a", "a_", ".", "a b", "a/b", "ä", "a" * 64, "a\n", "a<b")
        ],
        ("description", "x" * 4_097),
        *[
            ("url", url)
            for url in (
                "", "https://", "ftp://example.com", "example.com", "https://a b", "https://a\nb",
                "https://a\x7f", "https://" + "a" * 2_041,
            )
        ],
        ("events", []), ("events", [f"a.b{number}" for number in range(101)]),
        *[
            ("events[0]", [event])
            for event in ("", "created", "a.b.c", ".a", "a.", "A.b", "a.b ", "ä.b", "a." + "b" * 99)
        ],
        ("events[1]", ["a.b", "a.b"]),
        ("sealed_secret", "x" * 4_097),
        ("status", 9),
    ],
)  # fmt: skip
def test_a_bad_field_is_refused_by_its_name(hooks: Hooks, field: str, value: Any) -> None:
    name = field.partition("[")[0]
    error = refused("FIELD_INVALID", hooks.create, **{name: value})
    assert [one.field for one in error.field_violations] == [field]
    made = hooks.create()
    changed = WebhookEvents(events=value) if name == "events" else value
    error = refused(
        "FIELD_INVALID", hooks.registry.update_webhook, **hooks.where(made), **{name: changed}
    )
    expected = field.replace("events", "events.events", 1)
    assert [one.field for one in error.field_violations] == [expected]
    refused("FIELD_INVALID", hooks.registry.update_webhook, **hooks.where(made), status=0)
    assert hooks.get(made) == made


def test_the_longest_of_everything_is_taken(hooks: Hooks) -> None:
    made = hooks.create(
        "a" * 63, description="x" * 4_096, url="https://" + "a" * 2_040,
        events=[f"a.{'b' * 96}{number:02}" for number in range(100)], sealed_secret="x" * 4_096,
    )  # fmt: skip
    assert hooks.get(made) == made


def test_contributors_see_webhooks_and_viewers_do_not(served: UpServer, sql: Connection) -> None:
    with open_team(served, sql) as team, open_team(served, sql, "others") as others:
        project = team.project(visibility=Visibility.PRIVATE).id
        hooks = Hooks(team.owner.client, project)
        made = hooks.create()

        def refuse_all(reason: str, client: needletail.Client) -> None:
            theirs = Hooks(client, project)
            refused(reason, theirs.create)
            refused(reason, theirs.names)
            for method in (
                theirs.registry.get_webhook, theirs.registry.update_webhook,
                theirs.registry.delete_webhook,
            ):  # fmt: skip
                refused(reason, method, **theirs.where(made))

        for stranger in (team.developer, others.admin):
            refuse_all("PROJECT_NOT_FOUND", stranger.client)
        join = team.owner.client.identity.set_project_member
        join(project_id=project, user_id=team.viewer.id, role=ProjectRole.VIEWER)
        refuse_all("PERMISSION_MISSING", team.viewer.client)
        join(project_id=project, user_id=team.developer.id, role=ProjectRole.CONTRIBUTOR)
        theirs = Hooks(team.developer.client, project)
        wait_until("the role is seen", lambda: theirs.names() == ["hook"])
        assert theirs.get(made) == made
        theirs.registry.delete_webhook(**theirs.where(made))
        assert hooks.names() == []


def test_webhooks_go_with_their_project(
    hooks: Hooks, client: needletail.Client, served: UpServer, sql: Connection
) -> None:
    made = hooks.create()
    project = hooks.at["project_id"]
    client.identity.delete_project(id=project)
    refused("PROJECT_NOT_FOUND", hooks.get, webhook=made)
    client.identity.undelete_project(id=project)
    assert hooks.get(made) == made
    client.identity.delete_project(id=project)
    sql.execute("update projects set purge_after = now() where id = %s", [project])
    purge(served, sql, "projects", project)
    rows = sql.execute("select from webhooks where project_id = %s", [project]).fetchall()
    assert rows == []
