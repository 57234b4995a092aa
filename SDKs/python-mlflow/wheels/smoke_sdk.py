"""What a program with the SDK's wheel alone does."""

import sys

import needletail

project = sys.argv[1]
with needletail.run(project=project, experiment="smoke of a wheel") as run:
    for step in range(100):
        run.log({"loss": 1 / (step + 1)}, step=step)
summary = run.finish()
assert summary.acknowledged_points == 100, summary
assert summary.is_finished, summary
with needletail.connect() as client:
    history = client.history(run.id, "loss")[run.id, "loss"]
    assert list(history.steps) == list(range(100)), history.steps
    assert history.values[3] == 0.25, history.values[3]
