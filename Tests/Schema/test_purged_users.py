"""Users go for good after all that binds them, whatever a purge had to pass over before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from test_purge import PAST, counts, fill, notes, purge

if TYPE_CHECKING:
    from cluster import Connection
    from tenants import Tenant

BINDING = ("organization_memberships", "project_members", "api_keys")


@pytest.mark.parametrize("table", BINDING)
def test_a_user_goes_after_what_another_transaction_holds(
    connection: Connection, other: Connection, tenant: Tenant, table: str
) -> None:
    fill(connection, tenant)
    connection.execute(PAST.format("users"))
    with other.transaction():
        # As an ordinary update holds it.
        other.execute(f"select from {table} where user_id = %s for no key update", [tenant.user_id])
        purge(connection)
        [row] = connection.execute("select purge_after, display_name from users").fetchall()
        assert row["purge_after"] is not None
        assert row["display_name"] != "Deleted user"
        assert counts(connection, tenant)[table] == 1
    purge(connection)
    [row] = connection.execute("select purge_after, display_name from users").fetchall()
    assert row == {"purge_after": None, "display_name": "Deleted user"}
    after = counts(connection, tenant)
    assert [after[name] for name in BINDING] == [0, 0, 0]
    assert notes(connection) == [("user.purge", tenant.organization_id, tenant.user_id, None)]
