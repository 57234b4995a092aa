"""An organization with one or two of everything that an organization can have."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import needletail
from needletail.identity import OrganizationRole
from organizations import create_member, create_organization
from wire import IDENTITY, Wire, identity_message, message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from method_requests import Field
    from program import Connection, UpServer


class Estate:
    """What a test has to know of it; every text that it could give holds `text`."""

    def __init__(self, served: UpServer, sql: Connection, text: str) -> None:
        """Make one, through the API where the API can."""
        self.served = served
        self.text = text
        self.organization = create_organization(sql, text)
        self.id = str(self.organization.id)
        self.metric = f"{text} metric"
        self.connection = self.organization.connection(served.connection)
        sql.execute(
            "update organizations set subscription_plan = 'enterprise' where id = %s", [self.id]
        )
        row = sql.execute(
            "select user_id, id from api_keys where organization_id = %s", [self.id]
        ).fetchone()
        assert row is not None
        members = [create_member(sql, self.organization.id) for _ in range(2)]
        self.ids: dict[str, str] = {
            "organization": self.id,
            "admin": str(row["user_id"]),
            "admin_key": str(row["id"]),
            "user": str(members[0].id),
        }
        with self.client() as client:
            self._fill_organization(client)
            self._fill_tracking(client)
        self._call_by_hand()
        self._name(sql)
        self.ids["audit_log"] = self._newest(sql)

    def _fill_organization(self, client: needletail.Client) -> None:
        identity, text = client.identity, self.text
        identity.update_organization(
            name=f"{text} organization", billing_email=f"{text}@example.com",
            settings_json=f'{{"key": "{text}"}}',
        )  # fmt: skip
        for kind in ("other_project", "deleted_project", "project"):
            self.ids[kind] = identity.create_project(
                name=f"{text} {kind}", slug=f"{text}-{kind.replace('_', '-')}", description=text,
                settings_json=f'{{"key": "{text}"}}',
            ).id  # fmt: skip
        self.ids["project_slug"] = f"{text}-project"
        identity.delete_project(id=self.ids["deleted_project"])
        identity.set_project_member(project_id=self.ids["project"], user_id=self.ids["user"])
        for kind in ("other_service_account", "service_account"):
            self.ids[kind] = identity.create_service_account(
                display_name=f"{text} {kind}", role=OrganizationRole.DEVELOPER
            ).id
        for kind in ("other_api_key", "api_key"):
            self.ids[kind] = identity.create_api_key(
                name=f"{text} {kind}", user_id=self.ids["user"], scopes=["run.get"]
            ).api_key.id

    def _fill_tracking(self, client: needletail.Client) -> None:
        tracking, text = client.tracking, self.text
        for kind in ("other_experiment", "experiment"):
            self.ids[kind] = tracking.create_experiment(
                project_id=self.ids["project"], name=f"{text} {kind}", description=text,
                config_json=f'{{"key": "{text}"}}',
            ).id  # fmt: skip
        self.ids["deleted_experiment"] = tracking.create_experiment(
            project_id=self.ids["project"], name=f"{text} deleted"
        ).id
        tracking.delete_experiment(id=self.ids["deleted_experiment"])
        for kind in ("deleted_run", "finished_run", "run"):
            self.ids[kind] = tracking.create_run(
                experiment_id=self.ids["experiment"], name=f"{text} {kind}", description=text,
                source=needletail.tracking.RunSource(entry_point=text),
            ).id  # fmt: skip
        tracking.delete_run(id=self.ids["deleted_run"])
        self._describe(client)
        self.ids["writer"] = str(uuid.uuid4())
        with self.wire() as wire:
            for sequence, kind in enumerate(("run", "finished_run"), 1):
                series = [
                    message("MetricSeries", key=key, steps=[1, 2], values=[1.0, 2.0])
                    for key in (self.metric, f"{self.metric} too")
                ]
                end = wire.end(wire.open("AppendMetrics", message(
                    "AppendMetricsRequest", writer_id=self.ids["writer"], sequence=sequence,
                    runs=[message("RunMetrics", run_id=self.ids[kind], series=series)],
                )))  # fmt: skip
                assert end.status.code == 0, end.status
        tracking.finish_run(id=self.ids["finished_run"])

    def _describe(self, client: needletail.Client) -> None:
        """Give what is tracked two of each tag and parameter, and a parameter two values before."""
        tracking, text = client.tracking, self.text
        keys = (self.metric, f"{self.metric} too")
        tags = [needletail.tracking.Tag(key=key, value=text) for key in keys]
        tracking.set_experiment_tags(experiment_id=self.ids["experiment"], tags=tags)
        tracking.set_run_tags(run_id=self.ids["run"], tags=tags)
        for value in (text, f"{text} 1", f"{text} 2"):
            tracking.log_parameters(
                run_id=self.ids["run"], overwrite=True,
                parameters=[needletail.tracking.Parameter(key=key, value=value) for key in keys],
            )  # fmt: skip

    def _call_by_hand(self) -> None:
        """Make a call with what the SDK chooses for its caller."""
        with self.wire() as wire:
            request = identity_message(
                "UpdateProjectRequest", id=self.ids["project"], description=f"{self.text} at last"
            )
            # Keys are at most 64 bytes.
            end = wire.call(f"{IDENTITY}/UpdateProject", request, key=self.text)
            assert end.status.code == 0, end.status

    def _name(self, sql: Connection) -> None:
        """Write the texts that no method takes yet."""
        for statement in (
            (
                "update users set display_name = %(text)s || display_name, first_name = %(text)s,"
                " last_name = %(text)s, avatar_url = %(text)s, password_hash = %(text)s,"
                " email = %(text)s || email, settings = jsonb_build_object('key', %(text)s::text)"
                f" where kind = 'person' and id in {MEMBERS}"
            ),
            "update api_keys set name = %(text)s || name where organization_id = %(organization)s",
        ):
            sql.execute(statement, {"organization": self.id, "text": self.text})

    def _newest(self, sql: Connection) -> str:
        row = sql.execute(
            "select id from audit_logs where organization_id = %s order by id limit 1", [self.id]
        ).fetchone()
        assert row is not None
        return str(row["id"])

    def id_of(self, field: Field) -> str:
        """Return what a field of this organization's own request holds."""
        assert field.kind in self.ids, (
            f"{field.name} identifies a {field.kind}, which no test has: make one in estate.py,"
            " or say in KINDS of method_requests.py what the field identifies"
        )
        return self.ids[field.kind]

    @contextmanager
    def client(self) -> Iterator[needletail.Client]:
        """Connect the SDK as the administrator."""
        found = self.connection
        with needletail.connect(
            f"needletail://{found['address']}:{found['port']}",
            api_key=found["api_key"], ca_file=found["ca_file"],
        ) as client:  # fmt: skip
            yield client

    def wire(self, *, client: str = "") -> Wire:
        """Connect by hand as the administrator."""
        return Wire.opened(self.connection, client=client or self.text)


MEMBERS = "(select user_id from organization_memberships where organization_id = %(organization)s)"
# Which rows are an organization's, where they do not say it; the rest belongs to all.
CONDITIONS = {
    "organizations": "id = %(organization)s",
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
