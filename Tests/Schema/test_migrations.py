"""The schema goes up, down and up again, under whoever may migrate."""

import psycopg
import pytest
from cluster import Cluster, migration_files


def test_every_migration_has_its_way_back() -> None:
    ups = [path.name.removesuffix(".up.sql") for path in migration_files("up")]
    downs = [path.name.removesuffix(".down.sql") for path in migration_files("down")]
    assert ups == sorted(downs)
    assert [int(name[:4]) for name in ups] == list(range(1, len(ups) + 1))


def test_up_down_up_ends_in_the_same_schema(cluster: Cluster) -> None:
    database = cluster.create_database()
    empty = cluster.dump(database)
    cluster.migrate(database, "up")
    first = cluster.dump(database)
    cluster.migrate(database, "down")
    assert "CREATE" not in cluster.dump(database).replace(empty, "")
    cluster.migrate(database, "up")
    assert cluster.dump(database) == first


@pytest.mark.parametrize("number", [int(path.name[:4]) for path in migration_files("up")])
def test_each_migration_undoes_itself(cluster: Cluster, number: int) -> None:
    database = cluster.create_database()
    for earlier in range(1, number):
        cluster.migrate(database, "up", pattern=f"^{earlier:04}")
    before = cluster.dump(database)
    cluster.migrate(database, "up", pattern=f"^{number:04}")
    cluster.migrate(database, "down", pattern=f"^{number:04}")
    after = cluster.dump(database)
    if number > 1:  # The first one leaves the schema's own grants, in another order.
        assert after == before


def test_roles_go_with_the_last_database_that_uses_them() -> None:
    cluster = Cluster.start()
    try:
        roles = "select count(*) as n from pg_roles where rolname like 'needletail%'"
        first, second = cluster.create_database(), cluster.create_database()
        cluster.migrate(first, "up")
        cluster.migrate(second, "up")
        cluster.migrate(first, "down")
        with cluster.connect(second) as connection:
            assert connection.execute(roles).fetchone() == {"n": 3}
            cluster.migrate(second, "down")
            assert connection.execute(roles).fetchone() == {"n": 0}
    finally:
        cluster.stop()


def test_an_owner_with_createrole_can_migrate_and_serve() -> None:
    cluster = Cluster.start()
    try:
        cluster.administer("create role keeper login createrole")
        database = cluster.create_database(owner="keeper")
        cluster.migrate(database, "up", user="keeper")
        with cluster.connect(database, "keeper") as connection:
            connection.execute("set role needletail_app")
            assert connection.execute("select id from runs").fetchall() == []
            connection.execute("set role needletail_maintenance")
            made = connection.execute("select needletail_ensure_partitions(6) as n").fetchone()
            assert made == {"n": 15}
        cluster.migrate(database, "down", user="keeper")
    finally:
        cluster.stop()


def test_a_role_that_may_not_prepare_is_told_what_it_lacks() -> None:
    cluster = Cluster.start()
    try:
        cluster.administer("create role weak login")
        database = cluster.create_database(owner="weak")
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            cluster.migrate(database, "up", user="weak")
        assert caught.value.diag.message_primary == "role weak may not prepare this database"
        assert "CREATEROLE" in (caught.value.diag.message_hint or "")
    finally:
        cluster.stop()


def test_a_database_in_another_encoding_is_refused(cluster: Cluster) -> None:
    name = cluster.create_database("template0 encoding 'LATIN1' locale 'C'")
    with pytest.raises(psycopg.Error, match="needs a database in UTF8"):
        cluster.migrate(name, "up")
