internal import Messages
public import RPC

/// `needletail.tracking.v1.Tracking`: experiments, runs, their metrics and files.
///
/// The method table is generated from the .proto; a method's handler is in the file of its
/// resource.
public struct TrackingService: TrackingHandlers {
  /// Where artifacts are kept; nil = nowhere.
  let shelf: ArtifactShelf?

  /// Makes the service without a place for artifacts.
  public init() { shelf = nil }

  /// Makes the service with a place for artifacts, if there is one.
  public init(artifacts shelf: ArtifactShelf?) { self.shelf = shelf }

  /// What the refusals of this service's tables and statements mean.
  public static var reasons: ReasonTable {
    var table = ReasonTable(refusals)
    table.merge(ReasonTable(constraints: TrackingConstraints.reasons, meanings: refusals))
    return table
  }

  /// By the name with which statements refuse, and which constraints are mapped to.
  private static var refusals: [String: ReasonTable.Entry] {
    [
      "PROJECT_NOT_FOUND": .init(
        TrackingErrorReason.projectNotFound, "There is no such project in your organization."),
      "PERMISSION_MISSING": .init(
        RpcErrorReason.permissionMissing,
        "Your role in the project lets you look at this, but not change it: ask an owner of the "
          + "project for a higher role."),
      "EXPERIMENT_NAME_TAKEN": .init(
        TrackingErrorReason.experimentNameTaken,
        "Another experiment of the project has this name; choose another, or use that one."),
      "EXPERIMENT_NOT_FOUND": .init(
        TrackingErrorReason.experimentNotFound,
        "There is no such experiment in your organization."),
      "RUN_NOT_FOUND": .init(
        TrackingErrorReason.runNotFound, "There is no such run in your organization."),
      "LOGGED_MODEL_NOT_FOUND": .init(
        TrackingErrorReason.loggedModelNotFound,
        "The run's project has no logged model details.logged_model_id."),
      "LOGGED_MODEL_METRIC_LIMIT_REACHED": .init(
        TrackingErrorReason.loggedModelMetricLimitReached,
        "The logged model details.logged_model_id has \(LoggedModelBounds.metricsMax) values of "
          + "metrics, which is the most; log further points with the run alone."),
      "DATASET_NOT_FOUND": .init(
        TrackingErrorReason.datasetNotFound, "The run read no such dataset."),
      "TRACE_NOT_FOUND": .init(
        TrackingErrorReason.traceNotFound, "There is no such trace in the project."),
      "PARENT_RUN_INVALID": .init(
        TrackingErrorReason.parentRunInvalid,
        "A run cannot be nested under itself, nor under one that is nested under it."),
      "NESTING_TOO_DEEP": .init(
        TrackingErrorReason.nestingTooDeep,
        "Runs can be nested \(RunBounds.nestingMax) deep; nest this one under one further up."),
      "FORKED_TOO_OFTEN": .init(
        TrackingErrorReason.forkedTooOften,
        "A line of forks can be \(RunBounds.forksMax) long; fork a run nearer to the first."),
      "RUN_FINISHED": .init(
        TrackingErrorReason.runFinished,
        "The run has ended: reopen it to go on with it, or create a new one."),
      "RUN_NOT_STARTED": .init(
        TrackingErrorReason.runNotStarted,
        "The run is scheduled; start it with UpdateRun before you log to it."),
      "SEQUENCE_GAP": .init(
        TrackingErrorReason.sequenceGap,
        "A batch is missing; continue with details.expected_sequence."),
      "SEQUENCE_REPLAYED": .init(
        RpcErrorReason.conflict,
        "Another stream of this writer was faster; open the stream again to hear how far it came."),
      "ARTIFACT_QUOTA_EXCEEDED": .init(
        TrackingErrorReason.artifactQuotaExceeded,
        "Your organization has no room for the file: delete others, or ask for a larger quota."),
      "EPOCH_OLD": .init(
        TrackingErrorReason.epochOld,
        "Another job goes on with the run, in details.current_epoch; to take over from it, open "
          + "the one after that."),
      "EPOCH_SKIPPED": .init(
        TrackingErrorReason.epochSkipped,
        "The run is in details.current_epoch: append to that, or open the one after it."),
      "EPOCH_TAKEN": .init(
        TrackingErrorReason.epochTaken,
        "The epoch was opened by another writer, or at another step; append to it without "
          + "from_step, or open the one after it."),
      "WRITER_UNKNOWN": .init(
        TrackingErrorReason.writerInvalid, "The writer is not known; open the stream again."),
    ]
  }
}
