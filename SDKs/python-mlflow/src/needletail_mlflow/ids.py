"""Ids: MLflow's are 32 hexadecimal digits where Needletail's are UUIDs."""

from __future__ import annotations

import re
import secrets
import time

_MODEL = "m-"
_ISSUE = "iss-"
_LABEL_SCHEMA = "ls-"
_REVIEW_QUEUE = "rq-"
_HEX = re.compile(r"[0-9a-f]{32}\Z")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def to_mlflow(uuid: str) -> str:
    """A UUID as MLflow writes ids."""
    return uuid.replace("-", "")


def to_uuid(mlflow_id: object) -> str | None:
    """The UUID of an id of MLflow, in either form; None = no UUID has it."""
    text = str(mlflow_id).lower()
    if _HEX.match(text):
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return text if _UUID.match(text) else None


def model_to_mlflow(uuid: str) -> str:
    """The UUID of a logged model as MLflow writes it: `m-` and 32 hexadecimal digits."""
    return _MODEL + to_mlflow(uuid)


def model_to_uuid(model_id: object) -> str | None:
    """The UUID of a logged model's id; None = no UUID has it."""
    text = str(model_id)
    return to_uuid(text.removeprefix(_MODEL)) if text.startswith(_MODEL) else None


def issue_to_mlflow(uuid: str) -> str:
    """The UUID of an issue as MLflow writes it: `iss-` and 32 hexadecimal digits."""
    return _ISSUE + to_mlflow(uuid)


def issue_to_uuid(issue_id: object) -> str | None:
    """The UUID of an issue's id; None = no UUID has it."""
    return _behind(_ISSUE, issue_id)


def label_schema_to_mlflow(uuid: str) -> str:
    """The UUID of a label schema as MLflow writes it: `ls-` and 32 hexadecimal digits."""
    return _LABEL_SCHEMA + to_mlflow(uuid)


def label_schema_to_uuid(schema_id: object) -> str | None:
    """The UUID of a label schema's id; None = no UUID has it."""
    return _behind(_LABEL_SCHEMA, schema_id)


def review_queue_to_mlflow(uuid: str) -> str:
    """The UUID of a review queue as MLflow writes it: `rq-` and 32 hexadecimal digits."""
    return _REVIEW_QUEUE + to_mlflow(uuid)


def review_queue_to_uuid(queue_id: object) -> str | None:
    """The UUID of a review queue's id; None = no UUID has it."""
    return _behind(_REVIEW_QUEUE, queue_id)


def _behind(beginning: str, mlflow_id: object) -> str | None:
    text = str(mlflow_id)
    digits = text.removeprefix(beginning)
    return to_uuid(digits) if text != digits and _HEX.match(digits) else None


def new_assessment_id() -> str:
    """An id for a new assessment: of those of the same time, the server tells the lesser id first.

    So those that are made one after the other are told in that order.
    """
    return f"a-{time.time_ns():016x}{secrets.token_hex(8)}"
