"""Rows that belong to a run, for tests of what goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenants import Tenant, uuid7

if TYPE_CHECKING:
    import uuid

    from cluster import Connection


def add_epoch(connection: Connection, organization: uuid.UUID, run: uuid.UUID) -> None:
    """Write an epoch of a run, and what one of its metrics is to whoever looks at it."""
    values = [organization, run]
    connection.execute(
        "insert into run_epochs (organization_id, run_id, epoch, from_step, writer_id)"
        " values (%s, %s, 1, 0, %s)",
        [*values, uuid7()],
    )
    connection.execute(
        "insert into run_metric_definitions values (%s, %s, 'loss', 'minimize', 'best', '', false)",
        values,
    )


def add_files(connection: Connection, tenant: Tenant, run: uuid.UUID) -> None:
    """Write files, uploads and a departure of a run."""
    organization = tenant.organization_id
    connection.execute(
        "insert into artifact_blobs values (%s, sha256('x'), 1, now()) on conflict do nothing",
        [organization],
    )
    connection.execute(
        "insert into run_departures values (%s, %s, %s)",
        [organization, tenant.experiment_id, run],
    )
    for path in ("model", "log"):
        connection.execute(
            "insert into artifacts (organization_id, run_id, path, id, sha256, size_bytes,"
            " created_by) values (%s, %s, %s, %s, sha256('x'), 1, %s)",
            [organization, run, path, uuid7(), tenant.user_id],
        )
        connection.execute(
            "insert into artifact_uploads (organization_id, id, run_id, path)"
            " values (%s, %s, %s, %s)",
            [organization, uuid7(), run, path],
        )


def add_file(
    connection: Connection, tenant: Tenant, column: str, owner: uuid.UUID, path: str = "file"
) -> uuid.UUID:
    """Write a file of something that may have some, and an upload; return the file's id."""
    organization, artifact = tenant.organization_id, uuid7()
    connection.execute(
        "insert into artifact_blobs values (%s, sha256('x'), 1, now()) on conflict do nothing",
        [organization],
    )
    connection.execute(
        f"insert into artifacts (organization_id, {column}, path, id, sha256, size_bytes,"
        " created_by) values (%s, %s, %s, %s, sha256('x'), 1, %s)",
        [organization, owner, path, artifact, tenant.user_id],
    )
    connection.execute(
        f"insert into artifact_uploads (organization_id, id, {column}, path)"
        " values (%s, %s, %s, %s)",
        [organization, uuid7(), owner, path],
    )
    return artifact


def add_trace_files(connection: Connection, tenant: Tenant) -> None:
    """Write files of every trace."""
    traces = connection.execute(
        "select id from traces where organization_id = %s", [tenant.organization_id]
    ).fetchall()
    for trace in traces:
        for path in ("attachments/one", "attachments/two"):
            add_file(connection, tenant, "trace_id", trace["id"], path)


def create_logged_model(connection: Connection, tenant: Tenant) -> uuid.UUID:
    """Write a logged model of the tenant's experiment."""
    model = uuid7()
    connection.execute(
        "insert into logged_models (organization_id, id, project_id, experiment_id, name,"
        " created_by) values (%s, %s, %s, %s, 'model', %s)",
        [
            tenant.organization_id, model, tenant.project_id, tenant.experiment_id,
            tenant.user_id,
        ],
    )  # fmt: skip
    return model


def add_rollups(connection: Connection, organization: uuid.UUID, run: uuid.UUID, key: str) -> None:
    """Write a rollup of a metric and what is left of points that went."""
    of = [organization, run, key]
    connection.execute(
        "insert into metric_remainders values"
        " (%s, %s, %s, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1)",
        of,
    )
    connection.execute(
        "insert into metric_rollups values (%s, %s, 4, %s, %s, 0, '1', 1, 1, '{0}', '{1}',"
        " '{0}', '{1}', '{1}', '{1}', '{1}', '{1}', '{1}', '{0}', '{1}', '{1}', '{0}',"
        " '{1}')",
        [organization, uuid7(), run, key],
    )
