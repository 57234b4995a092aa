"""Page and resume tokens that somebody made up, digest and all, are refused like any bad input."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import needletail
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST_BYTES = 8


def token(content: bytes, purpose: str) -> str:
    """The token that the server itself would make of a content."""
    digest = hashlib.sha256(purpose.encode() + b"\0" + content).digest()[:DIGEST_BYTES]
    return base64.urlsafe_b64encode(digest + content).rstrip(b"=").decode()


def content(text: str) -> bytes:
    """What a token says."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[DIGEST_BYTES:]


@pytest.mark.parametrize(
    "place",
    [
        b"x",
        b"5:3:",
        b"1:1:1,2",
        b"99999999999999999999:1:",
        b"1:1:\0",
        b"1:1: zz 0 x",
        b"1:1: 1:1: zz 0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50",
        b"1:1: 1:1: 0 x",
        b"1:1: 1:1:",
        b"",
    ],
)
def test_a_watch_does_not_go_on_from_a_place_that_is_none(
    client: needletail.Client, run_id: str, place: bytes
) -> None:
    good = next(client.tracking.watch_run(run_id=run_id)).resume_token
    cluster = content(good).split(b" ")[0]
    forged = token(cluster + b" " + place, f"watch {run_id}")
    with pytest.raises(needletail.InvalidArgumentError) as caught:
        next(client.tracking.watch_run(run_id=run_id, resume_token=forged))
    assert caught.value.reason == "RESUME_TOKEN_INVALID"


def test_a_watch_goes_on_from_a_place_that_is_one(client: needletail.Client, run_id: str) -> None:
    good = next(client.tracking.watch_run(run_id=run_id)).resume_token
    cluster = content(good).split(b" ")[0]
    again = token(cluster + b" 1:1:", f"watch {run_id}")
    first = next(client.tracking.watch_run(run_id=run_id, resume_token=again))
    assert first.run is not None
    assert first.run.id == run_id


@pytest.mark.parametrize("bad", [b"a\0b", b"\xff\xfe"])
def test_a_page_does_not_begin_behind_what_is_no_text(
    client: needletail.Client, run_id: str, experiment_id: str, bad: bytes
) -> None:
    tracking = client.tracking
    calls: dict[str, Callable[[str], object]] = {
        f"metrics {run_id}": lambda page: tracking.list_run_metrics(run_id=run_id, page_token=page),
        f"run tags {run_id}": lambda page: tracking.list_run_tags(run_id=run_id, page_token=page),
        f"parameters {run_id}": lambda page: tracking.list_run_parameters(
            run_id=run_id, page_token=page
        ),
        f"artifacts {run_id} false ": lambda page: tracking.list_artifacts(
            run_id=run_id, page_token=page
        ),
        f"datasets {experiment_id}": lambda page: tracking.list_datasets(
            experiment_ids=[experiment_id], page_token=page
        ),
    }
    for purpose, call in calls.items():
        with pytest.raises(needletail.InvalidArgumentError) as caught:
            call(token(bad, purpose))
        assert caught.value.reason == "PAGE_TOKEN_INVALID", purpose
