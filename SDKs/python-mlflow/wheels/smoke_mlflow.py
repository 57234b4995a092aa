"""What a program with the plug-in's wheel does: it knows MLflow only."""

import mlflow

mlflow.set_experiment("smoke of a wheel")
with mlflow.start_run(run_name="smoke") as run:
    mlflow.log_params({"lr": 0.1, "layers": 4})
    mlflow.set_tag("kind", "smoke")
    for step in range(10):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_text("done", "notes/a.txt")
client = mlflow.MlflowClient()
found = client.get_run(run.info.run_id)
assert found.info.status == "FINISHED", found.info
assert found.data.params == {"lr": "0.1", "layers": "4"}, found.data
assert found.data.metrics == {"loss": 0.1}, found.data
assert len(client.get_metric_history(run.info.run_id, "loss")) == 10
assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/notes/a.txt") == "done"
(again,) = mlflow.search_runs(
    [run.info.experiment_id],
    f"attributes.run_id = '{run.info.run_id}' and metrics.loss < 0.2",
    output_format="list",
)
assert again.data.tags["kind"] == "smoke", again.data.tags


@mlflow.trace
def answer(question: str) -> str:
    return question.upper()


assert answer("why") == "WHY"
mlflow.flush_trace_async_logging()
trace = mlflow.get_trace(mlflow.get_last_active_trace_id())
assert [span.name for span in trace.data.spans] == ["answer"], trace
name = f"smoke {run.info.run_id}"
client.create_registered_model(name)
version = client.create_model_version(name, f"{run.info.artifact_uri}/notes", run.info.run_id)
client.set_registered_model_alias(name, "champion", version.version)
assert client.get_model_version_by_alias(name, "champion").run_id == run.info.run_id
