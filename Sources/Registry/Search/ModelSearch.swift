internal import Messages
internal import Postgres
internal import RPC

/// What models are searched by.
enum ModelSearch {
  static let schema = SearchSchema(
    table: "models as model", alias: "model",
    columns: """
      model.id, model.project_id, model.name, model.description, model.metadata,
          model.model_type, model.framework, model.task_type, model.last_ordinal,
          model.created_by, model.created_at, model.updated_at, model.revision
      """,
    columnCount: 13,
    entities: ["attributes", "attribute", "attr", "model"],
    attributes: [
      SearchAttribute(["model_id", "id"], "id", .uuid),
      SearchAttribute(["name"], "name", .text),
      SearchAttribute(["creation_timestamp", "creation_time"], "created_at", .time),
      SearchAttribute(["last_updated_timestamp", "last_update_time"], "updated_at", .time),
      SearchAttribute(["model_type"], "model_type", .text),
      SearchAttribute(["framework"], "framework", .text),
      SearchAttribute(["task_type"], "task_type", .text),
      SearchAttribute(["project_id"], "project_id", .uuid),
      SearchAttribute(["created_by", "user_id"], "created_by", .uuid),
    ],
    pairs: [SearchPairs(texts: ["tags", "tag"], "model_tags", owner: "model_id")])

  /// Finds a page of models.
  static func page(
    _ request: ListModelsRequest, projectID: UUID?, size: Int, _ call: CallContext
  ) async throws(CallError) -> SearchPage<ModelRecord> {
    let visibility = ProjectVisibility(call)
    let search = try call.search(
      schema, filter: request.filter, orderBy: request.orderBy, searchReasons
    ) { sql in
      sql.add("\n    and model.deleted_at is null")
      if let projectID {
        sql.add("\n    and model.project_id = ")
        sql.add(uuid: projectID)
      }
      visibility.add("model", to: &sql)
    }
    let purpose =
      (["model search", projectID?.description ?? "", request.filter] + request.orderBy)
      .joined(separator: "\u{1f}")
    return try await call.page(
      search, "registry.searchModels", size: size, token: request.pageToken, purpose: purpose,
      searchReasons, id: \.id
    ) { row throws(PostgresError) in
      ModelRecord(
        id: try row.uuid(0), projectID: try row.uuid(1), name: try row.text(2),
        description: try row.text(3), metadataJSON: try row.json(4), modelType: try row.text(5),
        framework: try row.text(6), taskType: try row.text(7), lastOrdinal: try row.int8(8),
        createdBy: try row.uuid(9), createdAt: try row.timestamp(10),
        updatedAt: try row.timestamp(11), revision: try row.int8(12))
    }
  }
}
