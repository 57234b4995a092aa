internal import Messages
internal import Postgres
public import RPC

/// `needletail.tracing.v1.Tracing`: traces of applications, their spans and assessments.
///
/// The method table is generated from the .proto; a method's handler is in the file of its
/// resource.
public struct TracingService: TracingHandlers {
  let settings: TracingSettings

  /// Makes the service.
  ///
  /// - Parameter settings: How much a trace may have.
  public init(_ settings: TracingSettings) {
    self.settings = settings
  }

  /// What the refusals of this service's tables and statements mean.
  public static var reasons: ReasonTable {
    var table = ReasonTable([
      "TRACE_PROJECT_NOT_FOUND": .init(
        TracingErrorReason.projectNotFound, "There is no such project in your organization."),
      "TRACE_SPAN_LIMIT_REACHED": .init(
        TracingErrorReason.spanLimitReached,
        "The trace would have more spans than the setting trace-spans-max allows; begin another."),
      "TRACE_TAG_LIMIT_REACHED": .init(
        TracingErrorReason.tagLimitReached,
        "The trace would have more tags than the setting trace-tags-max allows, or more than "
          + "\(TraceBounds.pairsBytesMax) bytes of them; delete some."),
      "TRACE_METADATA_LIMIT_REACHED": .init(
        TracingErrorReason.metadataLimitReached,
        "The trace would have more metadata than the setting trace-metadata-max allows, or more "
          + "than \(TraceBounds.pairsBytesMax) bytes of it; write less."),
      "EVALUATION_DATASET_NOT_FOUND": .init(
        TracingErrorReason.evaluationDatasetNotFound,
        "There is no such evaluation dataset in the project."),
      "EVALUATION_EXPERIMENT_NOT_FOUND": .init(
        TracingErrorReason.experimentNotFound,
        "One of the experiments is not there, or in another project."),
      "EVALUATION_TAG_LIMIT_REACHED": .init(
        TracingErrorReason.tagLimitReached,
        "The evaluation dataset would have more than \(EvaluationBounds.tagsMax) tags, or more "
          + "than \(TraceBounds.pairsBytesMax) bytes of them; delete some."),
      "EVALUATION_EXPERIMENT_LIMIT_REACHED": .init(
        TracingErrorReason.experimentLimitReached,
        "The evaluation dataset would be used in more than \(EvaluationBounds.experimentsMax) "
          + "experiments; take it out of some."),
      "EVALUATION_RECORD_LIMIT_REACHED": .init(
        TracingErrorReason.recordLimitReached,
        "The evaluation dataset would have more records than the setting evaluation-records-max "
          + "allows; delete some, or begin another."),
      "SCORER_EXPERIMENT_NOT_FOUND": .init(
        TracingErrorReason.experimentNotFound, "There is no such experiment in the project."),
      "SCORER_NOT_FOUND": .init(
        TracingErrorReason.scorerNotFound, "There is no such scorer in the experiment."),
      "SCORER_VERSION_LIMIT_REACHED": .init(
        TracingErrorReason.scorerVersionLimitReached,
        "The scorer would have more versions than the setting scorer-versions-max allows; delete "
          + "some."),
      "ISSUE_NOT_FOUND": .init(
        TracingErrorReason.issueNotFound, "There is no such issue in the project."),
      "ISSUE_EXPERIMENT_NOT_FOUND": .init(
        TracingErrorReason.experimentNotFound,
        "The experiment of the issue is not there, or in another project."),
      "ISSUE_RUN_NOT_FOUND": .init(
        TracingErrorReason.runNotFound,
        "The run that found the issue is not there, or in another project; leave source_run_id "
          + "out."),
      "TRACE_ASSESSMENT_LIMIT_REACHED": .init(
        TracingErrorReason.assessmentLimitReached,
        "The trace would have more assessments than the setting trace-assessments-max allows, or "
          + "more than \(TraceBounds.assessmentsBytesMax) bytes of them; delete some."),
    ])
    table.merge(ReasonTable(reviewReasons))
    table.merge(
      ReasonTable(
        constraints: TracingConstraints.reasons,
        meanings: meanings.merging(reviewReasons) { own, _ in own }))
    return table
  }

  /// By the name which constraints are mapped to.
  private static var meanings: [String: ReasonTable.Entry] {
    [
      "PROJECT_NOT_FOUND": .init(
        TracingErrorReason.projectNotFound, "There is no such project in your organization."),
      "EVALUATION_DATASET_NOT_FOUND": .init(
        TracingErrorReason.evaluationDatasetNotFound,
        "There is no such evaluation dataset in the project."),
      "EXPERIMENT_NOT_FOUND": .init(
        TracingErrorReason.experimentNotFound, "There is no such experiment in the project."),
      "SCORER_NOT_FOUND": .init(
        TracingErrorReason.scorerNotFound, "There is no such scorer in the experiment."),
      "TRACE_NOT_FOUND": .init(
        TracingErrorReason.traceNotFound, "There is no such trace in the project."),
      "RUN_NOT_FOUND": .init(
        TracingErrorReason.runNotFound, "There is no such run in the project."),
      "ASSESSMENT_ID_TAKEN": .init(
        TracingErrorReason.assessmentIDTaken,
        "The trace has another assessment with this identifier; leave it empty to get a new one."),
    ]
  }

  /// Lets only those read on who may look at a project.
  func requireLook(at projectID: UUID, _ call: CallContext) async throws(CallError) {
    guard try await call.roleInProject(projectID) != nil else {
      throw CallError(
        TracingErrorReason.projectNotFound,
        "There is no project \(projectID) in your organization.")
    }
  }

  /// The statement that lets only those change something whose role in the project suffices.
  func requireChange(in projectID: UUID, _ call: CallContext) -> Query<Int> {
    TracesQueries.requireTraceRole(
      projectID: projectID, userID: call.principal.id, sufficientRoles: call.sufficientRoles)
  }
}

/// What a caller hears of an experiment that is not in the project.
func experimentNotFound(_ id: UUID) -> CallError {
  CallError(
    TracingErrorReason.experimentNotFound, "There is no experiment \(id) in the project.")
}

/// What a caller hears of a trace that is not in the project.
func traceNotFound(_ id: String) -> CallError {
  CallError(TracingErrorReason.traceNotFound, "There is no trace \(id) in the project.")
}
