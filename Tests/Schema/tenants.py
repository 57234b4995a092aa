"""Organizations to test with, written by the project's own statements."""

from __future__ import annotations

import os
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from statements import call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster import Connection

START = datetime.now(UTC).replace(microsecond=0)
TRACES = {
    *("traces", "trace_tags", "trace_metadata"),
    *("trace_spans", "trace_assessments", "trace_runs"),
}
LOGGED_MODELS = {
    *("logged_models", "logged_model_tags", "logged_model_parameters", "logged_model_metrics"),
}
# What a project and its experiments have beside runs.
OTHERS = {
    *("scorers", "scorer_versions", "webhooks"),
    *("label_schemas", "review_queues", "review_items"),
}
WITHIN = TRACES | LOGGED_MODELS | OTHERS


def uuid7(moment: datetime | None = None) -> uuid.UUID:
    """Make a UUIDv7 of now or of a moment."""
    seconds = time.time() if moment is None else moment.timestamp()
    tail = int.from_bytes(os.urandom(10)) & ~(0xF << 76) & ~(3 << 62)
    return uuid.UUID(int=int(seconds * 1000) << 80 | 7 << 76 | 2 << 62 | tail)


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organization with an administrator, a project, a key and an experiment."""

    organization_id: uuid.UUID
    user_id: uuid.UUID
    project_id: uuid.UUID
    api_key_id: uuid.UUID
    experiment_id: uuid.UUID

    @property
    def caller(self) -> dict[str, object]:
        """The parameters that most statements take."""
        return {
            "organization_id": self.organization_id,
            "user_id": self.user_id,
            "sees_all_projects": True,
            "sufficient_roles": ["contributor", "owner"],
        }


@contextmanager
def acting(connection: Connection, tenant: Tenant | None) -> Iterator[Connection]:
    """Open a transaction as the application, for an organization or for none."""
    organization = "" if tenant is None else str(tenant.organization_id)
    with connection.transaction():
        connection.execute("set local role needletail_app")
        connection.execute(
            "select set_config('needletail.organization_id', %s, true)", [organization]
        )
        yield connection


@contextmanager
def maintaining(connection: Connection) -> Iterator[Connection]:
    """Open a transaction as maintenance."""
    with connection.transaction():
        connection.execute("set local role needletail_maintenance")
        yield connection


def create_tenant(connection: Connection, name: str) -> Tenant:
    """Write an organization as the first start does."""
    tenant = Tenant(*(uuid7() for _ in range(5)))
    organization, user = tenant.organization_id, tenant.user_id
    times = {"created_at": START}
    with maintaining(connection):
        call(connection, "lockInstallation")
        call(connection, "createOrganization", id=organization, name=name, slug=name,
             is_personal=False, billing_email=f"{name}@example.com", **times)  # fmt: skip
        call(connection, "createUser", id=user, email=f"Ada@{name}.example",
             display_name="Ada", is_platform_admin=True, **times)  # fmt: skip
        call(connection, "createMembership", organization_id=organization, id=uuid7(),
             user_id=user, role="admin", **times)  # fmt: skip
        call(connection, "createProject", organization_id=organization, id=tenant.project_id,
             name="Default", description="", slug="default", visibility="organization",
             settings_json="{}", created_by=user, **times)  # fmt: skip
        call(connection, "createProjectMember", organization_id=organization, id=uuid7(),
             project_id=tenant.project_id, user_id=user, added_by=user, role="owner",
             **times)  # fmt: skip
        call(connection, "createApiKey", organization_id=organization, id=tenant.api_key_id,
             user_id=user, name="first", key_id=f"{name}0000key", key_prefix="ntl_abcd",
             secret_hash=bytes(32), scopes=["*"], allowed_cidrs=[],
             created_by=user, expires_at=None, is_from_login=False, **times)  # fmt: skip
    with acting(connection, tenant):
        call(connection, "createExperiment", organization_id=organization,
             id=tenant.experiment_id, project_id=tenant.project_id, user_id=user,
             sufficient_roles=["owner"], name="Digits", description="", config_json="{}",
             **times)  # fmt: skip
    return tenant


def create_run(connection: Connection, tenant: Tenant, status: str = "running") -> uuid.UUID:
    """Create a run of the tenant's experiment."""
    run_id = uuid7()
    with acting(connection, tenant):
        rows = call(connection, "createRun", id=run_id, experiment_id=tenant.experiment_id,
                    name="run", description="", status=status, created_at=START,
                    started_at=START if status == "running" else None, parent_run_id=None,
                    source_json="{}", forked_from_run_id=None, forked_at_step=None,
                    **tenant.caller)  # fmt: skip
    assert rows == [{"project_id": tenant.project_id}]
    return run_id


def create_links(connection: Connection, tenant: Tenant, run: uuid.UUID) -> uuid.UUID:
    """Link a run to a dataset of its own and to a model; return the run."""
    of, data = [tenant.organization_id, run], uuid7()
    connection.execute(
        "insert into input_datasets values (%s, %s, %s, 'data', %s, '', '', '', '')",
        [tenant.organization_id, data, tenant.project_id, str(run)],
    )
    connection.execute(
        "update input_datasets set long_profile_bytes = 2097152 where id = %s", [data]
    )
    for number in range(2):
        connection.execute(
            "insert into input_dataset_profiles (organization_id, dataset_id, start_byte, content)"
            " values (%s, %s, %s, repeat('x', 1048576))",
            [tenant.organization_id, data, number * 1_048_576],
        )
    connection.execute(
        "insert into run_inputs (organization_id, run_id, id, dataset_id, context, tags)"
        " values (%s, %s, %s, %s, '', '{}')",
        [*of, uuid7(), data],
    )
    connection.execute(
        "insert into run_models (organization_id, run_id, id, role, name, artifact_path, step)"
        " values (%s, %s, %s, 'output', 'model', '', 0)",
        [*of, uuid7()],
    )
    return run


def create_logged_models(
    connection: Connection, tenant: Tenant, runs: list[uuid.UUID]
) -> list[uuid.UUID]:
    """Write two logged models with all that belongs to them, measured by runs."""
    made = [uuid7() for _ in range(2)]
    for model in made:
        of = [tenant.organization_id, model]
        connection.execute(
            "insert into logged_models (organization_id, id, project_id, experiment_id, name,"
            " created_by) values (%s, %s, %s, %s, 'model', %s)",
            [*of, tenant.project_id, tenant.experiment_id, tenant.user_id],
        )
        for key in ("one", "two"):
            for table in ("logged_model_tags", "logged_model_parameters"):
                connection.execute(f"insert into {table} values (%s, %s, %s, 'value')", [*of, key])
            for run in runs:
                connection.execute(
                    "insert into logged_model_metrics values (%s, %s, %s, 1, 1, %s, '', '', 0.5)",
                    [*of, key, run],
                )
    return made


def create_traces(connection: Connection, tenant: Tenant, runs: list[uuid.UUID]) -> None:
    """Write two traces of the tenant's experiment with all that belongs to them, linked to runs."""
    for number in range(2):
        trace = uuid7()
        of = [tenant.organization_id, trace]
        connection.execute(
            "insert into traces (organization_id, id, project_id, experiment_id, public_id, state,"
            " request_time_ms, is_told) values (%s, %s, %s, %s, %s, 'ok', 1, true)",
            [*of, tenant.project_id, tenant.experiment_id, f"tr-{number}"],
        )
        for key in ("one", "two"):
            for table in ("trace_tags", "trace_metadata"):
                connection.execute(f"insert into {table} values (%s, %s, %s, 'value')", [*of, key])
            connection.execute(
                "insert into trace_spans (organization_id, trace_id, span_id, name, status,"
                " start_ns, content) values (%s, %s, %s, 'span', 'OK', 0, '{}')",
                [*of, key],
            )
            connection.execute(
                "insert into trace_assessments (organization_id, trace_id, public_id, kind, name,"
                " value_json, source_type, metadata_json, is_valid, create_time_ms,"
                " update_time_ms) values (%s, %s, %s, 'feedback', 'x', '1', '', '{}', true, 0, 0)",
                [*of, key],
            )
        for run in runs:
            connection.execute("insert into trace_runs values (%s, %s, %s)", [*of, run])


def create_within(connection: Connection, tenant: Tenant, runs: list[uuid.UUID]) -> None:
    """Write what the tenant's project and experiment have beside runs, and what ties it to them."""
    create_traces(connection, tenant, runs)
    create_logged_models(connection, tenant, runs)
    create_scorers(connection, tenant)
    create_webhooks(connection, tenant)
    create_reviews(connection, tenant)


def create_reviews(connection: Connection, tenant: Tenant) -> None:
    """Write a label schema and two review queues, with two traces of the tenant's experiment each.

    The third that each has is still to come.
    """
    of = [tenant.project_id, tenant.experiment_id]
    schema = uuid7()
    connection.execute(
        "insert into label_schemas values (%s, %s, %s, %s, 'correct', 'feedback', null, false,"
        " 'pass_fail', '{yes,no}', false, null, null, null, false, 0, 0)",
        [tenant.organization_id, schema, *of],
    )
    for name in ("one", "two"):
        queue = uuid7()
        connection.execute(
            "insert into review_queues values (%s, %s, %s, %s, %s, %s, 'custom', '{ada}', %s,"
            " null, 0, 0)",
            [tenant.organization_id, queue, *of, name, name, [schema]],
        )
        for number in range(3):
            connection.execute(
                "insert into review_items values (%s, %s, %s, %s, 'pending', null, null, 0, 0)",
                [tenant.organization_id, queue, tenant.project_id, f"tr-{number}"],
            )


def create_scorers(connection: Connection, tenant: Tenant) -> None:
    """Write two scorers of the tenant's experiment, with two versions each."""
    for name in ("one", "two"):
        scorer = uuid7()
        connection.execute(
            "insert into scorers values (%s, %s, %s, %s, %s, 2)",
            [tenant.organization_id, scorer, tenant.project_id, tenant.experiment_id, name],
        )
        for version in (1, 2):
            connection.execute(
                "insert into scorer_versions values (%s, %s, %s, '{}', 0, %s)",
                [tenant.organization_id, scorer, version, tenant.user_id],
            )


def create_webhooks(connection: Connection, tenant: Tenant) -> None:
    """Write three webhooks of the tenant's project."""
    for name in ("one", "two", "three"):
        connection.execute(
            "insert into webhooks values (%s, %s, %s, %s, '', 'https://a', '{a.b}', '', 'active',"
            " %s, now(), now())",
            [tenant.organization_id, uuid7(), tenant.project_id, name, tenant.user_id],
        )
