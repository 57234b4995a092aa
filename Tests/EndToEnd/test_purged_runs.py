"""Runs and experiments that are deleted for good, before their 30 days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from needletail.tracking import MetricSeries
from program import run_program
from projects import audited, refused
from test_run_life import MONTH, listed
from waiting import wait_until

if TYPE_CHECKING:
    import needletail
    from program import Connection, UpServer


def test_what_is_purged_never_comes_back(
    client: needletail.Client, served: UpServer, experiment_id: str, run_id: str, sql: Connection
) -> None:
    tracking = client.tracking
    tracking.log_batch(run_id=run_id, series=[MetricSeries(key="l", steps=(1,), values=(1.0,))])
    other, kept = (tracking.create_run(experiment_id=experiment_id).id for _ in range(2))
    # One that lives, and one that was deleted before.
    gone = tracking.delete_run(id=run_id, purge=True)
    assert gone.deleted_at == gone.purge_after
    deleted = tracking.delete_run(id=other)
    refused("ETAG_MISMATCH", tracking.delete_run, id=other, purge=True, etag="1")
    gone = tracking.delete_run(id=other, purge=True, etag=deleted.etag)
    assert gone.deleted_at == deleted.deleted_at
    assert gone.purge_after is not None
    assert gone.purge_after < deleted.deleted_at + MONTH
    for run in (run_id, other):
        refused("RECOVERY_OVER", tracking.undelete_run, id=run)
    assert listed(client, experiment_id, deleted=True) == []
    entries = audited(sql, other, "run.delete")
    assert {"purge": "true"} in [entry["after"] for entry in entries]
    purge(served, sql, "runs", run_id, other)
    refused("RUN_NOT_FOUND", tracking.delete_run, id=run_id, purge=True)
    assert audited(sql, run_id, "run.purge")
    assert listed(client, experiment_id) == [kept]

    tracking.delete_experiment(id=experiment_id)
    # It would come back with its experiment.
    refused("EXPERIMENT_NOT_FOUND", tracking.delete_run, id=kept, purge=True)
    tracking.delete_experiment(id=experiment_id, purge=True)
    refused("RECOVERY_OVER", tracking.undelete_experiment, id=experiment_id)
    assert experiment_id not in [one.id for one in tracking.iterate_experiments(deleted=True)]
    purge(served, sql, "experiments", experiment_id)
    refused("EXPERIMENT_NOT_FOUND", tracking.delete_experiment, id=experiment_id, purge=True)
    assert sql.execute("select from runs where id = %s", [kept]).fetchall() == []


def purge(server: UpServer, sql: Connection, table: str, *ids: str) -> None:
    """Let a minute pass for what is purged, and upkeep run."""
    sql.execute(
        f"update {table} set purge_after = purge_after - interval '1 minute' where id = any(%s)",
        [list(ids)],
    )

    def removed() -> bool:
        ran = run_program("maintenance", "run", "purge", "--postgres", server.database_url)
        assert ran.returncode == 0, ran
        rows = sql.execute(f"select from {table} where id = any(%s)", [list(ids)]).fetchall()
        return rows == []

    # The server may be at it.
    wait_until("upkeep has removed them", removed)
