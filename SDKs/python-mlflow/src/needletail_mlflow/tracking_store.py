"""The tracking store: MLflow's interface, with one line for each of its methods."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from mlflow.entities import RunTag, _DatasetSummary
from mlflow.exceptions import MlflowException
from mlflow.store.tracking import (
    SEARCH_MAX_RESULTS_DEFAULT,
    SEARCH_TRACES_DEFAULT_MAX_RESULTS,
)
from mlflow.store.tracking.abstract_store import AbstractStore
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_MODELS

from needletail_mlflow.assessments import Assessments
from needletail_mlflow.connection import Connection
from needletail_mlflow.errors import TRANSLATED
from needletail_mlflow.evaluation_datasets import EvaluationDatasets
from needletail_mlflow.experiments import DEFAULT_ID, Experiments
from needletail_mlflow.inputs import Inputs
from needletail_mlflow.issues import Issues
from needletail_mlflow.keeping import Keeping
from needletail_mlflow.label_schemas import LabelSchemas
from needletail_mlflow.logged_models import LoggedModels
from needletail_mlflow.metrics import Logged
from needletail_mlflow.review_queues import ReviewQueues
from needletail_mlflow.runs import Runs
from needletail_mlflow.scorers import Scorers
from needletail_mlflow.trace_metrics import TraceMetrics
from needletail_mlflow.traces import Traces
from needletail_mlflow.unkept import Unkept
from needletail_mlflow.uri import parse_tracking_uri


class TrackingStore(Scorers, LabelSchemas, ReviewQueues, Unkept, AbstractStore):
    """Experiments, runs and traces on Needletail.

    Nothing is connected before the first call, but for a server of MLflow's. One object is good for
    any number of threads, and goes on in forked children.
    """

    DEFAULT_EXPERIMENT_ID = DEFAULT_ID

    def __init__(self, store_uri: str, artifact_uri: str | None = None) -> None:
        super().__init__()
        self._connection = Connection(parse_tracking_uri(store_uri))
        self._experiments = Experiments(self._connection, artifact_uri)
        self._inputs = Inputs(self._connection)
        keeping = Keeping(self._connection)
        self._runs = Runs(self._connection, self._experiments, self._inputs, keeping)
        self._logged = Logged(self._connection, self._runs, keeping)
        self._models = LoggedModels(self._connection, self._experiments)
        self._assessments = Assessments(self._connection)
        self._measured = TraceMetrics(self._connection, self._experiments)
        self._issues = Issues(self._connection, self._experiments)
        self._evaluated = EvaluationDatasets(self._connection, self._experiments)
        self._traces = Traces(self._connection, self._experiments, self._runs, self._assessments)
        if artifact_uri:
            # A server of MLflow's: it has the experiment "0" from its start, whatever comes first.
            with contextlib.suppress(MlflowException):
                self._experiments.get(DEFAULT_ID)

    # Experiments.

    def search_experiments(
        self, view_type=1, max_results=SEARCH_MAX_RESULTS_DEFAULT, filter_string=None,
        order_by=None, page_token=None,
    ):  # fmt: skip
        return self._experiments.search(view_type, max_results, filter_string, order_by, page_token)

    def create_experiment(self, name, artifact_location=None, tags=None):
        return self._experiments.create(name, artifact_location, tags)

    def get_experiment(self, experiment_id):
        return self._experiments.get(experiment_id)

    def get_experiment_by_name(self, experiment_name):
        return self._experiments.get_by_name(experiment_name)

    def delete_experiment(self, experiment_id):
        self._experiments.delete(experiment_id)

    def restore_experiment(self, experiment_id):
        self._experiments.restore(experiment_id)

    def rename_experiment(self, experiment_id, new_name):
        self._experiments.rename(experiment_id, new_name)

    def set_experiment_tag(self, experiment_id, tag):
        self._experiments.set_tag(experiment_id, tag)

    def delete_experiment_tag(self, experiment_id, key):
        self._experiments.delete_tag(experiment_id, key)

    # Runs.

    def create_run(self, experiment_id, user_id, start_time, tags, run_name):
        return self._runs.create(experiment_id, user_id, start_time, tags, run_name)

    def get_run(self, run_id):
        return self._runs.get(run_id)

    def update_run_info(self, run_id, run_status, end_time, run_name):
        return self._runs.update(run_id, run_status, end_time, run_name)

    def delete_run(self, run_id):
        self._runs.delete(run_id)

    def restore_run(self, run_id):
        self._runs.restore(run_id)

    def _search_runs(
        self, experiment_ids, filter_string, run_view_type, max_results, order_by, page_token
    ):
        return self._runs.search(
            experiment_ids, filter_string, run_view_type, max_results, order_by, page_token
        )

    # What they log.

    def log_batch(self, run_id, metrics, params, tags):
        self._logged.batch(run_id, metrics, params, tags)

    def log_metric(self, run_id, metric):
        self._logged.metric(run_id, metric)

    def log_param(self, run_id, param):
        self._logged.param(run_id, param)

    def set_tag(self, run_id, tag):
        self._logged.set_tag(run_id, tag)

    def delete_tag(self, run_id, key):
        self._logged.delete_tag(run_id, key)

    def get_metric_history(self, run_id, metric_key, max_results=None, page_token=None):
        return self._logged.history(run_id, metric_key, max_results, page_token)

    def get_metric_history_bulk(self, run_ids, metric_key, max_results):
        return self._logged.bulk(run_ids, metric_key, max_results)

    def get_metric_history_bulk_interval(
        self, run_ids, metric_key, max_results, start_step, end_step
    ):
        return self._logged.interval(run_ids, metric_key, max_results, start_step, end_step)

    def get_metric_history_bulk_interval_from_steps(self, run_id, metric_key, steps, max_results):
        return self._logged.at_steps(run_id, metric_key, steps, max_results)

    # What they read and made.

    def log_inputs(self, run_id, datasets=None, models=None):
        self._inputs.log_inputs(self._runs.uuid(run_id), datasets, models)

    def log_outputs(self, run_id, models):
        self._inputs.log_outputs(self._runs.uuid(run_id), models)

    def _search_datasets(self, experiment_ids):
        uuids = [self._experiments.uuid(one) for one in experiment_ids]
        return [
            _DatasetSummary(
                experiment_id=self._experiments.public_id(one.experiment_id),
                name=one.name,
                digest=one.digest,
                context=one.context or None,
            )
            for one in self._inputs.summaries([uuid for uuid in uuids if uuid])
        ]

    def record_logged_model(self, run_id, mlflow_model):
        from mlflow.models import Model  # noqa: PLC0415 it takes a second to import

        if not isinstance(mlflow_model, Model):
            raise TypeError(
                f"Argument 'mlflow_model' should be mlflow.models.Model, got '{type(mlflow_model)}'"
            )
        with TRANSLATED:
            before = self._logged.tags(self._runs.uuid(run_id)).get(MLFLOW_LOGGED_MODELS)
        known = json.loads(before) if before else []
        text = json.dumps([*known, mlflow_model.get_tags_dict()])
        self.set_tag(run_id, RunTag(MLFLOW_LOGGED_MODELS, text))

    # Models that they made.

    def create_logged_model(
        self, experiment_id, name=None, source_run_id=None, tags=None, params=None,
        model_type=None,
    ):  # fmt: skip
        return self._models.create(experiment_id, name, source_run_id, tags, params, model_type)

    def get_logged_model(self, model_id, allow_deleted=False):
        return self._models.get(model_id, allow_deleted)

    def finalize_logged_model(self, model_id, status):
        return self._models.finalize(model_id, status)

    def delete_logged_model(self, model_id):
        self._models.delete(model_id)

    def set_logged_model_tags(self, model_id, tags):
        self._models.set_tags(model_id, tags)

    def delete_logged_model_tag(self, model_id, key):
        self._models.delete_tag(model_id, key)

    def log_logged_model_params(self, model_id, params):
        self._models.log_params(model_id, params)

    def search_logged_models(
        self, experiment_ids, filter_string=None, datasets=None, max_results=None, order_by=None,
        page_token=None,
    ):  # fmt: skip
        return self._models.search(
            experiment_ids, filter_string, datasets, max_results, order_by, page_token
        )

    # Traces.

    def start_trace(self, trace_info):
        return self._traces.tell(trace_info)

    def log_spans(self, location, spans, tracking_uri=None):
        del tracking_uri  # It is this store's.
        return self._traces.log_spans(location, spans)

    async def log_spans_async(self, location, spans):
        return await asyncio.to_thread(self.log_spans, location, spans)

    def get_trace_info(self, trace_id):
        return self._traces.info(trace_id)

    def get_trace(self, trace_id, *, allow_partial=False):
        return self._traces.get(trace_id, allow_partial)

    def deprecated_start_trace_v2(self, experiment_id, timestamp_ms, request_metadata, tags):
        return self._traces.start_v2(experiment_id, timestamp_ms, request_metadata, tags)

    def deprecated_end_trace_v2(self, request_id, timestamp_ms, status, request_metadata, tags):
        return self._traces.end_v2(request_id, timestamp_ms, status, request_metadata, tags)

    def batch_get_traces(self, trace_ids, location=None, experiment_ids=None):
        del location  # Databricks alone has these.
        return self._traces.batch(trace_ids, experiment_ids)

    def batch_get_trace_infos(self, trace_ids, location=None, experiment_ids=None):
        del location
        return self._traces.infos(trace_ids, experiment_ids)

    def search_traces(
        self, experiment_ids=None, filter_string=None,
        max_results=SEARCH_TRACES_DEFAULT_MAX_RESULTS, order_by=None, page_token=None,
        model_id=None, locations=None,
    ):  # fmt: skip
        return self._traces.search(
            experiment_ids, filter_string, max_results, order_by, page_token, model_id, locations
        )

    def _delete_traces(
        self, experiment_id, max_timestamp_millis=None, max_traces=None, trace_ids=None
    ):
        return self._traces.delete(experiment_id, max_timestamp_millis, max_traces, trace_ids)

    def set_trace_tag(self, trace_id, key, value):
        self._traces.set_tag(trace_id, key, value)

    def delete_trace_tag(self, trace_id, key):
        self._traces.delete_tag(trace_id, key)

    def link_traces_to_run(self, trace_ids, run_id):
        self._traces.link_to_run(trace_ids, run_id)

    def unlink_traces_from_run(self, trace_ids, run_id):
        self._traces.unlink_from_run(trace_ids, run_id)

    def link_prompts_to_trace(self, trace_id, prompt_versions):
        self._traces.link_prompts(trace_id, prompt_versions)

    def query_trace_metrics(
        self, experiment_ids, view_type, metric_name, aggregations, dimensions=None, filters=None,
        time_interval_seconds=None, start_time_ms=None, end_time_ms=None, max_results=1000,
        page_token=None,
    ):  # fmt: skip
        del page_token  # MLflow's own store has one page, too.
        return self._measured.query(
            experiment_ids, view_type, metric_name, aggregations, dimensions, filters,
            time_interval_seconds, start_time_ms, end_time_ms, max_results,
        )  # fmt: skip

    def find_completed_sessions(
        self, experiment_id, min_last_trace_timestamp_ms, max_last_trace_timestamp_ms,
        max_results=None, filter_string=None,
    ):  # fmt: skip
        return self._measured.sessions(
            experiment_id, min_last_trace_timestamp_ms, max_last_trace_timestamp_ms, max_results,
            filter_string,
        )  # fmt: skip

    def calculate_trace_filter_correlation(
        self, experiment_ids, filter_string1, filter_string2, base_filter=None
    ):
        return self._measured.correlation(
            experiment_ids, filter_string1, filter_string2, base_filter
        )

    # What is thought of them.

    def create_assessment(self, assessment):
        return self._assessments.create(assessment)

    def get_assessment(self, trace_id, assessment_id):
        return self._assessments.get(trace_id, assessment_id)

    def update_assessment(
        self, trace_id, assessment_id, name=None, expectation=None, feedback=None,
        rationale=None, metadata=None,
    ):  # fmt: skip
        return self._assessments.update(
            trace_id, assessment_id, name, expectation, feedback, rationale, metadata
        )

    def delete_assessment(self, trace_id, assessment_id):
        self._assessments.delete(trace_id, assessment_id)

    # What is wrong with applications, as they show.

    def create_issue(
        self, experiment_id, name, description, status=None, severity=None, root_causes=None,
        source_run_id=None, categories=None, created_by=None, **later: Any,
    ):  # fmt: skip
        return self._issues.create(
            experiment_id, name, description, status, severity, root_causes, source_run_id,
            categories, created_by, **later,
        )  # fmt: skip

    def get_issue(self, issue_id):
        return self._issues.get(issue_id)

    def update_issue(
        self, issue_id, status=None, name=None, description=None, severity=None, **later: Any
    ):
        return self._issues.update(issue_id, status, name, description, severity, **later)

    def search_issues(
        self, experiment_id=None, filter_string=None, max_results=None, page_token=None,
        include_trace_count=False, **later: Any,
    ):  # fmt: skip
        return self._issues.search(
            experiment_id, filter_string, max_results, page_token, include_trace_count, **later
        )

    # What applications are evaluated with.

    def create_dataset(self, name, tags=None, experiment_ids=None):
        return self._evaluated.create(name, tags, experiment_ids)

    def get_dataset(self, dataset_id):
        return self._evaluated.get(dataset_id)

    def delete_dataset(self, dataset_id):
        self._evaluated.delete(dataset_id)

    def search_datasets(
        self, experiment_ids=None, filter_string=None, max_results=1000, order_by=None,
        page_token=None,
    ):  # fmt: skip
        return self._evaluated.search(
            experiment_ids, filter_string, max_results, order_by, page_token
        )

    def upsert_dataset_records(self, dataset_id, records):
        return self._evaluated.upsert(dataset_id, records)

    def delete_dataset_records(self, dataset_id, dataset_record_ids):
        return self._evaluated.delete_records(dataset_id, dataset_record_ids)

    def _load_dataset_records(self, dataset_id, max_results=None, page_token=None):
        return self._evaluated.records(dataset_id, max_results, page_token)

    def set_dataset_tags(self, dataset_id, tags):
        self._evaluated.set_tags(dataset_id, tags)

    def delete_dataset_tag(self, dataset_id, key):
        self._evaluated.delete_tag(dataset_id, key)

    def get_dataset_experiment_ids(self, dataset_id):
        return self._evaluated.experiment_ids(dataset_id)

    def add_dataset_to_experiments(self, dataset_id, experiment_ids):
        return self._evaluated.add_to_experiments(dataset_id, experiment_ids)

    def remove_dataset_from_experiments(self, dataset_id, experiment_ids):
        return self._evaluated.remove_from_experiments(dataset_id, experiment_ids)
