"""The sample organization, as `needletail seed` makes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import needletail
from program import run_program
from team import Team

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import UpServer


def test_the_sample_is_made_once_with_everything_in_it(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server()
    server.start()
    place = ["--connection-file", str(server.connection_file)]
    made = run_program("seed", "-o", "json", *place)
    assert made.returncode == 0, made.stderr
    sample = json.loads(made.stdout)
    people = sample["people"]
    assert [(one["email"], one["role"]) for one in people] == [
        ("admin@acme-ml.com", "admin"), ("scientist@acme-ml.com", "developer"),
        ("engineer@acme-ml.com", "developer"),
    ]  # fmt: skip
    passwords = {one["password"] for one in people}
    assert len(passwords) == 3
    assert all(len(password) == 24 for password in passwords)

    found = server.connection
    with needletail.connect(
        f"needletail://{found['address']}:{found['port']}", api_key=sample["apiKey"],
        ca_file=found["ca_file"],
    ) as client:  # fmt: skip
        assert client.identity.who_am_i().organization_slug == "acme-ml-corp"
        emails = {one.user.email for one in client.identity.iterate_members() if one.user}
        assert emails >= {one["email"] for one in people}
        projects = {one.slug: one for one in client.identity.iterate_projects()}
        assert set(projects) == {"fraud-detection", "product-recommendations"}
        for project in projects.values():
            members = list(client.identity.iterate_project_members(project_id=project.id))
            assert len(members) == 3
        runs = list(client.tracking.iterate_runs())
        assert {run.name for run in runs} == {
            "depth-4", "depth-8", "depth-16", "factors-32", "factors-128",
        }  # fmt: skip
        assert {run.status.name for run in runs} == {"COMPLETED", "FAILED", "RUNNING"}
        for run in runs:
            metrics = client.tracking.list_run_metrics(run_id=run.id).metrics
            assert [metric.count for metric in metrics] == [50, 50]

    again = run_program("seed", *place)
    assert (again.returncode, "is there already" in again.stdout) == (0, True), again.stderr
    for text in (*passwords, sample["apiKey"]):
        assert text not in server.log
    assert server.stop() == 0


def test_no_sample_is_made_beside_others_unasked_or_in_production(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server()
    server.start()
    place = ["--connection-file", str(server.connection_file)]
    with server.client() as client, server.sql() as sql:
        client.identity.create_organization(name="Other", slug="other")
        refused = run_program("seed", *place)
        assert (refused.returncode, "--yes" in refused.stderr) == (5, True)
        team = Team(sql, server.connection)
        assert team.value("select count(*) from organizations where slug = 'acme-ml-corp'") == 0
        made = run_program("seed", "--yes", *place)
        assert made.returncode == 0, made.stderr
        assert "engineer@acme-ml.com" in made.stdout
    assert server.stop() == 0

    production = own_server("--set", "environment=production", folder="production")
    production.start()
    with production.client() as client:
        assert client.server.health().environment == "production"
    refused = run_program("seed", "--yes", "--connection-file", str(production.connection_file))
    assert (refused.returncode, "not for development" in refused.stderr) == (5, True)
    assert production.stop() == 0
