"""Fixtures: a cluster a session, a migrated database a test, two organizations in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cluster import Cluster, Connection, running_cluster
from tenants import Tenant, create_run, create_tenant

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    yield from running_cluster()


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    name = cluster.create_database()
    cluster.migrate(name, "up")
    return name


@pytest.fixture
def database(cluster: Cluster, template: str) -> str:
    return cluster.create_database(template)


@pytest.fixture
def connection(cluster: Cluster, database: str) -> Iterator[Connection]:
    with cluster.connect(database) as connection:
        yield connection


@pytest.fixture
def other(cluster: Cluster, database: str) -> Iterator[Connection]:
    with cluster.connect(database) as connection:
        yield connection


@pytest.fixture
def tenant(connection: Connection) -> Tenant:
    return create_tenant(connection, "acme")


@pytest.fixture
def rival(connection: Connection) -> Tenant:
    return create_tenant(connection, "rival")


@pytest.fixture
def run_id(connection: Connection, tenant: Tenant) -> uuid.UUID:
    return create_run(connection, tenant)
