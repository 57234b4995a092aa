internal import Messages
internal import Postgres
internal import RPC

/// What versions are searched by.
enum ModelVersionSearch {
  static let schema = SearchSchema(
    table: "registered_model_versions as version", alias: "version",
    columns: """
      version.id, version.model_id, version.model_name, version.project_id, version.ordinal,
          version.version, version.status, version.status_message, version.stage,
          version.source, version.source_run_id, version.source_run, version.run_link,
          version.logged_model, version.description, version.user_name, version.requirements,
          version.input_schema_text, version.output_schema_text,
          version.performance_metrics_text, version.training_metrics_text,
          version.hyperparameters_text, version.created_by, version.created_at,
          version.updated_at, version.revision, version.aliases
      """,
    columnCount: 27,
    entities: ["attributes", "attribute", "attr", "version"],
    attributes: [
      SearchAttribute(["model_version_id", "id"], "id", .uuid),
      SearchAttribute(["name"], "model_name", .text),
      SearchAttribute(["version_number", "ordinal"], "ordinal", .integer),
      SearchAttribute(["version"], "version", .text),
      SearchAttribute(
        ["stage", "current_stage"], "stage",
        .word(
          aliases: ["DEVELOPMENT": "NONE"], all: ["NONE", "STAGING", "PRODUCTION", "ARCHIVED"])),
      SearchAttribute(
        ["status"], "status", .word(aliases: [:], all: ["PENDING", "READY", "FAILED"])),
      SearchAttribute(["run_id"], "source_run", .text),
      SearchAttribute(["source_run_id"], "source_run_id", .uuid, isNullable: true),
      SearchAttribute(["source_path", "source"], "source", .text),
      SearchAttribute(["creation_timestamp", "creation_time"], "created_at", .time),
      SearchAttribute(["last_updated_timestamp", "last_update_time"], "updated_at", .time),
      SearchAttribute(["model_id"], "model_id", .uuid),
      SearchAttribute(["project_id"], "project_id", .uuid),
      SearchAttribute(["created_by", "user_id"], "created_by", .uuid),
    ],
    pairs: [SearchPairs(texts: ["tags", "tag"], "model_version_tags", owner: "model_version_id")])

  /// Finds a page of versions.
  static func page(
    _ request: ListModelVersionsRequest, projectID: UUID?, modelID: UUID?, size: Int,
    _ call: CallContext
  ) async throws(CallError) -> SearchPage<FoundRow> {
    let visibility = ProjectVisibility(call)
    let search = try call.search(
      schema, filter: request.filter, orderBy: request.orderBy, searchReasons
    ) { sql in
      sql.add("\n    and version.deleted_at is null")
      if let projectID {
        sql.add("\n    and version.project_id = ")
        sql.add(uuid: projectID)
      }
      if let modelID {
        sql.add("\n    and version.model_id = ")
        sql.add(uuid: modelID)
      }
      visibility.add("version", to: &sql)
    }
    let place = [projectID, modelID].map { $0?.description ?? "" }
    let purpose =
      (["version search"] + place + [request.filter] + request.orderBy)
      .joined(separator: "\u{1f}")
    return try await call.page(
      search, "registry.searchModelVersions", size: size, token: request.pageToken,
      purpose: purpose, searchReasons, id: \.id
    ) { row throws(PostgresError) in try FoundRow(row) }
  }

  /// A version as the schema's columns have it.
  struct FoundRow: VersionRow {
    var id: UUID
    var modelID: UUID
    var modelName: String
    var projectID: UUID
    var ordinal: Int64
    var version: String
    var status: String
    var statusMessage: String
    var stage: String
    var source: String
    var sourceRunID: UUID?
    var sourceRun: String
    var runLink: String
    var loggedModel: String
    var description: String
    var userName: String
    var requirements: String
    var inputSchemaJSON: String?
    var outputSchemaJSON: String?
    var performanceMetricsJSON: String?
    var trainingMetricsJSON: String?
    var hyperparametersJSON: String?
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
    var aliases: [String]
    var deletedAt: Int64? { nil }

    init(_ row: borrowing Row) throws(PostgresError) {
      id = try row.uuid(0)
      modelID = try row.uuid(1)
      modelName = try row.text(2)
      projectID = try row.uuid(3)
      ordinal = try row.int8(4)
      version = try row.text(5)
      status = try row.text(6)
      statusMessage = try row.text(7)
      stage = try row.text(8)
      source = try row.text(9)
      sourceRunID = try row.uuidOrNil(10)
      sourceRun = try row.text(11)
      runLink = try row.text(12)
      loggedModel = try row.text(13)
      description = try row.text(14)
      userName = try row.text(15)
      requirements = try row.text(16)
      inputSchemaJSON = try row.textOrNil(17)
      outputSchemaJSON = try row.textOrNil(18)
      performanceMetricsJSON = try row.textOrNil(19)
      trainingMetricsJSON = try row.textOrNil(20)
      hyperparametersJSON = try row.textOrNil(21)
      createdBy = try row.uuid(22)
      createdAt = try row.timestamp(23)
      updatedAt = try row.timestamp(24)
      revision = try row.int8(25)
      aliases = try row.texts(26)
    }
  }
}
