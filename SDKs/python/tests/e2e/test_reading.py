"""Histories, searches and watches against a real server."""

from __future__ import annotations

import asyncio

import needletail
from needletail.tracking import BucketAxis, Experiment, RunFork, SearchInclude, SearchRunsRequest

STEPS = 30_000


def test_histories_of_several_runs_come_in_columns(
    client: needletail.Client, experiment: Experiment
) -> None:
    runs = []
    for number in range(2):
        with needletail.run(experiment=experiment.id, client=client) as run:
            for step in range(STEPS if number == 0 else 3):
                run.log({"loss": step / 2, "accuracy": -step}, step=step)
        assert run.finish().unsent_points == 0
        runs.append(run.id or "")
    found = client.history(runs, ["loss", "nothing"])
    assert list(found) == [(run, key) for run in runs for key in ("loss", "nothing")]
    long = found[runs[0], "loss"]
    assert long.steps.tolist() == list(range(STEPS))
    assert long.values.tolist() == [step / 2 for step in range(STEPS)]
    assert [step for step, _, _ in found[runs[1], "loss"].points()] == [0, 1, 2]
    assert len(found[runs[1], "nothing"]) == 0
    every = client.history(runs[1])
    assert list(every) == [(runs[1], "accuracy"), (runs[1], "loss")]
    assert client.history(runs[1], "loss", from_step=2)[runs[1], "loss"].steps.tolist() == [2]


def test_a_search_is_read_with_all_its_pages(
    client: needletail.Client, experiment: Experiment
) -> None:
    made = [
        client.tracking.create_run(experiment_id=experiment.id, name=f"run {number}").id
        for number in range(7)
    ]
    found = client.iterate_search_runs(
        experiment_ids=[experiment.id], order_by=["attributes.run_name ASC"], page_size=2
    )
    assert [one.run.id for one in found if one.run] == made


def test_a_run_begins_with_its_tags_and_parameters(
    client: needletail.Client, experiment: Experiment
) -> None:
    with needletail.run(
        experiment=experiment.id, client=client, tags={"team": "a"}, parameters={"lr": 0.1}
    ) as run:
        run.log({"loss": 1.0})
    (found,) = client.iterate_search_runs(
        experiment_ids=[experiment.id],
        parameters=SearchInclude(all=True),
        tags=SearchInclude(all=True),
    )
    assert [(one.key, one.value) for one in found.parameters] == [("lr", "0.1")]
    assert ("team", "a") in [(one.key, one.value) for one in found.tags]


def test_a_search_without_objects_of_each_value_finds_the_same(
    client: needletail.Client, experiment: Experiment
) -> None:
    for number in range(3):
        with needletail.run(
            experiment=experiment.id, client=client, tags={"team": "a"}, parameters={"lr": number}
        ) as run:
            run.log({"loss": number / 2, "accuracy": float("nan")}, step=number)
    every = SearchInclude(all=True)
    request = SearchRunsRequest(
        experiment_ids=(experiment.id,), page_size=2, parameters=every, tags=every, metrics=every
    )
    page = needletail.searches.search_runs(client, request)
    whole = client.tracking.search_runs(
        experiment_ids=[experiment.id], page_size=2, parameters=every, tags=every, metrics=every
    )
    assert page.next_page_token == whole.next_page_token != ""
    assert [one.run for one in page.runs] == [one.run for one in whole.runs]
    for lean, full in zip(page.runs, whole.runs, strict=True):
        for kind in ("parameters", "tags"):
            pairs = [(one.key, one.value) for one in getattr(full, kind)]
            assert [(one.key, one.value) for one in getattr(lean, kind)] == pairs != []
        loss = [(one.key, one.last_step, one.last_time_us, one.count) for one in full.metrics]
        assert (
            [(one.key, one.last_step, one.last_time_us, one.count) for one in lean.metrics]
            == loss
            != []
        )


def test_an_experiment_is_followed(client: needletail.Client, experiment: Experiment) -> None:
    first = client.tracking.create_run(experiment_id=experiment.id).id
    changes = client.watch_experiment(experiment.id)
    seen: set[str] = set()
    while first not in seen:
        seen |= {run.id for run in next(changes).runs}
    second = client.tracking.create_run(experiment_id=experiment.id).id
    while second not in seen:
        seen |= {run.id for run in next(changes).runs}
    assert seen == {first, second}
    caught_up = list(client.watch_experiment(experiment.id, catch_up=True))
    assert {run.id for change in caught_up for run in change.runs} == seen
    token = caught_up[-1].resume_token
    third = client.tracking.create_run(experiment_id=experiment.id).id
    more = client.watch_experiment(experiment.id, catch_up=True, resume_token=token)
    assert {run.id for change in more for run in change.runs} == {third}


def test_a_run_is_read_in_buckets_with_exact_bounds(
    client: needletail.Client, experiment: Experiment
) -> None:
    with needletail.run(experiment=experiment.id, client=client) as run:
        for step in range(5_000):
            run.log({"loss": -1e9 if step == 4_321 else step / 2, "accuracy": 0.5}, step=step)
        assert run.flush()
        id_ = run.id or ""
        found = run.downsample(["loss", "nothing"], bucket_count=10)
        assert list(found) == [(id_, "loss"), (id_, "nothing")]
        loss = found[id_, "loss"]
        assert (loss.bucket_steps, len(loss), sum(loss.counts)) == (512, 10, 5_000)
        assert loss.steps.tolist() == [512 * cell for cell in range(10)]
        lowest = loss.buckets()[4_321 // 512]
        assert (lowest.min_value, lowest.min_step, lowest.count) == (-1e9, 4_321, 512)
        assert (lowest.first_value, lowest.last_step) == (4_096 / 2, 4_607)
        assert len(found[id_, "nothing"]) == 0
        assert list(client.downsample(id_)) == [(id_, "accuracy"), (id_, "loss")]
        few = client.downsample(id_, "loss", bucket_count=1, to_step=1_000)[id_, "loss"]
        assert sum(few.counts) >= 1_001
        timed = run.downsample("loss", axis=BucketAxis.TIME, bucket_count=50)[id_, "loss"]
        assert (timed.bucket_steps, sum(timed.counts)) == (0, 5_000)
        lowest = min(timed.buckets(), key=lambda bucket: bucket.min_value)
        assert (lowest.min_value, lowest.min_step) == (-1e9, 4_321)
        assert lowest.time_us <= lowest.min_time_us < lowest.time_us + timed.bucket_us
        none = client.downsample(id_, "loss", axis=BucketAxis.TIME, to_time_us=1)
        assert len(none[id_, "loss"]) == 0


def test_a_fork_of_a_deleted_run_says_that_it_lacks_points(
    client: needletail.Client, experiment: Experiment
) -> None:
    tracking = client.tracking
    with needletail.run(experiment=experiment.id, client=client) as run:
        run.log({"loss": 1.0}, step=0)
    parent = run.id or ""
    fork = tracking.create_run(
        experiment_id=experiment.id, forked_from=RunFork(run_id=parent, step=0)
    ).id
    assert client.history(fork, "loss")[fork, "loss"].points()
    assert client.history([fork, parent], "loss").lacking_run_ids == ()
    tracking.delete_run(id=parent)
    found = client.history(fork, "loss")
    assert (found.lacking_run_ids, found[fork, "loss"].points()) == ((fork,), [])
    assert client.downsample(fork, "loss").lacking_run_ids == (fork,)
    assert client.history(fork, "loss", skips_inherited=True).lacking_run_ids == ()


def test_the_asyncio_client_reads_and_follows_the_same(
    client: needletail.Client, experiment: Experiment
) -> None:
    with needletail.run(experiment=experiment.id, client=client) as run:
        run.log({"loss": 0.5}, step=3)
    id_ = run.id or ""

    async def main() -> None:
        async with needletail.aio.connect() as reader:
            histories, buckets = await asyncio.gather(
                reader.history(id_), reader.downsample(id_, "loss")
            )
            assert [step for step, _, _ in histories[id_, "loss"].points()] == [3]
            assert buckets[id_, "loss"].max_values.tolist() == [0.5]
            searched = reader.iterate_search_runs(experiment_ids=[experiment.id])
            assert [one.run.id async for one in searched if one.run] == [id_]
            watched = [change async for change in reader.watch_run(id_)]
            points = [one for change in watched for series in change.series for one in series.steps]
            assert points == [3]
            async for change in reader.watch_experiment(experiment.id):
                if id_ in {one.id for one in change.runs}:
                    break

    asyncio.run(asyncio.wait_for(main(), 30))
