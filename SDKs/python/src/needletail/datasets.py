"""Datasets that runs read, with profiles of any length up to 16 MiB."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from needletail.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from needletail._generated.tracking import InputDataset, NewRunInput
    from needletail.client import Client

SHORT_PROFILE_BYTES = (1 << 20) - 1
"""The longest profile, in bytes of UTF-8, that goes and comes with its dataset."""

_PIECE_BYTES = 1 << 20
# How UTF-8 marks a byte that goes on with a character.
_KIND_BITS, _CONTINUED = 0xC0, 0x80


def log_inputs(client: Client, run_id: str, inputs: Sequence[NewRunInput]) -> None:
    """Links a run to datasets that it read, as `client.tracking.log_inputs` does.

    Profiles that are too long for that follow in pieces; nobody is told of one before it is whole.
    What the project keeps of a dataset's name and digest already, stays as it is.

    Raises:
        CallError: The server refused it, or is away.
    """
    long: list[tuple[InputDataset, bytes]] = []
    short: list[NewRunInput] = []
    for one in inputs:
        dataset = one.dataset
        data = dataset.profile.encode() if dataset is not None else b""
        if dataset is not None and len(data) > SHORT_PROFILE_BYTES:
            long.append((dataset, data))
            kept = dataclasses.replace(dataset, profile="", profile_bytes=len(data))
            short.append(dataclasses.replace(one, dataset=kept))
        else:
            short.append(one)
    client.tracking.log_inputs(run_id=run_id, inputs=short)
    for dataset, data in long:
        _bring(client, run_id, dataset, data)


def read_profile(
    client: Client, run_id: str, dataset: InputDataset, *, include_deleted: bool = False
) -> str:
    """The whole profile of a dataset that a run read, however long it is; empty = there is none.

    Args:
        client: Connected to the server.
        run_id: UUID.
        dataset: As a listing or a search told it.
        include_deleted: Also where the run was deleted and is not yet gone for good.

    Raises:
        CallError: The server refused it, or is away.
    """
    if dataset.profile or not dataset.profile_bytes:
        return dataset.profile
    with client.tracking.read_dataset_profile(
        run_id=run_id, name=dataset.name, digest=dataset.digest, include_deleted=include_deleted
    ) as pieces:
        return "".join(piece.text for piece in pieces)


def _bring(client: Client, run_id: str, dataset: InputDataset, data: bytes) -> None:
    offset = 0
    while offset < len(data):
        try:
            answer = client.tracking.append_dataset_profile(
                run_id=run_id,
                name=dataset.name,
                digest=dataset.digest,
                profile_bytes=len(data),
                offset=offset,
                text=_piece(data, offset),
            )
            offset = answer.stored_bytes
        except CallError as error:
            if error.reason == "PROFILE_NOT_EXPECTED":
                # The project keeps what was said first.
                return
            if error.reason != "PROFILE_OFFSET_WRONG":
                raise
            offset = int(error.details["expected_offset"])


def _piece(data: bytes, start: int) -> str:
    """As much as a call takes, without a character that is cut."""
    end = min(start + _PIECE_BYTES, len(data))
    while end < len(data) and data[end] & _KIND_BITS == _CONTINUED:
        end -= 1
    return data[start:end].decode()
