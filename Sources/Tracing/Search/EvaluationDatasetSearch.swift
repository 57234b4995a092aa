public import Messages
internal import Postgres
public import RPC

/// What evaluation datasets are searched by.
enum EvaluationDatasetSearch {
  /// The newest first.
  static let standardOrder = ["created_time DESC"]

  static let schema = SearchSchema(
    table: "evaluation_datasets as dataset", alias: "dataset", columns: "dataset.id",
    columnCount: 1, entities: ["attributes", "attribute", "attr", "dataset"],
    attributes: [
      SearchAttribute(["dataset_id"], "id", .uuid),
      SearchAttribute(["name"], "name", .text),
      SearchAttribute(["created_time", "create_time"], "create_time_ms", .integer),
      SearchAttribute(["last_update_time", "update_time"], "update_time_ms", .integer),
      SearchAttribute(["created_by", "author"], "author", .text, isNullable: true),
      SearchAttribute(["last_updated_by", "last_author"], "last_author", .text, isNullable: true),
      SearchAttribute(["record_count"], "record_count", .integer),
    ],
    pairs: [
      SearchPairs(
        texts: ["tags", "tag"], "evaluation_dataset_tags", owner: "evaluation_dataset_id")
    ])

  /// Bounds a search to a project, and to datasets that are used in one of these experiments.
  static func restriction(
    _ call: CallContext, _ projectID: UUID, _ experimentIDs: [UUID]
  ) -> @Sendable (inout ComposedStatement) -> Void {
    let organizationID = call.principal.organizationID
    return { sql in
      sql.add("\n    and dataset.project_id = ")
      sql.add(uuid: projectID)
      guard !experimentIDs.isEmpty else { return }
      sql.add("\n    and exists (select from evaluation_dataset_experiments as link")
      sql.add(" where link.organization_id = ")
      sql.add(uuid: organizationID)
      sql.add(" and link.evaluation_dataset_id = dataset.id and link.experiment_id = any(")
      sql.add(uuids: experimentIDs)
      sql.add("))")
    }
  }
}

extension TracingService {
  /// Finds evaluation datasets by a filter, in any order.
  public func searchEvaluationDatasets(
    _ request: SearchEvaluationDatasetsRequest, _ call: CallContext
  ) async throws(CallError) -> SearchEvaluationDatasetsResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentIDs = validator.evaluationIDs(
      "experiment_ids", request.experimentIDs, count: 0...TraceBounds.experimentIDsMax)
    let size = validator.pageSize(
      request.pageSize, standard: EvaluationBounds.pageSize, max: EvaluationBounds.pageSizeMax)
    try validator.finish()
    try await requireLook(at: projectID, call)

    let search = try call.search(
      EvaluationDatasetSearch.schema, filter: request.filter,
      orderBy: request.orderBy.isEmpty ? EvaluationDatasetSearch.standardOrder : request.orderBy,
      isNarrow: true, TraceSearch.reasons,
      restriction: EvaluationDatasetSearch.restriction(call, projectID, experimentIDs))
    let purpose =
      ([
        "evaluation dataset search", projectID.description,
        experimentIDs.map(\.description).joined(separator: " "), request.filter,
      ] + request.orderBy).joined(separator: "\u{1f}")
    let page = try await call.page(
      search, "tracing.searchEvaluationDatasets", size: size, token: request.pageToken,
      purpose: purpose, TraceSearch.reasons, id: \.self
    ) { row throws(PostgresError) in try row.uuid(0) }
    let rows = try await call.read(query(page.values, in: projectID, call))
    var response = SearchEvaluationDatasetsResponse()
    response.datasets = rows.map { EvaluationDataset($0) }
    // One that was deleted meanwhile is passed over.
    let last = rows.last.flatMap { page.values.lastIndex(of: $0.id) }
    let isCut = (rows.last?.bytes ?? 0) > TraceBounds.pageBytesMax
    response.nextPageToken = page.next(after: isCut ? (last ?? 0) + 1 : page.values.count)
    return response
  }
}
