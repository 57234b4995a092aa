"""What the database holds of an organization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from program import Connection

MEMBERS = "(select user_id from organization_memberships where organization_id = %(organization)s)"
# Which rows are an organization's, where they do not say it; the rest belongs to all.
CONDITIONS = {
    # Every server writes them now and then, for nobody.
    "maintenance_tasks": "false",
    # With those that its people make.
    "organizations": (
        "(id = %(organization)s or id in (select organization_id from organization_memberships"
        f" where user_id in {MEMBERS}))"
    ),
    "users": f"id in {MEMBERS}",
    "user_identities": f"user_id in {MEMBERS}",
}


def tables_of(sql: Connection) -> dict[str, str]:
    """Return every table with the condition of an organization's rows."""
    tables = sql.execute(
        "select class.relname as name, exists (select from pg_attribute where"
        " attrelid = class.oid and attname = 'organization_id' and not attisdropped) as is_owned"
        " from pg_class as class where relnamespace = 'public'::regnamespace"
        " and relkind in ('r', 'p') and not relispartition order by 1"
    ).fetchall()
    return {
        table["name"]: "organization_id = %(organization)s"
        if table["is_owned"]
        else CONDITIONS.get(table["name"], "true")
        for table in tables
    }


def rows_of(sql: Connection, organization: str, *, denials: bool = False) -> dict[str, Any]:
    """Return how many rows each table has of an organization, and a digest of them.

    Left out are when keys were last used, which is noted beside the calls, and, unless asked for,
    the refusals of the audit log.
    """
    parts = [
        f"select '{name}' as name, count(*) as rows,"
        " md5(string_agg(line, ',' order by line)) as digest from (select"
        f" (to_jsonb(stored) - 'last_used_at')::text as line from {name} as stored"
        f" where {condition}"
        + (" and outcome <> 'denied'" if name == "audit_logs" and not denials else "")
        + ") as lines"
        for name, condition in tables_of(sql).items()
    ]
    found = sql.execute(" union all ".join(parts), {"organization": organization}).fetchall()
    return {row["name"]: (row["rows"], row["digest"]) for row in found}
