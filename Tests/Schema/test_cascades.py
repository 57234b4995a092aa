"""What goes with its organization, though no purge names it; and the bounds of a purge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from statements import call
from tenants import maintaining

if TYPE_CHECKING:
    from cluster import Connection

# A row an organization.
CASCADED = {"metric_compactions"}


def test_what_a_purge_does_not_name_goes_by_its_foreign_keys(connection: Connection) -> None:
    for name in CASCADED:
        rules = connection.execute(
            "select conname, confdeltype::text as rule from pg_constraint"
            " where conrelid = %s::regclass and contype = 'f'"
            " and confrelid = 'organizations'::regclass",
            [name],
        ).fetchall()
        assert rules, name
        assert {rule["conname"]: rule["rule"] for rule in rules} == {
            rule["conname"]: "c" for rule in rules
        }


@pytest.mark.parametrize("batch_size", [0, 100_001])
def test_a_batch_has_a_bound(connection: Connection, batch_size: int) -> None:
    bound = "batch_size must be 1 to 100000"
    with maintaining(connection), pytest.raises(psycopg.errors.RaiseException, match=bound):
        call(connection, "purge", before="now", batch_size=batch_size)
