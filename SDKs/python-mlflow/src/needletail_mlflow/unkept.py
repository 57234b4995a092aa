"""What MLflow has and Needletail does not keep: searches find none, the rest is refused."""

from __future__ import annotations

import types
from typing import Any

from mlflow import exceptions
from mlflow.protos.databricks_pb2 import NOT_IMPLEMENTED
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking.abstract_store import AbstractStore

# Later versions of MLflow have an error of their own for what a store has not.
_NotImplemented: Any = getattr(
    exceptions, "MlflowNotImplementedException", exceptions.MlflowException
)
_NAMES = {"NotImplementedError", "MlflowNotImplementedException"}


class NotKeptError(_NotImplemented, NotImplementedError):
    """MLflow's clients get 501, which they do not try again; its own code sees what it expects."""

    def __init__(self, method: str) -> None:
        exceptions.MlflowException.__init__(
            self, f"Needletail does not keep what {method} needs", NOT_IMPLEMENTED
        )


class Unkept:
    """Methods of a tracking store that are refused; those that this MLflow has.

    What MLflow's pages ask for, whoever looks at them, is answered: there is none.
    """


def refusals(store: type) -> type:
    """A class that refuses whatever MLflow's own class has no answer for, in any version."""
    return type("Refusals", (), {name: _refusal(name) for name in _unanswered(store)})


def _unanswered(store: type) -> set[str]:
    return {
        name
        for kind in store.__mro__
        for name, member in vars(kind).items()
        if isinstance(member, types.FunctionType)
        and not _NAMES.isdisjoint(member.__code__.co_names)
    }


def _refusal(name: str) -> Any:
    def refused(_: Any, *__: Any, **___: Any) -> Any:
        raise NotKeptError(name)

    refused.__name__ = name
    return refused


def _nothing(name: str) -> Any:
    def found(_: Any, *__: Any, **___: Any) -> PagedList[Any]:
        return PagedList([], None)

    found.__name__ = name
    return found


_SEARCHED = {
    "list_budget_policies",
    "list_endpoint_bindings",
    "list_gateway_endpoints",
    "list_gateway_guardrails",
    "list_gateway_model_definitions",
    "list_secret_infos",
    "search_mcp_access_endpoints",
    "search_mcp_servers",
}
for _name in _unanswered(AbstractStore) - vars(Unkept).keys():
    setattr(Unkept, _name, (_nothing if _name in _SEARCHED else _refusal)(_name))
