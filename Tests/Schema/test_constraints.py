"""Every rule of the database has a name, an index where it needs one, and an error reason."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest
from cluster import ROOT
from statements import call, statements
from tenants import START, Tenant, acting, uuid7

if TYPE_CHECKING:
    from cluster import Connection

RULES = """
    select conrelid::regclass::text as table_name, conname as name, contype::text as type,
        array(select attname::text from unnest(conkey) with ordinality as k (number, position)
            join pg_attribute on attrelid = conrelid and attnum = k.number
            order by k.position) as columns
    from pg_constraint
    where connamespace = 'public'::regnamespace and conparentid = 0 and contype <> 't'
        and not (select relispartition from pg_class where oid = conrelid)
    union all
    select indrelid::regclass::text, indexrelid::regclass::text, 'i', null
    from pg_index
    where indisunique and indrelid in (
        select oid from pg_class
        where relnamespace = 'public'::regnamespace and not relispartition
    ) and not exists (select from pg_constraint where conindid = indexrelid)
    order by 1, 2
"""

# The ledger of migrations belongs to the runner, not to a service.
SERVICES = {
    "Sources/Identity/Rules/IdentityConstraints.swift": {
        "installation", "tier_limits", "organizations", "users", "user_identities",
        "organization_memberships", "projects", "project_members", "api_keys", "invitations",
    },
    "Sources/RPC/Rules/JournalConstraints.swift": {
        "events", "audit_logs", "idempotency_records",
    },
    "Sources/Registry/Rules/RegistryConstraints.swift": {
        "models", "model_tags", "model_aliases", "model_versions", "model_version_tags",
        "model_version_stages", "webhooks",
    },
    "Sources/Tracking/Rules/TrackingConstraints.swift": {
        "experiments", "runs", "writers", "metric_chunks", "run_metric_summaries",
        "log_chunks", "run_epochs", "metric_rollups", "metric_compactions", "maintenance_tasks",
        "run_metric_definitions", "metric_remainders",
        "artifacts", "artifact_blobs", "artifact_uploads",
        "input_datasets", "input_dataset_profiles", "run_inputs", "run_models",
        "experiment_tags", "run_tags", "run_parameters", "run_parameter_versions",
        "run_departures",
        "logged_models", "logged_model_tags", "logged_model_parameters", "logged_model_metrics",
    },
    "Sources/Tracing/Rules/TracingConstraints.swift": {
        "traces", "trace_tags", "trace_metadata", "trace_spans", "trace_assessments", "trace_runs",
        "evaluation_datasets", "evaluation_dataset_tags", "evaluation_dataset_experiments",
        "evaluation_records", "issues", "label_schemas", "review_items", "review_queues",
        "scorers", "scorer_versions",
    },
}  # fmt: skip


def reasons(file: str) -> dict[str, str]:
    text = (ROOT / file).read_text()
    found = re.findall(r'^    "(\w+)": (?:"([A-Z_]+)"|(internalFault)),$', text, re.MULTILINE)
    assert len({name for name, *_ in found}) == len(found), "a constraint is mapped twice"
    return {name: reason or other for name, reason, other in found}


def test_every_constraint_has_a_reason(connection: Connection) -> None:
    rules = connection.execute(RULES).fetchall()
    assert {rule["table_name"] for rule in rules} == set().union(*SERVICES.values())
    for file, tables in SERVICES.items():
        expected = {rule["name"] for rule in rules if rule["table_name"] in tables}
        assert set(reasons(file)) == expected, file


def test_every_reason_is_declared() -> None:
    declared = {
        name
        for path in (ROOT / "Protos").rglob("*.proto")
        for name in re.findall(r"_ERROR_REASON_(\w+) = \d+ \[", path.read_text())
    }
    for file in SERVICES:
        assert set(reasons(file).values()) - {"internalFault"} <= declared, file


def test_constraints_are_named_by_their_columns(connection: Connection) -> None:
    kinds = {"p": "pkey", "u": "key", "f": "fkey", "c": "check"}
    for rule in connection.execute(RULES).fetchall():
        if rule["type"] == "i":
            assert rule["name"].startswith("idx_"), rule
            continue
        table, name = rule["table_name"], rule["name"]
        assert name.startswith(f"{table}_"), rule
        assert name.endswith(f"_{kinds[rule['type']]}"), rule
        middle = name.removeprefix(f"{table}_").removesuffix(kinds[rule["type"]]).rstrip("_")
        if rule["type"] == "p":
            assert middle == "", rule
        elif rule["type"] == "u":
            assert middle == "_".join(rule["columns"]), rule
        else:
            assert any(middle == column for column in [*rule["columns"], "steps"]), rule


def test_every_foreign_key_has_an_index(connection: Connection) -> None:
    # Two leading columns find the few rows of a key of three.
    rows = connection.execute(
        "select conname from pg_constraint where contype = 'f' and conparentid = 0 "
        "and connamespace = 'public'::regnamespace and not exists ("
        "  select from pg_index where indrelid = conrelid and (indpred is null or exists ("
        "    select from pg_attribute where attrelid = conrelid and attnum = any(conkey) "
        "    and pg_get_expr(indpred, conrelid) = format('(%I IS NOT NULL)', attname)"
        "  ))"
        "  and (indkey::int2[])[0:least(cardinality(conkey), 2) - 1] <@ conkey"
        ")"
    ).fetchall()
    assert rows == []


def test_every_statement_prepares(connection: Connection) -> None:
    assert len(statements()) > 45
    for statement in statements().values():
        text, _ = statement.positional
        connection.execute(f"prepare {statement.name} as {text}")
        assert statement.cardinality in {"one", "optional", "many", "exec"}


def test_revisions_count_changes_and_use_does_not(connection: Connection, tenant: Tenant) -> None:
    before = {"last_used_at": None, "revision": 1}
    query = "select last_used_at, revision from api_keys"
    assert connection.execute(query).fetchone() == before
    with acting(connection, tenant):
        connection.execute("update api_keys set name = 'second'")
        cursor = connection.execute("select revision, updated_at = now() as now from api_keys")
        assert cursor.fetchone() == {"revision": 2, "now": True}
    with acting(connection, tenant):
        for _ in range(2):
            call(connection, "recordApiKeyUse", organization_id=tenant.organization_id,
                 ids=[tenant.api_key_id], used_at=[START])  # fmt: skip
    row = connection.execute(query).fetchone()
    assert row is not None
    assert (row["revision"], row["last_used_at"] is None) == (2, False)


@pytest.mark.parametrize("name", ["Digits", "dIGITS"])
def test_a_name_is_taken_whatever_its_case_until_its_owner_is_deleted(
    connection: Connection, tenant: Tenant, name: str
) -> None:
    def create() -> None:
        with acting(connection, tenant):
            call(connection, "createExperiment", id=uuid7(), name=name, description="",
                 organization_id=tenant.organization_id, user_id=tenant.user_id,
                 project_id=tenant.project_id, sufficient_roles=["owner"], config_json="{}",
                 created_at=START)  # fmt: skip

    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        create()
    assert caught.value.diag.constraint_name == "idx_experiments_project_name"
    connection.execute("update experiments set deleted_at = now()")
    create()


def test_an_email_is_taken_whatever_its_case(connection: Connection, tenant: Tenant) -> None:
    assert tenant
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        connection.execute(
            "insert into users (id, email, display_name) values (%s, 'ADA@ACME.example', 'A')",
            [uuid7()],
        )
    assert caught.value.diag.constraint_name == "idx_users_email"


@pytest.mark.parametrize(
    ("is_there", "roles", "reason"),
    [(False, ["owner"], "PROJECT_NOT_FOUND"), (True, [], "PERMISSION_MISSING")],
)
def test_an_experiment_of_a_project_that_is_not_the_caller_s_to_change_is_refused(
    connection: Connection, tenant: Tenant, is_there: bool, roles: list[str], reason: str
) -> None:
    with pytest.raises(psycopg.Error) as caught, acting(connection, tenant):
        call(connection, "createExperiment", id=uuid7(), name="x", description="",
             organization_id=tenant.organization_id, user_id=tenant.user_id,
             project_id=tenant.project_id if is_there else uuid7(), sufficient_roles=roles,
             config_json="{}", created_at=START)  # fmt: skip
    assert caught.value.diag.constraint_name == reason
