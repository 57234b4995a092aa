internal import Messages
internal import Postgres
internal import RPC

/// What experiments are searched by.
enum ExperimentSearch {
  static let schema = SearchSchema(
    table: "experiments as experiment", alias: "experiment",
    columns: """
      experiment.id, experiment.project_id, experiment.name, experiment.description,
          experiment.config, experiment.created_by, experiment.created_at,
          experiment.updated_at, experiment.revision, experiment.archived_at,
          experiment.deleted_at, experiment.purge_after
      """,
    columnCount: 12,
    entities: ["attributes", "attribute", "attr", "experiment"],
    attributes: [
      SearchAttribute(["experiment_id", "id"], "id", .uuid),
      SearchAttribute(["name"], "name", .text),
      SearchAttribute(["creation_time", "Created"], "created_at", .time),
      SearchAttribute(["last_update_time", "Last Updated"], "updated_at", .time),
      SearchAttribute(["project_id"], "project_id", .uuid),
      SearchAttribute(["created_by", "user_id"], "created_by", .uuid),
      SearchAttribute(["archive_time"], "archived_at", .time, isNullable: true),
      SearchAttribute(["delete_time"], "deleted_at", .time, isNullable: true),
    ],
    pairs: [SearchPairs(texts: ["tags", "tag"], "experiment_tags", owner: "experiment_id")])

  /// An experiment as the schema's columns have it.
  struct FoundRow: DeletableExperimentRow {
    var id: UUID
    var projectID: UUID
    var name: String
    var description: String
    var configJSON: String
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
    var archivedAt: Int64?
    var deletedAt: Int64?
    var purgeAfter: Int64?

    init(_ row: borrowing Row) throws(PostgresError) {
      id = try row.uuid(0)
      projectID = try row.uuid(1)
      name = try row.text(2)
      description = try row.text(3)
      configJSON = try row.json(4)
      createdBy = try row.uuid(5)
      createdAt = try row.timestamp(6)
      updatedAt = try row.timestamp(7)
      revision = try row.int8(8)
      archivedAt = try row.timestampOrNil(9)
      deletedAt = try row.timestampOrNil(10)
      purgeAfter = try row.timestampOrNil(11)
    }
  }

  /// Finds a page of experiments.
  static func page(
    _ request: ListExperimentsRequest, _ view: SearchView, projectID: UUID?, size: Int,
    _ call: CallContext
  ) async throws(CallError) -> SearchPage<FoundRow> {
    let visibility = ProjectVisibility(call)
    let (name, includesArchived) = (request.name, request.includeArchived)
    let search = try call.search(
      schema, filter: request.filter, orderBy: request.orderBy, searchReasons
    ) { sql in
      view.add("experiment", to: &sql)
      if !includesArchived { sql.add("\n    and experiment.archived_at is null") }
      if let projectID {
        sql.add("\n    and experiment.project_id = ")
        sql.add(uuid: projectID)
      }
      if !name.isEmpty {
        sql.add("\n    and experiment.name_folded = lower(")
        sql.add(text: name)
        sql.add(")")
      }
      visibility.add("experiment", to: &sql)
    }
    let purpose =
      ([
        "experiment search", projectID?.description ?? "", name, "\(includesArchived)",
        view.rawValue, request.filter,
      ] + request.orderBy).joined(separator: "\u{1f}")
    return try await call.page(
      search, "tracking.searchExperiments", size: size, token: request.pageToken,
      purpose: purpose, searchReasons, id: \.id
    ) { row throws(PostgresError) in try FoundRow(row) }
  }
}
