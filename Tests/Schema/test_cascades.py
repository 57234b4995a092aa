"""What goes with its run or experiment, without a purge that names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster import Connection

CASCADED = {"run_departures", "metric_compactions"}


def test_what_a_purge_does_not_name_goes_by_its_foreign_keys(connection: Connection) -> None:
    for name in CASCADED:
        rules = connection.execute(
            "select conname, confdeltype::text as rule from pg_constraint"
            " where conrelid = %s::regclass and contype = 'f'"
            " and confrelid in"
            " ('runs'::regclass, 'experiments'::regclass, 'organizations'::regclass)",
            [name],
        ).fetchall()
        assert rules, name
        assert {rule["conname"]: rule["rule"] for rule in rules} == {
            rule["conname"]: "c" for rule in rules
        }
