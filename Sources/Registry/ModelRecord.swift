internal import Messages
internal import Postgres
internal import RPC

/// What every statement returns of a model.
protocol ModelRow {
  var id: UUID { get }
  var projectID: UUID { get }
  var name: String { get }
  var description: String { get }
  var metadataJSON: String { get }
  var modelType: String { get }
  var framework: String { get }
  var taskType: String { get }
  var lastOrdinal: Int64 { get }
  var createdBy: UUID { get }
  var createdAt: Int64 { get }
  var updatedAt: Int64 { get }
  var revision: Int64 { get }
}

extension ModelsQueries.GetModelRow: ModelRow {}
extension ModelsQueries.LockModelRow: ModelRow {}
extension ModelsQueries.LockAnyModelRow: ModelRow {}
extension ModelsQueries.ListDeletedModelsRow: ModelRow {}

/// A model as it is stored.
struct ModelRecord: ModelRow {
  var id: UUID
  var projectID: UUID
  var name: String
  var description: String
  var metadataJSON: String
  var modelType: String
  var framework: String
  var taskType: String
  var lastOrdinal: Int64
  var createdBy: UUID
  var createdAt: Int64
  var updatedAt: Int64
  var revision: Int64

  /// What the audit log keeps.
  var audited: [(String, String)] {
    [
      ("name", name), ("description", description), ("metadata_json", metadataJSON),
      ("model_type", modelType), ("framework", framework), ("task_type", taskType),
    ]
  }

  /// A change of it.
  func change(_ verb: String, _ event: String, _ detailsJSON: String) -> Change {
    Change(
      action: "model.\(verb)", event: "model.\(event)", resourceType: "model", resourceID: id,
      projectID: projectID, detailsJSON: detailsJSON)
  }
}

extension ModelRecord {
  /// A model as a statement returned it.
  init(_ row: some ModelRow) {
    self.init(
      id: row.id, projectID: row.projectID, name: row.name, description: row.description,
      metadataJSON: row.metadataJSON, modelType: row.modelType, framework: row.framework,
      taskType: row.taskType, lastOrdinal: row.lastOrdinal, createdBy: row.createdBy,
      createdAt: row.createdAt, updatedAt: row.updatedAt, revision: row.revision)
  }
}

extension Model {
  /// A model without what belongs to it.
  init(_ row: some ModelRow) {
    self.init()
    id = row.id.description
    projectID = row.projectID.description
    name = row.name
    description = row.description
    metadataJSON = row.metadataJSON
    modelType = row.modelType
    framework = row.framework
    taskType = row.taskType
    lastOrdinal = row.lastOrdinal
    createdBy = row.createdBy.description
    createdAt = Timestamp(microseconds: row.createdAt)
    updatedAt = Timestamp(microseconds: row.updatedAt)
    etag = String(row.revision)
  }
}
