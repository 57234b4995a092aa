"""The reads of the synchronous client that take several calls."""

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
from needletail._reading.following import follow
from needletail._reading.plans import carry_out, next_page, read_buckets, read_histories

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from needletail._generated.tracking import (
        FoundRun,
        SearchInclude,
        WatchExperimentResponse,
        WatchRunResponse,
    )
    from needletail._generated.tracking_calls import Tracking
    from needletail.downsampling import DownsampledHistories
    from needletail.histories import Histories


class Reading:
    """What a client reads in several calls."""

    tracking: Tracking

    def history(
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
        """All points of some metrics of some runs, by (run, key), in columns.

        The history of a fork begins with that of the run it was forked from; where that can't be
        read, `lacking_run_ids` of the answer names the fork, and a warning is logged.

        Args:
            runs: UUIDs, any number of them, or one.
            keys: Of the metrics, or one; None = all that each run logged itself.
            x: Key of the metric that is the x axis: points come with the last value that it had at
                their step, in `xs`, and those at whose step it had none are left out.
            from_step: Only points of this step and later.
            skips_inherited: Only what forks logged themselves.
            include_deleted: Also of runs that were deleted and are not yet gone for good.
            timeout_seconds: Of each call that it takes; streams have no limit by default.

        Raises:
            CallError: A run is not there, or the server can't be reached.
        """
        like = StreamMetricHistoriesRequest(
            from_step=from_step,
            x_key=x,
            skips_inherited=skips_inherited,
            include_deleted=include_deleted,
        )
        plan = read_histories(runs, keys, like)
        return carry_out(self.tracking._caller, plan, timeout_seconds)

    def downsample(
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
        """Some metrics of some runs in buckets, by (run, key): as fast for many points as for few.

        A bucket is a range of `bucket_steps` steps, which is a power of two, or by time of
        `bucket_us` microseconds. Its least and greatest value, where they are, its counts and its
        first and last point are exact: they are those of its points, none of which is left out.
        Buckets without points are left out. All metrics have the same buckets where one call is
        enough, which is up to 50 runs, 50 keys and 200,000 buckets; of more, each says its
        `bucket_steps` or `bucket_us` itself.

        Args:
            runs: UUIDs, any number of them, or one.
            keys: Of the metrics, or one; None = all that each run logged itself.
            bucket_count: How many buckets of one metric of one run at most: 1 to 10,000; 0 = 1,000.
            axis: `BucketAxis.TIME` = buckets are ranges of times; else of steps.
            from_step: The smallest step that matters; None = the first that was logged. Buckets are
                whole: the first may begin before it.
            to_step: The greatest step that matters; None = the last that was logged. The last
                bucket may end behind it.
            from_time_us: By time, the least time that matters, in microseconds since 1970.
            to_time_us: By time, the time before which points matter.
            skips_inherited: Only what forks logged themselves.
            include_deleted: Also of runs that were deleted and are not yet gone for good.
            timeout_seconds: Of each call that it takes; that of the client by default.

        Raises:
            CallError: A run is not there, a bound is broken, or the server can't be reached.
        """
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
        return carry_out(self.tracking._caller, plan, timeout_seconds)

    def iterate_search_runs(
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
    ) -> Iterator[FoundRun]:
        """What `tracking.search_runs` finds, with all pages; each is read when it is needed."""
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
            page = caller.unary(TRACKING_SEARCH_RUNS, request, None, None)
            yield from page.runs
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
    ) -> Generator[WatchExperimentResponse, None, None]:
        """Follows an experiment as `tracking.watch_experiment` does, and goes on after a break.

        With `catch_up` it ends once all that there is was told, for whoever asks again later with
        the last `resume_token`.

        Raises:
            CallError: The server was away for `patience_seconds`, or refuses: its reason is
                RESUME_TOKEN_EXPIRED where the database is another one.
        """
        request = WatchExperimentRequest(
            experiment_id=experiment_id,
            resume_token=resume_token,
            skip_history=skip_history,
            point_keys=tuple(point_keys),
            summary_keys=tuple(summary_keys),
            catch_up=catch_up,
        )
        caller = self.tracking._caller
        return follow(caller, TRACKING_WATCH_EXPERIMENT, request, patience_seconds)

    def watch_run(
        self,
        run_id: str,
        *,
        resume_token: str = "",
        skip_history: bool = False,
        stay: bool = False,
        patience_seconds: float = 300.0,
    ) -> Generator[WatchRunResponse, None, None]:
        """Follows a run as `tracking.watch_run` does, and goes on after a break.

        Ends with the run, unless asked to stay.

        Raises:
            CallError: The server was away for `patience_seconds`, or refuses: its reason is
                RESUME_TOKEN_EXPIRED where the database is another one.
        """
        request = WatchRunRequest(
            run_id=run_id, resume_token=resume_token, skip_history=skip_history, stay=stay
        )
        return follow(self.tracking._caller, TRACKING_WATCH_RUN, request, patience_seconds)
