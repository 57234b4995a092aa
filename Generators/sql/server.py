"""A scratch database with the newest schema, and what it says of a statement."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import pq

from .errors import QueryError
from .statements import outer_joined
from .types import TypeFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .statements import Statement

_BINARIES = Path("/usr/lib/postgresql/15/bin")
_NO_TRANSACTION = "-- needletail:no-transaction"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a statement's result."""

    name: str
    type: TypeFacts
    is_nullable: bool


@dataclass(frozen=True, slots=True)
class Description:
    """What the server says of a statement."""

    parameters: tuple[TypeFacts, ...]
    columns: tuple[Column, ...]


class ServerError(Exception):
    """The server refused something."""


class Server:
    """One connection to the scratch database."""

    def __init__(self, connection: str) -> None:
        """Connect, or say why not."""
        self._raw = pq.PGconn.connect(connection.encode())
        if self._raw.status != pq.ConnStatus.OK:
            raise ServerError(self._raw.get_error_message())

    def close(self) -> None:
        """End the connection."""
        self._raw.finish()

    def run(self, text: str, *parameters: int) -> list[list[bytes | None]]:
        """Run statements and return the last one's rows as text."""
        if parameters:
            values = [str(parameter).encode() for parameter in parameters]
            result = self._raw.exec_params(text.encode(), values)
        else:
            result = self._raw.exec_(text.encode())
        if result.status not in {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}:
            raise ServerError(result.get_error_message())
        return [
            [result.get_value(row, column) for column in range(result.nfields)]
            for row in range(result.ntuples)
        ]

    def migrate(self, folder: Path) -> None:
        """Apply every `.up.sql` of a folder, in a transaction unless it says otherwise."""
        for file in sorted(folder.glob("*.up.sql")):
            text = file.read_text(encoding="utf-8")
            if _NO_TRANSACTION not in text:
                text = f"begin;\n{text}\ncommit;"
            try:
                self.run(text)
            except ServerError as error:
                raise QueryError(file, 1, str(error)) from error

    def describe(self, statement: Statement) -> Description:
        """Prepare a statement and ask for its types."""
        for result in (
            self._raw.prepare(b"", statement.text.encode()),
            self._raw.describe_prepared(b""),
        ):
            if result.status != pq.ExecStatus.COMMAND_OK:
                problem = result.get_error_message().strip()
                raise QueryError(statement.file, statement.line, f"{statement.name}: {problem}")
        if result.nparams != len(statement.parameters):
            raise QueryError(
                statement.file,
                statement.line,
                f"{statement.name}: {result.nparams} parameters in place of "
                f"{len(statement.parameters)}",
            )
        missing = outer_joined(statement.text)
        return Description(
            tuple(self._type(result.param_type(index)) for index in range(result.nparams)),
            tuple(self._column(result, index, missing) for index in range(result.nfields)),
        )

    def _column(
        self, result: pq.abc.PGresult, index: int, missing: frozenset[str] | None
    ) -> Column:
        name = (result.fname(index) or b"").decode()
        kind = self._type(result.ftype(index))
        if name.endswith(("!", "?")):
            return Column(name[:-1], kind, name.endswith("?"))
        table, number = result.ftable(index), result.ftablecol(index)
        if missing is None or table == 0:
            return Column(name, kind, is_nullable=True)
        rows = self.run(
            "select class.relname, attribute.attnotnull from pg_attribute as attribute"
            " inner join pg_class as class on attribute.attrelid = class.oid"
            " where attribute.attrelid = $1 and attribute.attnum = $2",
            table,
            number,
        )
        relation, is_required = rows[0]
        is_missing = (relation or b"").decode() in missing
        return Column(name, kind, is_nullable=is_required != b"t" or is_missing)

    def _type(self, oid: int) -> TypeFacts:
        rows = self.run(
            "select format_type(oid, null), typtype, typbasetype from pg_type where oid = $1",
            oid,
        )
        name, kind, base = ((value or b"").decode() for value in rows[0])
        return TypeFacts(oid, name, kind, int(base))


@contextmanager
def scratch_server(migrations: Path) -> Iterator[Server]:
    """Make a database, migrate it and drop it again.

    NEEDLETAIL_TEST_POSTGRES, the connection string of a superuser, names a server that runs
    already; without it one is started for the moment.
    """
    if connection := os.environ.get("NEEDLETAIL_TEST_POSTGRES"):
        with _database(connection, migrations) as server:
            yield server
        return
    with scratch_cluster() as connection, _database(connection, migrations) as server:
        yield server


@contextmanager
def _database(connection: str, migrations: Path) -> Iterator[Server]:
    name = f"needletail_generate_{os.getpid()}"
    administrator = Server(connection)
    try:
        administrator.run(f"create database {name}")
        try:
            server = Server(_with_database(connection, name))
            try:
                server.migrate(migrations)
                yield server
            finally:
                server.close()
        finally:
            administrator.run(f"drop database {name} with (force)")
    finally:
        administrator.close()


def _with_database(connection: str, name: str) -> str:
    """Name another database in a connection string of either form."""
    options = {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.parse(connection.encode())
        if option.val is not None
    }
    options["dbname"] = name
    return " ".join(f"{key}='{_quoted(value)}'" for key, value in options.items())


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


@contextmanager
def scratch_cluster() -> Iterator[str]:
    """Start a private cluster on a Unix socket, as the user postgres when run by root."""
    with tempfile.TemporaryDirectory(prefix="ntgen-", dir="/tmp") as folder:
        prefix: list[str] = []
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            prefix = ["runuser", "-u", "postgres", "--"]
        data = f"{folder}/data"

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [*prefix, str(_BINARIES / program), "-D", data, *arguments],
                check=True,
                cwd=folder,
                stdout=subprocess.DEVNULL,
            )

        run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        run(
            "pg_ctl",
            "start",
            "-w",
            "-s",
            "-l",
            f"{folder}/log",
            "-o",
            f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off",
        )
        try:
            yield f"host={folder} user=postgres dbname=postgres"
        finally:
            run("pg_ctl", "stop", "-w", "-s", "-m", "immediate")
