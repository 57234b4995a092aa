"""The index of last values has each once it has rested, and never one that is not the last."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from chunks import Point, summary_parameters
from statements import call
from tenants import Tenant, acting, maintaining

if TYPE_CHECKING:
    from cluster import Connection

FAR = datetime(9999, 1, 1, tzinfo=UTC)


def log(connection: Connection, tenant: Tenant, run_id: uuid.UUID, key: str, point: Point) -> None:
    with acting(connection, tenant):
        call(connection, "upsertMetricSummaries", organization_id=tenant.organization_id,
             **summary_parameters([(run_id, key, [point])]))  # fmt: skip


def change(connection: Connection, tenant: Tenant, run_id: uuid.UUID, key: str) -> None:
    """Log twice, so that the last value is one that changed."""
    for step in (1, 2):
        log(connection, tenant, run_id, key, (step, step, 0.5 / step))


def settle(connection: Connection, before: datetime = FAR, batch_size: int = 1_000) -> int:
    with maintaining(connection):
        (row,) = call(connection, "settleMetrics", before=before, batch_size=batch_size)
    return int(row["values"])


def settled(connection: Connection, run_id: uuid.UUID) -> dict[str, float | None]:
    rows = connection.execute(
        "select key, settled_value from run_metric_summaries where run_id = %s", (run_id,)
    )
    return {row["key"]: row["settled_value"] for row in rows}


def test_a_first_value_is_settled_and_the_next_unsettles_it(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    log(connection, tenant, run_id, "loss", (1, 1, 0.5))
    log(connection, tenant, run_id, "broken", (1, 1, math.nan))
    values = settled(connection, run_id)
    assert values["loss"] == 0.5
    assert math.isnan(values["broken"] or 0.0)
    assert settle(connection) == 0
    log(connection, tenant, run_id, "loss", (2, 2, 0.25))
    assert settled(connection, run_id)["loss"] is None
    assert settle(connection) == 1
    assert settled(connection, run_id)["loss"] == 0.25


def test_of_several_first_points_the_last_is_the_settled_one(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    points: list[Point] = [(1, 1, 0.5), (3, 3, 0.125), (2, 2, 4.0)]
    with acting(connection, tenant):
        call(connection, "upsertMetricSummaries", organization_id=tenant.organization_id,
             **summary_parameters([(run_id, "loss", points)]))  # fmt: skip
    assert settled(connection, run_id) == {"loss": 0.125}


def test_what_does_not_change_the_last_value_does_not_unsettle_it(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    log(connection, tenant, run_id, "loss", (9, 9, 0.5))
    settle(connection)
    log(connection, tenant, run_id, "loss", (3, 3, 0.75))
    assert settled(connection, run_id) == {"loss": 0.5}


def test_only_what_has_rested_settles_and_no_more_than_a_batch(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    for number in range(5):
        change(connection, tenant, run_id, f"metric {number}")
    assert settle(connection, before=datetime.now(UTC) - timedelta(hours=1)) == 0
    assert [settle(connection, batch_size=2) for _ in range(4)] == [2, 2, 1, 0]


def test_a_value_that_is_not_the_last_can_not_be_in_the_index(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    log(connection, tenant, run_id, "loss", (1, 1, 0.5))
    with pytest.raises(psycopg.errors.CheckViolation, match="settled_value_check"):
        connection.execute(
            "update run_metric_summaries set settled_value = 0.25 where run_id = %s", (run_id,)
        )


def test_what_is_being_changed_is_left_for_the_next_time(
    connection: Connection, other: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    change(connection, tenant, run_id, "loss")
    change(connection, tenant, run_id, "accuracy")
    with other.transaction():
        other.execute(
            "select from run_metric_summaries where run_id = %s and key = 'loss' for update",
            (run_id,),
        )
        assert settle(connection) == 1
    assert settle(connection) == 1
