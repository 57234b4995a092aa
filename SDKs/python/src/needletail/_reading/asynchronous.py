"""The reads of the asyncio client that take several calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from needletail._generated.tracking import (
    BucketAxis,
    DownsampleMetricHistoryRequest,
    LifeView,
    SearchRunsRequest,
    StreamMetricHistoriesRequest,
    WatchExperimentRequest,
    WatchRunRequest,
)
from needletail._generated.tracking_calls import (
    TRACKING_SEARCH_RUNS,
    TRACKING_WATCH_EXPERIMENT,
    TRACKING_WATCH_RUN,
)
from needletail._reading.following import follow_async
from needletail._reading.plans import carry_out_async, next_page, read_buckets, read_histories

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from needletail._generated.tracking import (
        FoundRun,
        SearchInclude,
        WatchExperimentResponse,
        WatchRunResponse,
    )
    from needletail._generated.tracking_calls import AsyncTracking
    from needletail.downsampling import DownsampledHistories
    from needletail.histories import Histories


class AsyncReading:
    """What a client reads in several calls, awaited; `needletail.Client` says what each takes.

    What is left early is to be closed: `async with contextlib.aclosing(…) as changes`.
    """

    tracking: AsyncTracking

    async def history(
        self,
        runs: str | Sequence[str],
        keys: str | Sequence[str] | None = None,
        *,
        x: str = "",
        from_step: int | None = None,
        skips_inherited: bool = False,
        include_deleted: bool = False,
        timeout_seconds: float | None = None,
    ) -> Histories:
        """As `history` of `needletail.Client`, awaited."""
        like = StreamMetricHistoriesRequest(
            from_step=from_step,
            x_key=x,
            skips_inherited=skips_inherited,
            include_deleted=include_deleted,
        )
        plan = read_histories(runs, keys, like)
        return await carry_out_async(self.tracking._caller, plan, timeout_seconds)

    async def downsample(
        self,
        runs: str | Sequence[str],
        keys: str | Sequence[str] | None = None,
        *,
        bucket_count: int = 0,
        axis: BucketAxis = BucketAxis.STEP,
        from_step: int | None = None,
        to_step: int | None = None,
        from_time_us: int | None = None,
        to_time_us: int | None = None,
        skips_inherited: bool = False,
        include_deleted: bool = False,
        timeout_seconds: float | None = None,
    ) -> DownsampledHistories:
        """As `downsample` of `needletail.Client`, awaited."""
        like = DownsampleMetricHistoryRequest(
            bucket_count=bucket_count,
            axis=axis,
            from_step=from_step,
            to_step=to_step,
            from_time_us=from_time_us,
            to_time_us=to_time_us,
            skips_inherited=skips_inherited,
            include_deleted=include_deleted,
        )
        plan = read_buckets(runs, keys, like)
        return await carry_out_async(self.tracking._caller, plan, timeout_seconds)

    async def iterate_search_runs(
        self,
        *,
        project_id: str = "",
        experiment_ids: Sequence[str] = (),
        filter: str = "",  # noqa: A002 as the method and the field are called
        order_by: Sequence[str] = (),
        page_size: int = 0,
        parameters: SearchInclude | None = None,
        tags: SearchInclude | None = None,
        metrics: SearchInclude | None = None,
        include_archived: bool = False,
        inputs: SearchInclude | None = None,
        models: SearchInclude | None = None,
        view: LifeView = LifeView.UNSPECIFIED,
    ) -> AsyncGenerator[FoundRun, None]:
        """As `iterate_search_runs` of `needletail.Client`."""
        request: SearchRunsRequest | None = SearchRunsRequest(
            project_id=project_id,
            experiment_ids=tuple(experiment_ids),
            filter=filter,
            order_by=tuple(order_by),
            page_size=page_size,
            parameters=parameters,
            tags=tags,
            metrics=metrics,
            include_archived=include_archived,
            inputs=inputs,
            models=models,
            view=view,
        )
        caller = self.tracking._caller
        while request is not None:
            page = await caller.unary(TRACKING_SEARCH_RUNS, request, None, None)
            for found in page.runs:
                yield found
            request = next_page(request, page)

    def watch_experiment(
        self,
        experiment_id: str,
        *,
        resume_token: str = "",
        skip_history: bool = False,
        point_keys: Sequence[str] = (),
        summary_keys: Sequence[str] = (),
        catch_up: bool = False,
        patience_seconds: float = 300.0,
    ) -> AsyncGenerator[WatchExperimentResponse, None]:
        """As `watch_experiment` of `needletail.Client`."""
        request = WatchExperimentRequest(
            experiment_id=experiment_id,
            resume_token=resume_token,
            skip_history=skip_history,
            point_keys=tuple(point_keys),
            summary_keys=tuple(summary_keys),
            catch_up=catch_up,
        )
        caller = self.tracking._caller
        return follow_async(caller, TRACKING_WATCH_EXPERIMENT, request, patience_seconds)

    def watch_run(
        self,
        run_id: str,
        *,
        resume_token: str = "",
        skip_history: bool = False,
        stay: bool = False,
        patience_seconds: float = 300.0,
    ) -> AsyncGenerator[WatchRunResponse, None]:
        """As `watch_run` of `needletail.Client`."""
        request = WatchRunRequest(
            run_id=run_id, resume_token=resume_token, skip_history=skip_history, stay=stay
        )
        return follow_async(self.tracking._caller, TRACKING_WATCH_RUN, request, patience_seconds)
