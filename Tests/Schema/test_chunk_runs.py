"""A chunk is of a run that exists, whoever stores it, and goes with it."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import psycopg
import pytest
from chunks import chunk_parameters
from statements import call
from tenants import Tenant, acting, create_run, maintaining, uuid7
from test_appends import wait_until_blocked

if TYPE_CHECKING:
    import uuid

    from cluster import Connection

POINTS = [(1, 0, 1.0)]


def insert(connection: Connection, tenant: Tenant, *runs: uuid.UUID) -> None:
    """Store a chunk of each run in one statement, without asking whether they are there."""
    series = [(run, "loss", POINTS) for run in runs]
    organization = {"organization_id": tenant.organization_id}
    call(connection, "insertMetricChunks", **organization, **chunk_parameters(series))


def chunk_runs(connection: Connection) -> set[uuid.UUID]:
    rows = connection.execute("select run_id from metric_chunks").fetchall()
    return {row["run_id"] for row in rows}


def test_a_chunk_of_a_run_that_is_not_there_undoes_the_statement(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    missing = uuid7()
    with pytest.raises(psycopg.Error) as caught, acting(connection, tenant):
        insert(connection, tenant, run_id, missing)
    assert caught.value.diag.constraint_name == "RUN_NOT_FOUND"
    assert json.loads(caught.value.diag.message_detail or "") == {"run_id": str(missing)}
    assert chunk_runs(connection) == set()


def test_maintenance_is_refused_alike(connection: Connection, tenant: Tenant) -> None:
    with pytest.raises(psycopg.Error) as caught, maintaining(connection):
        insert(connection, tenant, uuid7())
    assert caught.value.diag.constraint_name == "RUN_NOT_FOUND"


def test_chunks_go_with_their_runs_and_no_others_do(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    gone, also_gone = create_run(connection, tenant), create_run(connection, tenant)
    with acting(connection, tenant):
        insert(connection, tenant, run_id, gone, also_gone)
    with maintaining(connection):
        connection.execute("delete from runs where id = any(%s)", [[gone, also_gone]])
    assert chunk_runs(connection) == {run_id}


def test_a_run_stays_until_those_who_store_chunks_of_it_are_done(
    connection: Connection, other: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    def remove() -> None:
        with maintaining(other):
            other.execute("delete from runs where id = %s", [run_id])

    remover = threading.Thread(target=remove)
    with acting(connection, tenant):
        insert(connection, tenant, run_id)
        remover.start()
        wait_until_blocked(connection)
    remover.join(timeout=10)
    assert chunk_runs(connection) == set()
    assert connection.execute("select from runs where id = %s", [run_id]).fetchall() == []
