"""Audit entries by the million, for measurements of their listing."""

from dataclasses import dataclass

from Benchmarks.bulk import LIMIT_SECONDS, without_indexes
from Benchmarks.postgres import Cluster

ORGANIZATIONS = 1_000
# Of all entries: the measured organization is a hundred times as large as the others.
OWN_SHARE = 0.1
# Of the measured organization's entries.
RARE_ACTOR_EVERY = 1_000
DENIED_EVERY = 500
_RARE_ACTOR = "00000000-0000-4000-8000-00000000000a"
_RARE_RESOURCE = "00000000-0000-4000-8000-00000000000b"


@dataclass(frozen=True, slots=True)
class AuditRows:
    """What was generated, to ask for."""

    rows: int
    common_actor: str
    rare_actor: str
    resource: str
    api_key: str
    # Seconds since 1970 of the first and the last entry.
    first: float
    last: float


def fill(database: Cluster, *, organization_id: str, rows: int) -> AuditRows:
    """Writes entries of many organizations, over the months that have partitions."""
    with without_indexes(database, ["audit_logs"]):
        database.query(_UUID_OF)
        database.query(_insertion(organization_id, rows), limit_seconds=LIMIT_SECONDS)
    own = f"from audit_logs where organization_id = '{organization_id}'"
    by_time = "select extract(epoch from created_at), actor_id, api_key_id"
    first, actor, key = database.query(
        f"{by_time} {own} and actor_id <> '{_RARE_ACTOR}' order by id limit 1"
    )[0]
    last = database.query(f"{by_time} {own} order by id desc limit 1")[0][0]
    return AuditRows(rows, actor, _RARE_ACTOR, _RARE_RESOURCE, key, float(first), float(last))


def _insertion(organization_id: str, rows: int) -> str:
    """One statement: ids ascend with time, everything else is drawn from a few thousand."""
    own_every = round(1 / OWN_SHARE)
    return f"""
        with span as (
            select
                date_trunc('month', now()) as start,
                extract(epoch from interval '115 days') / {rows} as step
        )
        insert into audit_logs (
            organization_id, id, actor_type, actor_id, actor_label, api_key_id, action, outcome,
            reason, resource_type, resource_id, details, created_at
        )
        select
            case
                when is_own then '{organization_id}'::uuid else uuid_of(1, n % {ORGANIZATIONS})
            end,
            (
                lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || '7'
                || lpad(to_hex(n % 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0')
            )::uuid,
            'user',
            case
                when is_own and own % {RARE_ACTOR_EVERY} = 0 then '{_RARE_ACTOR}'::uuid
                else uuid_of(2, hash % 50)
            end,
            'somebody',
            uuid_of(3, hash / 64 % 80),
            resource || '.' || (array['create', 'update', 'delete'])[1 + hash / 4096 % 3],
            case when own % {DENIED_EVERY} = 0 then 'denied' else 'success' end,
            case when own % {DENIED_EVERY} = 0 then 'PERMISSION_MISSING' end,
            resource,
            case
                when is_own and own % 50000 = 7 then '{_RARE_RESOURCE}'::uuid
                else uuid_of(4, hash / 8 % 100000)
            end,
            '{{}}',
            moment
        from (
            select
                n,
                n % {own_every} = 0 as is_own,
                n / {own_every} as own,
                ((n * 2654435761) % 4294967296) >> 8 as hash,
                (
                    array['run', 'run', 'run', 'run', 'experiment', 'project', 'api_key', 'member']
                )[1 + (n * 2654435761) % 4294967296 / 1024 % 8] as resource,
                span.start + make_interval(secs => n * span.step) as moment
            from generate_series(1::bigint, {rows}) as n
            cross join span
        ) as entry
    """  # noqa: S608


# Names of tenants and people; SQL, so that it is inlined.
_UUID_OF = """
    create function uuid_of(kind bigint, number bigint) returns uuid
    language sql immutable parallel safe
    return (
        lpad(to_hex(kind), 8, '0') || '000040008000' || lpad(to_hex(number), 12, '0')
    )::uuid
"""
