"""Histories, searches and watches against a real server."""

from __future__ import annotations

import needletail
from needletail.tracking import Experiment, SearchInclude

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
