"""Errors: Needletail's as MLflow's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2
from needletail.errors import CONNECT_FAILED, TLS_FAILED, CallError, Code, SettingsError

if TYPE_CHECKING:
    from types import TracebackType

_CODES = {
    Code.CANCELLED: databricks_pb2.CANCELLED,
    Code.INVALID_ARGUMENT: databricks_pb2.INVALID_PARAMETER_VALUE,
    Code.OUT_OF_RANGE: databricks_pb2.INVALID_PARAMETER_VALUE,
    Code.FAILED_PRECONDITION: databricks_pb2.INVALID_STATE,
    Code.DEADLINE_EXCEEDED: databricks_pb2.DEADLINE_EXCEEDED,
    Code.NOT_FOUND: databricks_pb2.RESOURCE_DOES_NOT_EXIST,
    Code.ALREADY_EXISTS: databricks_pb2.RESOURCE_ALREADY_EXISTS,
    Code.PERMISSION_DENIED: databricks_pb2.PERMISSION_DENIED,
    Code.UNAUTHENTICATED: databricks_pb2.UNAUTHENTICATED,
    Code.RESOURCE_EXHAUSTED: databricks_pb2.RESOURCE_EXHAUSTED,
    Code.ABORTED: databricks_pb2.ABORTED,
    Code.UNIMPLEMENTED: databricks_pb2.NOT_IMPLEMENTED,
    Code.UNAVAILABLE: databricks_pb2.TEMPORARILY_UNAVAILABLE,
    Code.DATA_LOSS: databricks_pb2.DATA_LOSS,
}
# What a person can do about it.
_REMEDIES = {
    CONNECT_FAILED: "is Needletail running there? Look at MLFLOW_TRACKING_URI, also at its port",
    TLS_FAILED: "set NEEDLETAIL_CA_FILE to the file of the authority that the server's operator"
    " gave out, and MLFLOW_TRACKING_URI to a name that is in its certificate",
}
# What is said where an HTTP server answers, or a server of something else over TLS.
_OTHERS = ("WRONG_VERSION_NUMBER", "does not speak", "NO_APPLICATION_PROTOCOL", "PROTOCOL_VERSION")
_REMEDIES_BY_CODE = {
    Code.PERMISSION_DENIED: "use a key whose scopes and role allow it",
    Code.DEADLINE_EXCEEDED: "it is there and does not answer: look at its log, or try again",
}
# What a client asked for, and not the server's state, is wrong with these.
_WRONG_REQUESTS = {
    *("PARAMETER_DIFFERS", "RUN_FINISHED", "RUN_NOT_STARTED", "RECOVERY_OVER"),
    # It does not go away by trying again.
    TLS_FAILED,
}


class Translated:
    """Within it, what goes wrong is raised as MLflow raises it."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        if isinstance(error, (CallError, SettingsError)):
            raise to_mlflow(error) from error


TRANSLATED = Translated()


def to_mlflow(error: CallError | SettingsError) -> MlflowException:
    """MLflow's error for one of the SDK's."""
    if isinstance(error, SettingsError):
        return MlflowException(str(error), databricks_pb2.INVALID_PARAMETER_VALUE)
    if error.reason == "PAGE_TOKEN_INVALID":
        return invalid(
            f"Invalid page token, could not base64-decode it or not one of this search: {error}"
        )
    code = _CODES.get(error.code, databricks_pb2.INTERNAL_ERROR)
    if error.reason in _WRONG_REQUESTS:
        code = databricks_pb2.INVALID_PARAMETER_VALUE
    is_other_port = error.reason == TLS_FAILED and any(one in error.message for one in _OTHERS)
    remedy = _REMEDIES.get(
        CONNECT_FAILED if is_other_port else error.reason
    ) or _REMEDIES_BY_CODE.get(error.code)
    return MlflowException(f"{error}; {remedy}" if remedy else str(error), code)


def invalid(message: str) -> MlflowException:
    """A value that cannot be."""
    return MlflowException(message, databricks_pb2.INVALID_PARAMETER_VALUE)


def missing(message: str) -> MlflowException:
    """Something that is not there."""
    return MlflowException(message, databricks_pb2.RESOURCE_DOES_NOT_EXIST)


def no_such_model(model_id: str) -> MlflowException:
    """A logged model that is not there."""
    return missing(f"Logged model with ID '{model_id}' not found.")
