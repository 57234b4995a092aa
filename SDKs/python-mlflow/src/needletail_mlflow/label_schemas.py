"""Label schemas: what people are asked about traces.

Versions of MLflow without them ask for none; what is MLflow's is imported when they do.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS
from mlflow.store.entities.paged_list import PagedList
from needletail.errors import CallError, Code
from needletail.tracing import (
    AssessmentKind,
    CategoricalInput,
    LabelInput,
    NumericInput,
    PassFailInput,
    TextInput,
)

from needletail_mlflow import ids
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.searching import check_max_results, gathered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from needletail.tracing import LabelSchema as Stored

    from needletail_mlflow.connection import Connection
    from needletail_mlflow.experiments import Experiments

_PAGE = 100
_FIXED = "The experiment's default question cannot be"


class LabelSchemas:
    """What a tracking store does with label schemas."""

    _connection: Connection
    _experiments: Experiments

    def create_label_schema(
        self, experiment_id, *, name, type, input,  # noqa: A002
        instruction=None, enable_comment=False,
    ):  # fmt: skip
        from mlflow.genai.label_schemas import validation  # noqa: PLC0415 it takes seconds

        validation.validate_schema_for_create(
            name=name, type=type, input=input, instruction=instruction,
            enable_comment=enable_comment,
        )  # fmt: skip
        with TRANSLATED:
            try:
                return self._told_schema(
                    self._tracing.create_label_schema(
                        **self._reviews_of(experiment_id),
                        name=name,
                        kind=AssessmentKind[str(type).upper()],
                        instruction=instruction,
                        allows_comment=enable_comment,
                        input=_kept(input),
                    )
                )
            except CallError as error:
                raise self._schema_error(error, name, experiment_id) from error

    def get_label_schema(self, schema_id):
        with TRANSLATED:
            return self._told_schema(self._kept_schema(schema_id))

    def get_label_schema_by_name(self, experiment_id, name):
        with TRANSLATED:
            if found := self._named_schema(experiment_id, name):
                return self._told_schema(found)
        raise missing(
            f"Label schema with name '{name}' not found for experiment '{experiment_id}'."
        )

    def list_label_schemas(self, experiment_id, max_results=100, page_token=None):
        check_max_results(max_results)
        with TRANSLATED:
            where = self._reviews_of(experiment_id)
            try:
                self._ask_by_default(experiment_id, where)

                def read(size: int, token: str) -> tuple[Sequence[Stored], str]:
                    page = self._tracing.list_label_schemas(
                        **where, page_size=size, page_token=token
                    )
                    return page.label_schemas, page.next_page_token

                found, token = gathered(read, max_results, page_token or "", _PAGE)
            except CallError as error:
                raise self._schema_error(error, "", experiment_id) from error
            return PagedList([self._told_schema(one) for one in found], token)

    def update_label_schema(
        self, schema_id, *, name=None, instruction=None, enable_comment=None,
        input=None,  # noqa: A002
    ):  # fmt: skip
        from mlflow.genai.label_schemas import validation  # noqa: PLC0415 it takes seconds

        with TRANSLATED:
            stored = self._kept_schema(schema_id)
            before = self._told_schema(stored)
            validation.validate_schema_for_update(
                existing=before, name=name, instruction=instruction,
                enable_comment=enable_comment, input=input,
            )  # fmt: skip
            try:
                return self._told_schema(
                    self._tracing.update_label_schema(
                        project_id=self._connection.project_id,
                        label_schema_id=stored.id,
                        name=name,
                        instruction=instruction,
                        allows_comment=enable_comment,
                        input=None if input is None else _kept(input),
                    )
                )
            except CallError as error:
                if error.reason == "LABEL_SCHEMA_NOT_FOUND":
                    raise _no_such(schema_id) from error
                raise self._schema_error(error, name, before.experiment_id) from error

    def delete_label_schema(self, schema_id):
        uuid = ids.label_schema_to_uuid(schema_id)
        with TRANSLATED:
            try:
                if uuid is not None:
                    self._tracing.delete_label_schema(
                        project_id=self._connection.project_id, label_schema_id=uuid
                    )
            except CallError as error:
                if error.reason == "LABEL_SCHEMA_FIXED":
                    raise invalid(f"{_FIXED} deleted.") from error
                # To MLflow one that is not there is deleted.
                if error.reason != "LABEL_SCHEMA_NOT_FOUND":
                    raise

    # How it is done.

    @property
    def _tracing(self):
        return self._connection.client.tracing

    def _reviews_of(self, experiment_id) -> dict[str, str]:
        """The experiment whose label schemas or review queues a call is about."""
        uuid = self._experiments.uuid(experiment_id)
        if uuid == "":
            self._experiments.check_is_active(experiment_id)
        uuid = self._experiments.live_uuid(experiment_id)
        return {"project_id": self._connection.project_id, "experiment_id": uuid}

    @functools.cached_property
    def _asked_by_default(self) -> set[str]:
        """UUIDs of experiments that have what MLflow asks by default: it stays with them."""
        return set()

    def _ask_by_default(self, experiment_id, where: dict[str, str]) -> None:
        """Gives an experiment, when it is first looked at, the question that MLflow gives it."""
        from mlflow.genai.label_schemas import validation  # noqa: PLC0415 it takes seconds

        if where["experiment_id"] in self._asked_by_default:
            return
        name = validation.DEFAULT_LABEL_SCHEMA_NAME
        if not self._named_schema(experiment_id, name):
            try:
                self._tracing.create_label_schema(
                    **where,
                    name=name,
                    kind=AssessmentKind.FEEDBACK,
                    instruction=validation.DEFAULT_LABEL_SCHEMA_INSTRUCTION,
                    input=LabelInput(text=TextInput()),
                    is_fixed=True,
                )
            except CallError as error:
                if error.code is Code.PERMISSION_DENIED:
                    # Whoever may only read finds the experiment as it is.
                    return
                if error.reason != "LABEL_SCHEMA_NAME_TAKEN":
                    raise
        self._asked_by_default.add(where["experiment_id"])

    def _named_schema(self, experiment_id, name) -> Stored | None:
        where = self._reviews_of(experiment_id)
        if not name:
            return None
        try:
            page = self._tracing.list_label_schemas(**where, name=name)
        except CallError as error:
            raise self._schema_error(error, name, experiment_id) from error
        return page.label_schemas[0] if page.label_schemas else None

    def _kept_schema(self, schema_id) -> Stored:
        uuid = ids.label_schema_to_uuid(schema_id)
        if uuid is None:
            raise _no_such(schema_id)
        try:
            return self._tracing.get_label_schema(
                project_id=self._connection.project_id, label_schema_id=uuid
            )
        except CallError as error:
            if error.reason != "LABEL_SCHEMA_NOT_FOUND":
                raise
            raise _no_such(schema_id) from error

    def _schema_error(self, error: CallError, name, experiment_id) -> Exception:
        if error.reason == "EXPERIMENT_NOT_FOUND":
            return self._experiments.no_such(experiment_id)
        if error.reason == "LABEL_SCHEMA_NAME_TAKEN":
            return MlflowException(
                f"Label schema with name '{name}' already exists for experiment '{experiment_id}'.",
                RESOURCE_ALREADY_EXISTS,
            )
        return error

    def _told_schema(self, stored: Stored):
        from mlflow.genai.label_schemas import label_schemas  # noqa: PLC0415 it takes seconds

        return label_schemas.LabelSchema(
            name=stored.name,
            type=label_schemas.LabelSchemaType(stored.kind.name.lower()),
            input=_told(label_schemas, stored.input or LabelInput()),
            instruction=stored.instruction,
            enable_comment=stored.allows_comment,
            schema_id=ids.label_schema_to_mlflow(stored.id),
            experiment_id=self._experiments.public_id(stored.experiment_id),
            created_at=stored.create_time_ms,
            updated_at=stored.update_time_ms,
            is_default=stored.is_fixed,
        )


def _no_such(schema_id) -> Exception:
    return missing(f"Label schema with id '{schema_id}' not found.")


def _kept(given: Any) -> LabelInput:
    """What MLflow has found to be one of its four inputs."""
    match type(given).__name__:
        case "InputPassFail":
            return LabelInput(
                pass_fail=PassFailInput(
                    positive_label=given.positive_label, negative_label=given.negative_label
                )
            )
        case "InputCategorical":
            return LabelInput(
                categorical=CategoricalInput(
                    options=tuple(given.options), multi_select=given.multi_select
                )
            )
        case "InputNumeric":
            return LabelInput(
                numeric=NumericInput(min_value=given.min_value, max_value=given.max_value)
            )
        case _:
            return LabelInput(text=TextInput(max_length=given.max_length))


def _told(kinds: Any, kept: LabelInput) -> Any:
    if one := kept.pass_fail:
        return kinds.InputPassFail(
            positive_label=one.positive_label, negative_label=one.negative_label
        )
    if some := kept.categorical:
        return kinds.InputCategorical(options=list(some.options), multi_select=some.multi_select)
    if number := kept.numeric:
        return kinds.InputNumeric(min_value=number.min_value, max_value=number.max_value)
    return kinds.InputText(max_length=kept.text.max_length if kept.text else None)
