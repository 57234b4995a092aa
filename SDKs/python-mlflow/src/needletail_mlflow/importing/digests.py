"""What is compared: canonical forms of what a run has, their digests, and the counts of all."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow.entities import RunInputs, RunOutputs

_BITS = 256
_SHOWN_DIGITS = 16
_ORDER = (
    "experiments", "runs", "parameters", "tags", "metrics", "points", "datasets",
    "links to models", "logged models", "artifacts", "models", "model versions", "issues",
    "traces", "spans", "assessments", "evaluation datasets", "evaluation records", "scorers",
    "scorer versions",
)  # fmt: skip


def digest(content: Any) -> str:
    """SHA-256 of content as JSON, with keys in their order and no spaces."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def datasets(inputs: RunInputs | None) -> dict[str, list[Any]]:
    """The datasets that a run read, by name, digest and context."""
    found: dict[str, list[Any]] = {}
    for one in inputs.dataset_inputs if inputs else ():
        tags = {tag.key: tag.value for tag in one.tags}
        stored = one.dataset
        name = f"{stored.name} {stored.digest} {tags.get('mlflow.data.context', '')}".rstrip()
        about = [stored.source_type, stored.source, stored.schema, stored.profile]
        found.setdefault(name, [*(text or "" for text in about), tags])
    return found


def models(inputs: RunInputs | None, outputs: RunOutputs | None) -> dict[str, list[Any]]:
    """The models that a run began from or made, by what they are to it and their ids."""
    read = {f"input {one.model_id}": [0] for one in (inputs.model_inputs if inputs else ())}
    made = {
        f"output {one.model_id} at {one.step or 0}": [one.step or 0]
        for one in (outputs.model_outputs if outputs else ())
    }
    return read | made


class Sums:
    """Counts and digests of all that was compared, for any number of threads.

    The digest of a kind is the sum, modulo 2^256, of the SHA-256 of each thing's name and digest:
    the order in which things come does not matter.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, list[int]] = {}
        self._digests: dict[str, list[int]] = {}

    def count(self, kind: str, source: int, here: int) -> None:
        """Adds to the counts of a kind."""
        with self._lock:
            counts = self._counts.setdefault(kind, [0, 0])
            counts[0] += source
            counts[1] += here

    def compare(self, kind: str, name: str, source: str, here: str) -> None:
        """Adds the digests of one thing; a kind's are those of the whole at the end."""
        with self._lock:
            sums = self._digests.setdefault(kind, [0, 0])
            for side, text in enumerate((source, here)):
                value = hashlib.sha256(f"{name}\0{text}".encode()).digest()
                sums[side] = (sums[side] + int.from_bytes(value, "big")) % 2**_BITS

    def rows(self) -> list[dict[str, Any]]:
        """A row for each kind: counts, and digests where there are any."""
        rows = []
        for kind in sorted(self._counts, key=_place):
            source, here = self._counts[kind]
            row: dict[str, Any] = {"kind": kind, "source": source, "here": here}
            if kind in self._digests:
                first, second = (f"{one:064x}" for one in self._digests[kind])
                row |= {"source_digest": first, "here_digest": second}
            rows.append(row)
        return rows


def _place(kind: str) -> int:
    return _ORDER.index(kind)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for people."""
    lines = [f"{'':20}{'source':>16}{'here':>16}  SHA-256"]
    for row in rows:
        line = f"{row['kind']:20}{row['source']:>16,}{row['here']:>16,}"
        if "source_digest" in row:
            first, second = row["source_digest"], row["here_digest"]
            shown = first[:_SHOWN_DIGITS]
            line += f"  {shown}" + ("" if first == second else f" ≠ {second[:_SHOWN_DIGITS]}")
        lines.append(line)
    return "\n".join(lines)


def differences(source: Mapping[str, Any], here: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names of what differs, each with how; what is only here is none of the source's."""
    found = []
    for name, wanted in source.items():
        if name not in here:
            found.append((name, f"is missing here: {_short(wanted)}"))
        elif here[name] != wanted:
            found.append((name, f"is {_short(wanted)} in the source, {_short(here[name])} here"))
    return found


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    most = 80
    return repr(text if len(text) <= most else f"{text[:most]}…")
