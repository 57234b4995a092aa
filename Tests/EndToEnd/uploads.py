"""Files, sent and fetched message by message."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from needletail.artifacts import Owner
from needletail.tracking import UploadArtifactRequest

if TYPE_CHECKING:
    import needletail
    from needletail.tracking import Artifact

CHUNK_BYTES = 256 << 10


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of bytes as the API writes it."""
    return hashlib.sha256(data).hexdigest()


class Upload:
    """The stream of an upload."""

    def __init__(
        self, client: needletail.Client, owner: Owner | str, path: str = "", **fields: Any
    ) -> None:
        """Open it, and hear how far it has come."""
        self.call = client.tracking.upload_artifact()
        named = Owner.of(owner).fields
        self.call.send(UploadArtifactRequest(**named, path=path, **fields))
        first = self.call.receive()
        assert first is not None
        self.id, self.durable, self.artifact = first.upload_id, first.durable_bytes, first.artifact

    def send(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        """Send a part of a file in pieces."""
        end = len(data) if end is None else end
        for offset in range(start, end, CHUNK_BYTES):
            piece = data[offset : min(offset + CHUNK_BYTES, end)]
            self.call.send(UploadArtifactRequest(offset=offset, data=piece))

    def wait_until_durable(self, count: int) -> None:
        """Wait for the acknowledgement of so many bytes."""
        while self.durable < count:
            heard = self.call.receive()
            assert heard is not None
            self.durable = heard.durable_bytes

    def finish(self) -> Artifact:
        """Say that the file is whole; return the artifact."""
        self.call.half_close()
        for heard in self.call:
            self.durable, self.artifact = heard.durable_bytes, heard.artifact
        assert self.artifact is not None
        return self.artifact


def upload(
    client: needletail.Client, owner: Owner | str, path: str, data: bytes, **fields: Any
) -> Artifact:
    """Upload a file."""
    sent = Upload(client, owner, path, **fields)
    sent.send(data)
    return sent.finish()


def download(
    client: needletail.Client, owner: Owner | str, path: str, offset: int = 0,
    timeout_seconds: float | None = None,
) -> bytes:  # fmt: skip
    """Return the bytes of a file from an offset on."""
    parts: list[bytes] = []
    for piece in client.tracking.download_artifact(
        **Owner.of(owner).fields, path=path, offset=offset, timeout_seconds=timeout_seconds
    ):
        assert piece.offset == offset + sum(map(len, parts))
        assert len(piece.data) <= CHUNK_BYTES
        parts.append(piece.data)
    return b"".join(parts)
