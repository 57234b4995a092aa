"""An export of the audit log that is far larger than the memory that it may take."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from needletail._generated.descriptors import message_class
from organizations import create_organization
from program import peak_memory
from test_audit import EXPORT, LIST, credit, fill
from wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import UpServer

MANY, MEMORY_GROWTH_MAX = 1_000_000, 64 << 20


def test_a_reader_of_very_much_may_be_slow_and_go_away_and_misses_nothing(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server("--set", "audit-export-horizon=1ms")
    server.start()
    with server.sql() as database:
        own = create_organization(database, "audited")
        fill(database, own, MANY)
    found = own.connection(server.connection)
    response = message_class("needletail.identity.v1.ExportAuditLogsResponse")
    request = message_class("needletail.identity.v1.ExportAuditLogsRequest")
    listing = message_class("needletail.identity.v1.ListAuditLogsRequest")
    assert server.process is not None
    before = peak_memory(server.process.pid)
    seen: list[str] = []

    def read(wire: Wire, most: int) -> bool:
        """Take the messages of an export; return whether it ended."""
        for _ in range(most):
            frame = wire.receive()
            if frame.HasField("end"):
                assert frame.end.status.code == 0
                return True
            entries = response.FromString(frame.data.message).audit_logs
            seen.extend(entry.id for entry in entries)
            credit(wire, frame)
        return False

    # Who reads little at a time, with calls of others between, and is cut off every time.
    for _ in range(3):
        with Wire.opened(found) as wire:
            wire.open(EXPORT, request(after=seen[-1] if seen else ""))
            for _ in range(5):
                assert not read(wire, 3)
                with Wire.opened(found) as other:
                    assert other.call(LIST, listing(page_size=1)).status.code == 0
            wire.cut()
    assert len(seen) < MANY
    with Wire.opened(found) as wire:
        wire.open(EXPORT, request(after=seen[-1]))
        assert read(wire, MANY)
    assert len(seen) == MANY
    assert all(one < next_one for one, next_one in itertools.pairwise(seen))
    assert peak_memory(server.process.pid) - before < MEMORY_GROWTH_MAX
