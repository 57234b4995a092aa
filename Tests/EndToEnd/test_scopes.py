"""A key permits no more than its scopes and its user's role both do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from organizations import create_organization
from wire import Wire, message

if TYPE_CHECKING:
    from program import Connection, UpServer


@pytest.mark.parametrize(
    ("role", "scopes"), [("viewer", ("*",)), ("admin", ("run.get",)), ("admin", ())]
)
def test_a_key_without_the_permission_is_denied(
    served: UpServer, sql: Connection, role: str, scopes: tuple[str, ...]
) -> None:
    organization = create_organization(sql, "small", role=role, scopes=scopes)
    with Wire.opened(organization.connection(served.connection)) as wire:
        request = message(
            "CreateExperimentRequest", project_id=str(organization.project_id), name="mine"
        )
        status = wire.call("CreateExperiment", request).status
        assert (status.code, status.reason) == (7, "PERMISSION_MISSING")
        assert "experiment.create" in status.message
