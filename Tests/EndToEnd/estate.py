"""An organization with one or two of everything that an organization can have."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import needletail
from estate_rows import MEMBERS
from estate_traces import (
    make_evaluation_datasets,
    make_issues,
    make_reviews,
    register_scorers,
    tell_traces,
)
from guests import PHRASE, stored
from method_requests import ANONYMOUS, short
from needletail.identity import OrganizationRole
from organizations import create_member, create_organization
from uploads import Upload, begin_profile, upload
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
        roles = {"user": "developer", "other_admin": "admin", "deleted_user": "developer"}
        members = {
            kind: create_member(sql, self.organization.id, role=role)
            for kind, role in roles.items()
        }
        self.ids: dict[str, str] = {
            "organization": self.id,
            "admin": str(row["user_id"]),
            "admin_key": str(row["id"]),
            **{kind: str(member.id) for kind, member in members.items()},
        }
        self.tokens: dict[str, str] = {}
        with self.client() as client:
            self._fill_organization(client)
            self._fill_tracking(client)
            self._fill_registry(client)
        self._call_by_hand()
        self._name(sql)
        self._give_passwords(sql)
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
        for kind in ("other_invitation", "deleted_invitation", "invitation"):
            invited = identity.invite_member(
                email=f"{text}-{kind}-{uuid.uuid4()}@example.com", role=OrganizationRole.DEVELOPER
            )
            assert invited.invitation is not None
            self.ids[kind], self.tokens[kind] = invited.invitation.id, invited.token
        identity.delete_invitation(id=self.ids["deleted_invitation"])

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
            lines = message(
                "RunLogs", run_id=self.ids["finished_run"], text=text * 2,
                text_bytes=[len(text)] * 2, stream_names=[text],
            )  # fmt: skip
            end = wire.end(wire.open("AppendLogs", message(
                "AppendLogsRequest", writer_id=self.ids["writer"], sequence=3, runs=[lines],
            )))  # fmt: skip
            assert end.status.code == 0, end.status
            for epoch in (1, 2):
                opening = message(
                    "RunMetrics", run_id=self.ids["finished_run"], epoch=epoch, from_step=100
                )
                end = wire.end(wire.open("AppendMetrics", message(
                    "AppendMetricsRequest", writer_id=self.ids["writer"], sequence=3 + epoch,
                    runs=[opening],
                )))  # fmt: skip
                assert end.status.code == 0, end.status
        self._upload(client)
        tracking.finish_run(id=self.ids["finished_run"])

    def _fill_registry(self, client: needletail.Client) -> None:
        """Register models with two of everything."""
        registry, text = client.registry, self.text
        keys = (self.metric, f"{self.metric} too")
        tags = [needletail.registry.ModelTag(key=key, value=text) for key in keys]
        for kind in ("deleted_model", "other_model", "model"):
            self.ids[kind] = registry.create_model(
                project_id=self.ids["project"], name=f"{text} {kind}", description=text,
                metadata_json=f'{{"key": "{text}"}}', model_type=text, framework=text,
                task_type=text, tags=tags,
            ).id  # fmt: skip
        registry.delete_model(id=self.ids["deleted_model"])
        said = f'{{"key": "{text}"}}'
        for kind in ("model_version", "other_model_version"):
            self.ids[kind] = registry.create_model_version(
                model_id=self.ids["model"], version=f"{len(kind)}.0.0-{text}",
                status_message=text, source=text, source_run=text, run_link=text,
                logged_model=text, description=text, user=text, requirements=text,
                input_schema_json=said, output_schema_json=said, performance_metrics_json=said,
                training_metrics_json=said, hyperparameters_json=said, tags=tags,
            ).id  # fmt: skip
            registry.transition_model_version_stage(
                model_version_id=self.ids[kind], stage=needletail.registry.ModelStage.STAGING,
                comment=text,
            )  # fmt: skip
        for alias in (text, f"{text}-too"):
            registry.set_model_alias(model_id=self.ids["model"], alias=alias, ordinal=1)
        for kind in ("other_webhook", "webhook"):
            self.ids[kind] = registry.create_webhook(
                project_id=self.ids["project"], name=f"{text}-{kind}", description=text,
                url=f"https://{text}.example.com/{text}", events=["model_version.created"],
                sealed_secret=text,
            ).id  # fmt: skip

    def _upload(self, client: needletail.Client) -> None:
        """Bring two files, and the beginning of another."""
        run = self.ids["run"]
        for path in (self.metric, f"{self.metric} too"):
            upload(client, run, path, self.text.encode())
        # Nobody finishes it, so that it is there as long as the estate.
        self.ids["upload"] = Upload(client, run, self.metric).id

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

        tracking.log_inputs(run_id=self.ids["run"], inputs=[
            needletail.tracking.NewRunInput(
                dataset=needletail.tracking.InputDataset(
                    name=f"{text} data", digest=f"{text} {context}", source_type=text,
                    source=text, schema=text, profile=text,
                ),
                context=f"{text} {context}", tags=tags,
            ) for context in ("one", "two")
        ])  # fmt: skip
        begin_profile(client, self.ids["run"], self.metric, text)
        tracking.log_models(run_id=self.ids["run"], models=[
            needletail.tracking.NewRunModel(
                role=needletail.tracking.ModelRole.OUTPUT, name=f"{text} {name}",
                artifact_path=f"{text}/{name}",
            ) for name in ("one", "two")
        ])  # fmt: skip
        self._log_models(client)
        tell_traces(self, client)
        make_evaluation_datasets(self, client)
        register_scorers(self, client)
        make_issues(self, client)
        make_reviews(self, client)
        tracking.define_metrics(run_id=self.ids["run"], definitions=[
            needletail.tracking.MetricDefinition(pattern=f"{text} {name}", step_metric=text)
            for name in ("one", "two")
        ])  # fmt: skip

    def _log_models(self, client: needletail.Client) -> None:
        """Log models with two of everything."""
        tracking, text = client.tracking, self.text
        keys = (self.metric, f"{self.metric} too")
        for kind in ("deleted_logged_model", "other_logged_model", "logged_model"):
            self.ids[kind] = tracking.create_logged_model(
                experiment_id=self.ids["experiment"], name=f"{text} {kind}", model_type=text,
                source_run_id=self.ids["run"],
                tags=[needletail.tracking.Tag(key=key, value=text) for key in keys],
                parameters=[needletail.tracking.Parameter(key=key, value=text) for key in keys],
            ).id  # fmt: skip
        tracking.delete_logged_model(id=self.ids["deleted_logged_model"])
        tracking.update_logged_model(id=self.ids["logged_model"], status_message=text)
        tracking.log_batch(run_id=self.ids["run"], model_series=[
            needletail.tracking.LoggedModelSeries(
                logged_model_id=self.ids["logged_model"], dataset_name=text, dataset_digest=text,
                series=needletail.tracking.MetricSeries(key=key, steps=[1], values=[1.0]),
            ) for key in keys
        ])  # fmt: skip

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

    def _give_passwords(self, sql: Connection) -> None:
        """Let the administrator, who runs the platform, and who is deleted log in."""
        for statement in (
            "update users set password_hash = %(hash)s where id in (%(admin)s, %(deleted)s)",
            "update users set is_platform_admin = true where id = %(admin)s",
            (
                "update users set deleted_at = now(), purge_after = now() + interval '30 days'"
                " where id = %(deleted)s"
            ),
        ):
            sql.execute(
                statement,
                {
                    "hash": stored(), "admin": self.ids["admin"],
                    "deleted": self.ids["deleted_user"],
                },
            )  # fmt: skip
        rows = sql.execute(
            "select 'slug' as name, slug as value from organizations where id = %(id)s"
            " union all select 'email', email from users where id = %(admin)s"
            " union all select 'deleted_email', email from users where id = %(deleted_user)s",
            {**self.ids, "id": self.id},
        ).fetchall()
        self._words = {row["name"]: row["value"] for row in rows}

    def words(self, *, other: bool = False) -> dict[str, str]:
        """Return what may stand in a request; for another request, some of it written otherwise."""
        words = {
            **self._words, "text": "mine", "password": PHRASE, "metric": self.metric,
            "token": self.tokens["invitation"], "typed": self._words["slug"],
        }  # fmt: skip
        if other:
            words.update(
                text="another", typed="another", email=words["email"].upper(),
                deleted_email=words["deleted_email"].upper(),
            )  # fmt: skip
        return words

    def principal(self, method: str) -> str:
        """Return who calls a method, or proves to be by calling it."""
        # Somebody new has the invitation's id.
        kinds = {"UndeleteUser": "deleted_user", "AcceptInvitation": "invitation"}
        return self.ids[kinds.get(short(method), "admin")]

    def prepare(self, sql: Connection, method: str) -> None:
        """Bring about what a method is for, where that is no way to be."""
        if short(method) == "UndeleteOrganization":
            sql.execute(
                "update organizations set deleted_at = now(),"
                " purge_after = now() + interval '30 days' where id = %s",
                [self.id],
            )

    def revive(self, sql: Connection) -> None:
        """Undo what ends the administrator's key."""
        for table, kind in (("organizations", "organization"), ("users", "admin")):
            sql.execute(
                f"update {table} set deleted_at = null, purge_after = null"
                " where id = %s and deleted_at is not null",
                [self.ids[kind]],
            )

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

    def wire(self, *, client: str = "", method: str = "") -> Wire:
        """Connect by hand as the administrator, or as nobody where a method is for nobody."""
        key = "" if short(method) in ANONYMOUS else self.connection["api_key"]
        return Wire.opened({**self.connection, "api_key": key}, client=client or self.text)
