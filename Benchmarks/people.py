"""Callers beside the first administrator, made with the program's own commands."""

import json
from collections.abc import Mapping
from dataclasses import replace

from Benchmarks.processes import output_of
from Benchmarks.server import Server, binary
from Benchmarks.wire import Endpoint


def member_of(started: Server, project_id: str) -> Endpoint:
    """How a program comes in that only sees one project: a viewer of it, and no administrator."""
    account = str(_made(started, "service-accounts", "create", "member", "--role", "viewer")["id"])
    _made(started, "projects", "members", "set", project_id, account, "--role", "viewer")
    key = _made(started, "keys", "create", "member", "--scope", "*", "--user", account)
    return replace(Endpoint.of(started.connection), api_key=str(key["secret"]))


def another_organization(started: Server) -> str:
    """Makes an organization and returns its id."""
    made = _made(started, "orgs", "create", "another", "--slug", "another")["organization"]
    return str(made["id"]) if isinstance(made, dict) else ""


def _made(started: Server, *command: str) -> Mapping[str, object]:
    options = ("--connection-file", str(started.connection_file), "--output", "json")
    text = output_of([binary(), *command, *options], limit_seconds=30)
    made: Mapping[str, object] = json.loads(text)
    return made
