"""Searches for whoever makes objects of their own out of what is found."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from needletail._generated.tracking import (
    FoundRun,
    SearchRunsResponse,
    decode_Run,
    decode_RunInput,
    decode_RunModel,
)
from needletail._generated.tracking_calls import TRACKING_SEARCH_RUNS

if TYPE_CHECKING:
    from needletail._generated.tracking import SearchRunsRequest
    from needletail._methods import Method
    from needletail.client import Client


def search_runs(client: Client, request: SearchRunsRequest) -> SearchRunsResponse:
    """A page of runs, as `client.tracking.search_runs` finds them, in a third of the time.

    Their parameters, tags and metrics stay as protobuf decoded them: these have the attributes of
    `Parameter`, `Tag` and `MetricSummary`, but for `definition` and what may be None.

    Args:
        client: Connected to the server.
        request: What is searched.

    Raises:
        CallError: The server refused it, or is away.
    """
    return client.tracking._caller.unary(_SEARCH_RUNS, request, None, None)


def _decode(message: Any) -> SearchRunsResponse:
    return SearchRunsResponse(
        runs=tuple(map(_decode_run, message.runs)), next_page_token=message.next_page_token
    )


def _decode_run(message: Any) -> FoundRun:
    return FoundRun(
        run=decode_Run(message.run),
        parameters=message.parameters,
        tags=message.tags,
        metrics=message.metrics,
        inputs=tuple(map(decode_RunInput, message.inputs)),
        models=tuple(map(decode_RunModel, message.models)),
    )


_SEARCH_RUNS: Method[SearchRunsRequest, SearchRunsResponse] = dataclasses.replace(
    TRACKING_SEARCH_RUNS, decode=_decode
)
