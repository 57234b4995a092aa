"""The stores take whatever the MLflow that is there may ask of them."""

from __future__ import annotations

import inspect

import pytest
from mlflow.store.model_registry.abstract_store import AbstractStore as Registry
from mlflow.store.tracking.abstract_store import AbstractStore as Tracking

from needletail_mlflow.registry_store import RegistryStore
from needletail_mlflow.tracking_store import TrackingStore

_REST = inspect.Parameter.VAR_KEYWORD


@pytest.mark.parametrize(
    ("interface", "store"), [(Tracking, TrackingStore), (Registry, RegistryStore)]
)
def test_no_method_lacks_a_parameter_of_mlflows(interface: type, store: type) -> None:
    methods = dict(inspect.getmembers(interface, inspect.isfunction))
    assert len(methods) > 30
    lacking = {}
    for name, method in methods.items():
        taken = inspect.signature(getattr(store, name)).parameters
        asked = inspect.signature(method).parameters
        if any(one.kind is _REST for one in taken.values()):
            continue
        if missing := asked.keys() - taken.keys():
            lacking[name] = missing
    assert lacking == {}
