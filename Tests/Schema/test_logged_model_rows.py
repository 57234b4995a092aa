"""Logged models that cannot be recovered any more are removed for good, with what they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tenants import LOGGED_MODELS, Tenant, create_logged_models, create_run
from test_purge import PAST, counts, notes, purge

if TYPE_CHECKING:
    from cluster import Connection


@pytest.mark.parametrize("batch_size", [1, 1_000])
def test_a_logged_model_goes_with_what_it_has_and_no_run(
    connection: Connection, tenant: Tenant, batch_size: int
) -> None:
    runs = [create_run(connection, tenant) for _ in range(2)]
    gone, kept = create_logged_models(connection, tenant, runs)
    before = counts(connection, tenant)
    connection.execute(PAST.format("logged_models") + " where id = %s", [gone])
    # Two tags, two parameters and a value of two metrics in two runs each, and the model.
    batches = purge(connection, batch_size)
    assert sum(batches) == 9
    assert max(batches) <= batch_size
    after = counts(connection, tenant)
    assert {name: before[name] - after[name] for name in LOGGED_MODELS} == {
        "logged_models": 1, "logged_model_tags": 2, "logged_model_parameters": 2,
        "logged_model_metrics": 4,
    }  # fmt: skip
    assert after["runs"] == before["runs"]
    assert notes(connection) == [
        ("logged_model.purge", tenant.organization_id, gone, tenant.project_id)
    ]
    # What a run measured goes with the run, and the model stays.
    connection.execute(PAST.format("runs") + " where id = %s", [runs[0]])
    purge(connection, batch_size)
    left = connection.execute("select logged_model_id, run_id from logged_model_metrics").fetchall()
    assert [(row["logged_model_id"], row["run_id"]) for row in left] == [(kept, runs[1])] * 2
