"""`needletail logged-models` against a real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import needletail
from organizations import create_organization
from program import run_program
from test_logged_models import log, measured

if TYPE_CHECKING:
    from pathlib import Path

    from program import Connection, UpServer

USAGE, MISSING = 2, 4


def test_the_command_line_lists_shows_and_deletes(
    served: UpServer, sql: Connection, place: Path
) -> None:
    connection = place / "connection.json"
    organization = create_organization(sql, "cli")
    connection.write_text(json.dumps(organization.connection(served.connection)))

    def cli(*arguments: str, code: int = 0) -> str:
        result = run_program("logged-models", *arguments, "--connection-file", connection)
        assert result.returncode == code, (result.stdout, result.stderr)
        return result.stdout or result.stderr

    with needletail.connect(
        f"needletail://{served.connection['address']}:{served.connection['port']}",
        api_key=organization.api_key,
        ca_file=served.connection["ca_file"],
    ) as client:
        tracking = client.tracking
        project = client.identity.create_project(name="Fraud", slug="fraud")
        experiment = tracking.create_experiment(project_id=project.id, name="first").id
        run = tracking.create_run(experiment_id=experiment).id
        first, second = (
            tracking.create_logged_model(experiment_id=experiment, name=name, model_type="agent")
            for name in ("first", "second")
        )
        log(
            client, run, measured(first.id, "acc", 0.5, 1, "data", "d1"),
            measured(second.id, "acc", 0.75, 1),
        )  # fmt: skip

    lines = cli("list", "--experiment", experiment).splitlines()
    assert [line.split()[1:3] for line in lines[1:]] == [
        ["second", "pending"],
        ["first", "pending"],
    ]
    ordered = cli("list", "--project", "fraud", "--order-by", "metrics.acc ASC", "-o", "json")
    assert [one["name"] for one in json.loads(ordered)["models"]] == ["first", "second"]
    assert "first" not in cli("list", "--filter", "metrics.acc > 0.6")
    assert "second" not in cli("list", "--dataset", "data")
    shown = cli("show", first.id)
    assert "0.5 at step 0 on data d1" in shown
    assert "--yes" in cli("delete", first.id, code=USAGE)
    cli("delete", first.id, "--yes")
    cli("show", first.id, code=MISSING)
    assert "deleted" in cli("show", first.id, "--deleted")
    assert first.id in cli("list", "--deleted")
    cli("undelete", first.id)
    assert first.id in cli("list")
