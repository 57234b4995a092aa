"""Files belong to one owner, and go with it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest
from run_rows import add_file, create_logged_model
from statements import call
from tenants import Tenant, acting, create_run, create_tenant, create_traces, maintaining

if TYPE_CHECKING:
    from cluster import Cluster, Connection

OWNERS = {"run_id": "runs", "logged_model_id": "logged_models", "trace_id": "traces"}


def owners_of(connection: Connection, tenant: Tenant) -> dict[str, uuid.UUID]:
    """Make one of everything that may have files."""
    create_traces(connection, tenant, [])
    trace = connection.execute(
        "select id from traces where organization_id = %s limit 1", [tenant.organization_id]
    ).fetchone()
    assert trace is not None
    return {
        "run_id": create_run(connection, tenant),
        "logged_model_id": create_logged_model(connection, tenant),
        "trace_id": trace["id"],
    }


def files_of(connection: Connection, owner: uuid.UUID) -> tuple[int, int]:
    """Count the files and uploads of an owner."""
    row = connection.execute(
        "select (select count(*) from artifacts where owner_id = %(owner)s) as files, (select"
        " count(*) from artifact_uploads where %(owner)s in (run_id, logged_model_id, trace_id))"
        " as uploads",
        {"owner": owner},
    ).fetchone()
    assert row is not None
    return row["files"], row["uploads"]


def test_a_file_has_one_owner(connection: Connection, tenant: Tenant) -> None:
    owners = owners_of(connection, tenant)
    for table, columns in (("artifacts", ", path, id, sha256, size_bytes, created_by"),
                           ("artifact_uploads", ", path, id")):  # fmt: skip
        values = ", 'file', gen_random_uuid()"
        if table == "artifacts":
            values += f", sha256('x'), 1, '{tenant.user_id}'"
        for named in ([], ["run_id", "trace_id"], list(owners)):
            with pytest.raises(psycopg.errors.IntegrityError) as caught:
                connection.execute(
                    f"insert into {table} (organization_id{''.join(', ' + one for one in named)}"
                    f"{columns}) values (%s{', %s' * len(named)}{values})",
                    [tenant.organization_id, *(owners[one] for one in named)],
                )
            assert f"{table}_run_id_check" in str(caught.value) or not named


@pytest.mark.parametrize("column", OWNERS)
def test_files_go_with_their_owner(connection: Connection, tenant: Tenant, column: str) -> None:
    owners = owners_of(connection, tenant)
    for name, owner in owners.items():
        for path in ("one", "two"):
            add_file(connection, tenant, name, owner, path)
    connection.execute(f"delete from {OWNERS[column]} where id = %s", [owners[column]])
    assert {name: files_of(connection, owner) for name, owner in owners.items()} == {
        name: (0, 0) if name == column else (2, 2) for name in owners
    }


@pytest.mark.parametrize("column", OWNERS)
def test_what_goes_with_an_owner_is_found_by_an_index(
    cluster: Cluster, template: str, column: str
) -> None:
    with cluster.connect(cluster.create_database(template)) as connection:
        tenant = create_tenant(connection, "acme")
        owners = owners_of(connection, tenant)
        for name, owner in owners.items():
            add_file(connection, tenant, name, owner)
        connection.execute(
            "insert into runs (organization_id, id, experiment_id, project_id, name, status,"
            " started_at, created_by) select organization_id, gen_random_uuid(), experiment_id,"
            " project_id, name, status, started_at, created_by"
            " from runs, generate_series(1, 500)"
        )
        connection.execute(
            "insert into artifacts (organization_id, run_id, path, id, sha256, size_bytes,"
            " created_by) select organization_id, id, 'file ' || n, gen_random_uuid(),"
            " sha256('x'), 1, created_by from runs, generate_series(1, 20) as n"
        )
        connection.execute("analyze")
        # As foreign keys ask, and as purges do.
        for condition in ("= $2", "= any(array[$2])"):
            with connection.transaction():
                connection.execute("set local plan_cache_mode = force_generic_plan")
                connection.execute(
                    "prepare going (uuid, uuid) as delete from artifacts where"
                    f" organization_id = $1 and {column} {condition}"
                )
                plan = connection.execute("explain execute going (null, null)").fetchall()
                connection.execute("deallocate going")
            text = " ".join(row["QUERY PLAN"] for row in plan)
            assert f"idx_artifacts_{column.removesuffix('_id')}" in text, text


def test_files_of_deleted_owners_are_not_seen(connection: Connection, tenant: Tenant) -> None:
    owners = owners_of(connection, tenant)
    kinds = {name.removesuffix("_id"): owner for name, owner in owners.items()}

    def seen() -> set[str]:
        with acting(connection, tenant):
            return {
                kind for kind, owner in kinds.items()
                if call(connection, "getArtifactOwner", kind=kind, id=owner,
                        organization_id=tenant.organization_id)
            }  # fmt: skip

    assert seen() == set(kinds)
    for table in ("runs", "logged_models"):
        connection.execute(f"update {table} set deleted_at = now()")
    assert seen() == {"trace"}
    connection.execute("update runs set deleted_at = null")
    connection.execute("update logged_models set deleted_at = null")
    connection.execute("update experiments set deleted_at = now()")
    assert seen() == {"run"}
    # An id is good for what it is of, and nothing else.
    connection.execute("update experiments set deleted_at = null")
    with acting(connection, tenant):
        assert call(connection, "getArtifactOwner", kind="trace", id=owners["run_id"],
                    organization_id=tenant.organization_id) == []  # fmt: skip


def test_a_purge_takes_files_of_traces_in_batches(connection: Connection, tenant: Tenant) -> None:
    trace = owners_of(connection, tenant)["trace_id"]
    for number in range(5):
        add_file(connection, tenant, "trace_id", trace, f"attachments/{number}")
    removed: list[int] = []
    while not removed or removed[-1]:
        with maintaining(connection):
            row = connection.execute(
                "select needletail_purge_traces(%s, %s, 2) as count",
                [tenant.organization_id, [trace]],
            ).fetchone()
        assert row is not None
        removed.append(row["count"])
    assert max(removed) == 2
    assert files_of(connection, trace) == (0, 0)


def test_without_this_migration_only_files_of_runs_stay(cluster: Cluster, template: str) -> None:
    database = cluster.create_database(template)
    with cluster.connect(database) as connection:
        tenant = create_tenant(connection, "acme")
        for column, owner in owners_of(connection, tenant).items():
            add_file(connection, tenant, column, owner)
        kept = connection.execute(
            "select run_id, path, id from artifacts where run_id is not null"
        ).fetchall()
    cluster.migrate(database, "down", pattern="^0037")
    with cluster.connect(database) as connection:
        assert connection.execute("select run_id, path, id from artifacts").fetchall() == kept
        assert connection.execute("select run_id from artifact_uploads").fetchall() == [
            {"run_id": kept[0]["run_id"]}
        ]
    cluster.migrate(database, "up", pattern="^0037")
    with cluster.connect(database) as connection:
        stored = connection.execute("select owner_id, path, id from artifacts").fetchone()
    assert stored is not None
    assert list(stored.values()) == list(kept[0].values())
