internal import Messages
internal import Postgres
internal import RPC

/// What every statement returns of a version.
protocol VersionRow {
  var id: UUID { get }
  var modelID: UUID { get }
  var modelName: String { get }
  var projectID: UUID { get }
  var ordinal: Int64 { get }
  var version: String { get }
  var status: String { get }
  var statusMessage: String { get }
  var stage: String { get }
  var source: String { get }
  var sourceRunID: UUID? { get }
  var sourceRun: String { get }
  var runLink: String { get }
  var loggedModel: String { get }
  var description: String { get }
  var userName: String { get }
  var requirements: String { get }
  var inputSchemaJSON: String? { get }
  var outputSchemaJSON: String? { get }
  var performanceMetricsJSON: String? { get }
  var trainingMetricsJSON: String? { get }
  var hyperparametersJSON: String? { get }
  var createdBy: UUID { get }
  var createdAt: Int64 { get }
  var updatedAt: Int64 { get }
  var revision: Int64 { get }
  var deletedAt: Int64? { get }
  var aliases: [String] { get }
}

extension ModelVersionsQueries.GetVersionRow: VersionRow {}
extension ModelVersionsQueries.GetVersionToChangeRow: VersionRow {}
extension ModelVersionsQueries.ListLatestVersionsRow: VersionRow {}

extension ModelVersion {
  /// A version without its tags.
  init(_ row: some VersionRow) {
    self.init()
    id = row.id.description
    modelID = row.modelID.description
    modelName = row.modelName
    projectID = row.projectID.description
    ordinal = row.ordinal
    version = row.version
    status = ModelVersionStatus(word: row.status)
    statusMessage = row.statusMessage
    stage = ModelStage(word: row.stage)
    source = row.source
    sourceRunID = row.sourceRunID?.description ?? ""
    sourceRun = row.sourceRun
    runLink = row.runLink
    loggedModel = row.loggedModel
    description = row.description
    user = row.userName
    requirements = row.requirements
    inputSchemaJSON = row.inputSchemaJSON ?? ""
    outputSchemaJSON = row.outputSchemaJSON ?? ""
    performanceMetricsJSON = row.performanceMetricsJSON ?? ""
    trainingMetricsJSON = row.trainingMetricsJSON ?? ""
    hyperparametersJSON = row.hyperparametersJSON ?? ""
    createdBy = row.createdBy.description
    createdAt = Timestamp(microseconds: row.createdAt)
    updatedAt = Timestamp(microseconds: row.updatedAt)
    etag = String(row.revision)
    deletedAt = row.deletedAt.map { Timestamp(microseconds: $0) }
    aliases = row.aliases
  }

  /// About how long it is in an answer.
  var roughBytes: Int {
    let texts = [
      modelName, version, statusMessage, source, sourceRun, runLink, loggedModel, description,
      user, requirements, inputSchemaJSON, outputSchemaJSON, performanceMetricsJSON,
      trainingMetricsJSON, hyperparametersJSON,
    ]
    return 500 + texts.reduce(0) { $0 + $1.utf8.count }
      + tags.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 16 }
      + aliases.reduce(0) { $0 + $1.utf8.count + 3 }
  }

  /// What the audit log keeps, as far as it is said.
  var audited: [(String, String)] {
    [
      ("version", version), ("status", status.word ?? ""), ("status_message", statusMessage),
      ("source", source), ("source_run", sourceRun), ("run_link", runLink),
      ("logged_model", loggedModel), ("description", description), ("user", user),
      ("requirements", requirements), ("input_schema_json", inputSchemaJSON),
      ("output_schema_json", outputSchemaJSON),
      ("performance_metrics_json", performanceMetricsJSON),
      ("training_metrics_json", trainingMetricsJSON),
      ("hyperparameters_json", hyperparametersJSON),
    ]
  }

  /// The version after a change.
  mutating func changed(at now: Int64, from revision: Int64) {
    updatedAt = Timestamp(microseconds: now)
    etag = String(revision + 1)
  }
}

/// A change of a version, of which those who look at its model hear, too.
func versionChange(
  _ verb: String, _ event: String, _ id: UUID, modelID: UUID, projectID: UUID,
  _ detailsJSON: String
) -> Change {
  var change = Change(
    action: "model_version.\(verb)", event: "model_version.\(event)",
    resourceType: "model_version", resourceID: id, projectID: projectID,
    detailsJSON: detailsJSON)
  change.alsoChanged = [modelID]
  return change
}
