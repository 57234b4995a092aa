"""Which batch goes next: the writer's side of AppendMetrics, without I/O.

Sequences have no gaps, a batch keeps its sequence, and the server's word counts: after every
(re)connection it says what is committed, and the writer continues behind that.
"""

from __future__ import annotations

import collections
import enum
from typing import TYPE_CHECKING

from needletail.errors import CallError, Code

if TYPE_CHECKING:
    from collections.abc import Callable

    from needletail._runs.batches import Batch

# How much may be on its way: enough for a long way at full speed, little enough to resend.
MAX_UNACKNOWLEDGED_BATCHES = 64

# Nothing of this job is taken any more: the run is over, or another job goes on with it.
_GONE_REASONS = {"RUN_FINISHED", "RUN_NOT_FOUND", "EPOCH_OLD"}
REFUSING_CODES = {
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.FAILED_PRECONDITION,
    Code.OUT_OF_RANGE,
    Code.ALREADY_EXISTS,
}
_NOT_ABOUT_A_BATCH = {"SEQUENCE_GAP", "WRITER_INVALID", "RUN_NOT_STARTED"}


class Step(enum.Enum):
    """What to do after something happened."""

    GO_ON = enum.auto()
    REOPEN = enum.auto()
    """Open a new stream, after a pause when this one failed."""


class Appender:
    """The unacknowledged batches of one writer, and the stream that sends them."""

    def __init__(
        self,
        writer_id: str,
        offset: int,
        *,
        renew: Callable[[int], str],
        forget: Callable[[Batch], None],
    ) -> None:
        """Takes the writer as it was left.

        Args:
            writer_id: The writer's UUID.
            offset: Batch number less sequence.
            renew: Makes a new writer with a new offset, durably, and returns its UUID.
            forget: Told of each batch that is needed no more.
        """
        self.writer_id = writer_id
        self.offset = offset
        self.pending: collections.deque[Batch] = collections.deque()
        self.pending_points = 0
        self.acknowledged_points = 0
        self.refused_points = 0
        self.is_refused = False
        """Whether the run takes no more points at all."""

        self._renew = renew
        self._forget = forget
        self._acknowledged = offset
        self._sent = 0
        self._is_open = False
        self._gone: CallError | None = None
        self._suspect: CallError | None = None
        self._suspected_until = 0
        self._highest = offset

    def add(self, batch: Batch) -> None:
        """Takes a batch, whose number is above all before it."""
        self._highest = batch.number
        self.pending.append(batch)
        self.pending_points += batch.points

    def opening(self) -> None:
        """A new stream begins; nothing goes out before its first answer."""
        self._is_open = False
        self._sent = 0

    def acknowledge(self, sequence: int) -> Step:
        """Takes the server's word for everything up to a sequence."""
        is_first, self._is_open = not self._is_open, True
        number = sequence + self.offset
        if is_first and number < self._acknowledged:
            # The server lost what it had acknowledged: it was set back. The rest is still ours.
            return self._start_over(self._acknowledged)
        while self.pending and self.pending[0].number <= number:
            batch = self._pop()
            self.acknowledged_points += batch.points
        self._acknowledged = max(self._acknowledged, number)
        if self._gone is not None:
            self._refuse_all()
            return Step.GO_ON
        if self._acknowledged >= self._suspected_until:
            self._suspect = None
        if number > self._highest:
            # Somebody else writes under this UUID, or the disk lost what the server has.
            return self._start_over(self._highest)
        return self._close_gap()

    def refuse(self, points: int) -> None:
        """Counts points that came after the run was found to take no more."""
        self.refused_points += points

    def unsend(self, batch: Batch) -> None:
        """Takes back a batch that `next_batch` gave and that could not be read."""
        del batch
        self._sent -= 1

    def next_batch(self) -> Batch | None:
        """The next batch to send, or None while there is none or enough is on its way."""
        limit = 1 if self._suspect is not None else MAX_UNACKNOWLEDGED_BATCHES
        if not self._is_open or self._sent >= min(limit, len(self.pending)):
            return None
        batch = self.pending[self._sent]
        expected = self._acknowledged + 1 + self._sent
        if batch.number != expected:
            return None
        self._sent += 1
        return batch

    def sequence_of(self, batch: Batch) -> int:
        """What a batch is called on the wire."""
        return batch.number - self.offset

    def failed(self, error: CallError) -> CallError | None:
        """The stream ended with an error; returns it when a batch was refused for good.

        The stream is to be opened again in any case: only its first answer tells which batches
        were committed before the error.
        """
        was_alone = self._suspect is not None and self._is_open and self._sent == 1
        was_open, self._is_open = self._is_open, False
        if self._gone is not None and not was_open:
            # It doesn't even open any more: what was committed can't be asked.
            self._refuse_all()
            return None
        if error.reason == "WRITER_INVALID":
            self._start_over(self._acknowledged)
            return None
        if error.reason in _GONE_REASONS or error.code is Code.NOT_FOUND:
            self._gone = error
            return error
        is_refusal = error.code in REFUSING_CODES or error.reason == "REQUEST_TOO_LARGE"
        if not is_refusal or error.reason in _NOT_ABOUT_A_BATCH:
            return None
        if not was_alone:
            # Some batch is bad: the next stream sends them one at a time, to see which.
            self._suspect, self._suspected_until = error, self._acknowledged + self._sent
            return None
        self._suspect = None
        batch = self._pop()
        self.refused_points += batch.points
        # Its sequence was never used up, and what follows keeps its content: a new writer.
        self._start_over(batch.number)
        return error

    def _pop(self) -> Batch:
        batch = self.pending.popleft()
        self.pending_points -= batch.points
        self._sent = max(0, self._sent - 1)
        self._forget(batch)
        return batch

    def _close_gap(self) -> Step:
        """A damaged spool may lack a batch: what follows it needs another writer."""
        if self.pending and self.pending[0].number != self._acknowledged + 1:
            return self._start_over(self.pending[0].number - 1)
        return Step.GO_ON

    def _start_over(self, offset: int) -> Step:
        self.writer_id = self._renew(offset)
        self.offset = self._acknowledged = offset
        self._is_open = False
        self._sent = 0
        return Step.REOPEN

    def _refuse_all(self) -> None:
        self.is_refused = True
        while self.pending:
            self.refused_points += self._pop().points
