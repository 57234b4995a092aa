"""What methods answer to another organization's identifiers, where it is not NOT_FOUND."""

# Answered with what there is, which is nothing.
EMPTY = "EMPTY"
# Answered with the caller's own, as if the other organization did not exist.
OWN = "OWN"
# What is not answered with the reason `<KIND>_NOT_FOUND` of what the field identifies.
EXCEPTIONS = {
    "AppendLogs.writer_id": OWN,
    "AppendMetrics.writer_id": OWN,
    "CountRuns.experiment_ids": EMPTY,
    "CountRuns.project_id": EMPTY,
    "ListApiKeys.user_id": EMPTY,
    "ListAuditLogs.filter.actor_id": EMPTY,
    "ListAuditLogs.filter.api_key_id": EMPTY,
    "ListAuditLogs.filter.resource_id": EMPTY,
    "ExportAuditLogs.filter.actor_id": EMPTY,
    "ExportAuditLogs.filter.api_key_id": EMPTY,
    "ExportAuditLogs.filter.resource_id": EMPTY,
    "ExplainAccess.resource_id": "RESOURCE_NOT_FOUND",
    "ListDatasets.experiment_ids": EMPTY,
    "ListExperiments.project_id": EMPTY,
    "ListInvitations.page_token": OWN,
    "ListMembers.page_token": OWN,
    "ListModels.project_id": EMPTY,
    "ListModelVersions.model_id": EMPTY,
    "ListModelVersions.project_id": EMPTY,
    "ListProjects.page_token": OWN,
    "ListRuns.experiment_id": EMPTY,
    "ListRuns.project_id": EMPTY,
    "ListServiceAccounts.page_token": OWN,
    # Traces that are not there are left out.
    "DeleteTraces.trace_ids": OWN,
    "GetTraces.trace_ids": EMPTY,
    "LinkTracesToRun.trace_ids": OWN,
    "ListSpans.trace_ids": EMPTY,
    "SearchTraces.experiment_ids": EMPTY,
    "CountTraces.experiment_ids": EMPTY,
    "MeasureTraces.experiment_ids": EMPTY,
    "ListTraceSessions.experiment_id": EMPTY,
    "SearchEvaluationDatasets.experiment_ids": EMPTY,
    "ListScorers.experiment_ids": EMPTY,
    "SearchIssues.experiment_ids": EMPTY,
    "DeleteEvaluationRecords.record_ids": OWN,
    "UpdateEvaluationDataset.remove_experiment_ids": OWN,
    "UnlinkTracesFromRun.trace_ids": OWN,
    "RemoveReviewItems.trace_ids": OWN,
    "ListReviewQueues.trace_id": EMPTY,
    "UpdateReviewItem.trace_id": "REVIEW_ITEM_NOT_FOUND",
    "UpdateReviewQueue.label_schemas.label_schema_ids": "LABEL_SCHEMA_NOT_FOUND",
    # What is not there is no error.
    "DeleteAssessment.assessment_id": OWN,
    "SearchLoggedModels.experiment_ids": EMPTY,
    "SearchLoggedModels.project_id": EMPTY,
    "SearchRuns.experiment_ids": EMPTY,
    "SearchRuns.project_id": EMPTY,
}
# What names a thing that the id beside it names already; test_models.py tries names alone.
EXCEPTIONS.update(
    {
        f"{method}.model.project_id": "FIELD_INVALID"
        for method in (
            "CreateModelVersion", "DeleteModel", "DeleteModelAlias", "DeleteModelVersion",
            "GetModel", "GetModelVersion", "ListModelAliases", "ListStageTransitions",
            "SetModelAlias", "SetModelTags", "SetModelVersionTags",
            "TransitionModelVersionStage", "UpdateModel", "UpdateModelVersion",
        )
    }
)  # fmt: skip
EXCEPTIONS.update(
    {
        f"{method}.model_id": "FIELD_INVALID"
        for method in (
            "DeleteModelVersion", "GetModelVersion", "ListStageTransitions",
            "SetModelVersionTags", "TransitionModelVersionStage", "UpdateModelVersion",
        )
    }
)  # fmt: skip
# Whose files a request is about stands in it once; test_artifact_owners.py tries each alone.
EXCEPTIONS.update(
    {
        f"{method}.{field}": "FIELD_INVALID"
        for method in (
            "DeleteArtifact", "DownloadArtifact", "GetArtifact", "ListArtifacts", "UploadArtifact",
        )
        for field in ("logged_model_id", "project_id", "trace_id")
    }
)  # fmt: skip
REASONS = {
    "admin": "USER_NOT_FOUND",
    "admin_key": "API_KEY_NOT_FOUND",
    "deleted_project": "PROJECT_NOT_FOUND",
    "finished_run": "RUN_NOT_FOUND",
    "deleted_run": "RUN_NOT_FOUND",
    "deleted_experiment": "EXPERIMENT_NOT_FOUND",
    "deleted_model": "MODEL_NOT_FOUND",
    "deleted_logged_model": "LOGGED_MODEL_NOT_FOUND",
    # A token names the listing with its filter, and a filter here has identifiers.
    "page_token": "PAGE_TOKEN_INVALID",
    "resume_token": "RESUME_TOKEN_INVALID",
    # Any identifier is a place in the order of time.
    "after": OWN,
}
# What a refused call changes of the caller's own.
CHANGES = {
    # A writer is opened by its first message, whatever that holds.
    "AppendLogs.runs.run_id": ["writers of mine"],
    "AppendMetrics.runs.run_id": ["writers of mine"],
}
# What else of the other organization a field is tried with.
ALSO = {
    "project": ("deleted_project",),
    "deleted_project": ("project",),
    "user": ("service_account", "admin"),
    "service_account": ("user",),
    "GetProject.id": ("project_slug",),
    "ExplainAccess.principal_id": ("user", "service_account", "deleted_user"),
    "ExplainAccess.api_key_id": ("api_key",),
    "ExplainAccess.resource_id": ("experiment", "run", "model", "model_version"),
    "invitation": ("deleted_invitation",),
}
