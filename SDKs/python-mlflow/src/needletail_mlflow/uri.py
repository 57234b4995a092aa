"""Addresses: of a server and project, and of what is stored there."""

from __future__ import annotations

import dataclasses
from urllib.parse import unquote, urlsplit

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.utils.uri import append_to_uri_path
from needletail.settings import DEFAULT_PORT

SCHEME = "needletail"
SCHEMES = (SCHEME, "needletail-artifacts")
_EXAMPLE = "needletail://host:7443/project"


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A server and a project on it."""

    url: str | None = None
    """`needletail://host:7443`; None = what the SDK's settings say."""

    project: str = ""
    """Slug or UUID; empty = what the SDK's settings say."""


def parse_tracking_uri(uri: str) -> Place:
    """Reads `needletail://host:7443/project`.

    Raises:
        MlflowException: It is something else, or says a secret.
    """
    place, rest = _split(uri)
    if place.url is None or rest:
        raise _invalid(f"not a tracking URI: {uri}; write {_EXAMPLE}")
    return place


def parse_artifact_uri(uri: str) -> tuple[Place, str]:
    """Reads the address of artifacts: where they are, and the path from there.

    Two forms are known. `needletail:/runs/<run>/artifacts/…` is how the server itself calls the
    files of a run; it names no host, so that it stays true when the server moves. And
    `needletail://host:7443/project/…` is for `mlflow server --artifacts-destination`, which adds
    `<experiment>/<run>/artifacts/…`.
    """
    place, rest = _split(uri)
    if place.url is not None:
        return place, rest
    return place, unquote(urlsplit(uri).path).strip("/")


def logged_model_artifact_location(experiment_uuid: str, location: str, model_id: str) -> str:
    """The address of the files of a logged model, from which MLflow's own layout goes on.

    It is `needletail:/experiments/<experiment>/models/m-<32 hex>/artifacts` where Needletail keeps
    them, and `<location>/models/m-<32 hex>/artifacts` where the experiment has a location of its
    own, or the server of MLflow has a root of artifacts.

    Args:
        experiment_uuid: UUID of the experiment.
        location: Where artifacts of the experiment go; empty = with Needletail.
        model_id: `m-` and 32 hexadecimal digits.
    """
    root = location or f"{SCHEME}:/experiments/{experiment_uuid}"
    return append_to_uri_path(root, "models", model_id, "artifacts")


def _split(uri: str) -> tuple[Place, str]:
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _invalid(f"not an address of Needletail: {error}; write {_EXAMPLE}") from None
    if parts.username or parts.password:
        # The address is not repeated: it would end up in logs.
        raise _invalid("a URI must not have a key in it: set NEEDLETAIL_API_KEY in its place")
    if parts.scheme not in SCHEMES or parts.query or parts.fragment:
        raise _invalid(f"not an address of Needletail: {uri}; write {_EXAMPLE}")
    if port == 0:
        raise _invalid(f"not an address of Needletail: a port is 1 to 65535; write {_EXAMPLE}")
    if not host:
        return Place(), ""
    project, _, rest = unquote(parts.path).strip("/").partition("/")
    named = f"[{host}]" if ":" in host else host
    return Place(f"{SCHEME}://{named}:{port or DEFAULT_PORT}", project), rest.strip("/")


def _invalid(message: str) -> MlflowException:
    return MlflowException(message, INVALID_PARAMETER_VALUE)
