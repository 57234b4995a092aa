"""What a run under way reads of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from needletail._generated.tracking import BucketAxis
from needletail._runs.files import RunFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from needletail.downsampling import DownsampledHistories


class RunReading(RunFiles):
    """What the server has of a run under way."""

    def downsample(
        self,
        keys: str | Sequence[str] | None = None,
        *,
        bucket_count: int = 0,
        axis: BucketAxis = BucketAxis.STEP,
        from_step: int | None = None,
        to_step: int | None = None,
        from_time_us: int | None = None,
        to_time_us: int | None = None,
        skips_inherited: bool = False,
        timeout_seconds: float | None = None,
    ) -> DownsampledHistories:
        """Metrics of the run in buckets with exact least and greatest values, by (run, key).

        They are of what is committed on the server: `flush` before sends what was logged. What the
        arguments are, and what a bucket is, `Client.downsample` says.

        Raises:
            CallError: A bound is broken, or the server can't be reached.
            RuntimeError: The run isn't created yet, because the server is away.
        """
        return self.client.downsample(
            self._created_id(),
            keys,
            bucket_count=bucket_count,
            axis=axis,
            from_step=from_step,
            to_step=to_step,
            from_time_us=from_time_us,
            to_time_us=to_time_us,
            skips_inherited=skips_inherited,
            timeout_seconds=timeout_seconds,
        )
