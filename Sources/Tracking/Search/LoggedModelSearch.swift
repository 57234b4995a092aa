internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// What logged models are searched by.
enum LoggedModelSearch {
  static let schema = SearchSchema(
    table: "logged_models as model", alias: "model",
    columns: """
      model.id, model.experiment_id, model.project_id, model.name, model.model_type, model.status,
          model.status_message, model.source_run_id, model.created_by, model.created_at,
          model.updated_at, model.revision, model.deleted_at, model.purge_after
      """,
    columnCount: 14,
    entities: ["attributes", "attribute", "attr", "model"],
    attributes: [
      SearchAttribute(["model_id", "id"], "id", .uuid),
      SearchAttribute(["name", "model_name"], "name", .text),
      SearchAttribute(["model_type"], "model_type", .text),
      SearchAttribute(
        ["status"], "status", .word(aliases: [:], all: ["PENDING", "READY", "FAILED"])),
      SearchAttribute(
        ["creation_timestamp", "creation_time", "creation_timestamp_ms"], "created_at", .time),
      SearchAttribute(
        ["last_updated_timestamp", "last_update_time", "last_updated_timestamp_ms"], "updated_at",
        .time),
      SearchAttribute(["source_run_id"], "source_run_id", .uuid, isNullable: true),
      SearchAttribute(["experiment_id"], "experiment_id", .uuid),
      SearchAttribute(["project_id"], "project_id", .uuid),
      SearchAttribute(["created_by", "user_id"], "created_by", .uuid),
      SearchAttribute(["delete_time"], "deleted_at", .time, isNullable: true),
    ],
    pairs: [
      SearchPairs(
        series: ["metrics", "metric"], "logged_model_metrics", owner: "logged_model_id",
        value: "value",
        SearchSeries(
          qualifiers: ["dataset_name", "dataset_digest"],
          lastBy: ["time_us", "step", "run_id", "dataset_name", "dataset_digest"])),
      SearchPairs(
        texts: ["params", "param", "parameters", "parameter"], "logged_model_parameters",
        owner: "logged_model_id"),
      SearchPairs(texts: ["tags", "tag"], "logged_model_tags", owner: "logged_model_id"),
    ])

  /// The place of metrics among the pairs.
  private static let metrics = 0

  /// Whether a filter looks at metrics.
  static func namesMetrics(_ filter: String) -> Bool {
    let condition = try? SearchParser.filter(filter, schema)
    return condition?.names(pairs: metrics) ?? false
  }

  /// Adds what bounds a search for logged models.
  static func restriction(
    _ call: CallContext, _ bounds: RunBoundary, measuredOn datasets: [LoggedModelDataset]
  ) -> @Sendable (inout ComposedStatement) -> Void {
    let visibility = ProjectVisibility(call)
    return { sql in
      addView(bounds.view, to: &sql)
      if let projectID = bounds.projectID {
        sql.add("\n    and model.project_id = ")
        sql.add(uuid: projectID)
      }
      sql.addExperiments(bounds.experimentIDs, of: "model")
      visibility.add("model", to: &sql)
      addMeasured(datasets, to: &sql)
    }
  }

  /// A model that is not deleted can be of a deleted experiment, and is as good as deleted then.
  private static func addView(_ view: SearchView, to sql: inout ComposedStatement) {
    guard view != .all else { return }
    sql.add(view == .live ? "\n    and (" : "\n    and not (")
    sql.add(
      """
      model.deleted_at is null and exists (
              select from experiments as experiment
              where
                  experiment.organization_id = model.organization_id
                  and experiment.id = model.experiment_id
                  and experiment.deleted_at is null
          ))
      """)
  }

  private static func addMeasured(
    _ datasets: [LoggedModelDataset], to sql: inout ComposedStatement
  ) {
    guard !datasets.isEmpty else { return }
    sql.add(
      """

          and exists (
              select from logged_model_metrics as point
              where
                  point.organization_id = model.organization_id
                  and point.logged_model_id = model.id
                  and (
      """)
    for (index, dataset) in datasets.enumerated() {
      sql.add(index == 0 ? "(true" : " or (true")
      if !dataset.name.isEmpty {
        sql.add(" and point.dataset_name = ")
        sql.add(text: dataset.name)
      }
      if !dataset.digest.isEmpty {
        sql.add(" and point.dataset_digest = ")
        sql.add(text: dataset.digest)
      }
      sql.add(")")
    }
    sql.add("))")
  }

  /// Reads a model as the schema's columns have it.
  static func read(_ row: borrowing Row) throws(PostgresError) -> LoggedModelRecord {
    LoggedModelRecord(
      id: try row.uuid(0), experimentID: try row.uuid(1), projectID: try row.uuid(2),
      name: try row.text(3), modelType: try row.text(4), status: try row.text(5),
      statusMessage: try row.text(6), sourceRunID: try row.uuidOrNil(7),
      createdBy: try row.uuid(8), createdAt: try row.timestamp(9),
      updatedAt: try row.timestamp(10), revision: try row.int8(11),
      deletedAt: try row.timestampOrNil(12), purgeAfter: try row.timestampOrNil(13))
  }
}

extension TrackingService {
  /// Finds logged models by a filter, in any order, with their tags, parameters and metrics.
  public func searchLoggedModels(
    _ request: SearchLoggedModelsRequest, _ call: CallContext
  ) async throws(CallError) -> SearchLoggedModelsResponse {
    var validator = Validator()
    let bounds = RunBoundary(
      request.projectID, request.experimentIDs, includesArchived: true, request.view, &validator)
    let size = validator.pageSize(
      request.pageSize, standard: LoggedModelBounds.pageSize, max: LoggedModelBounds.pageSizeMax)
    if request.datasets.count > LoggedModelBounds.datasetsMax {
      validator.refuse(
        "datasets",
        "must be at most \(LoggedModelBounds.datasetsMax), are \(request.datasets.count)")
    }
    let qualifiers = request.datasets.prefix(LoggedModelBounds.datasetsMax).enumerated().map {
      validator.qualifier("datasets[\($0)]", $1)
    }
    let order = request.orderBy.prefix(SearchBounds.orderFieldsMax + 1).enumerated().map {
      (index, field) in
      SearchOrderField(
        field.field,
        field.dataset.map { validator.qualifier("order_by[\(index)].dataset", $0) })
    }
    try validator.finish()
    // Without a metric in it, the filter is not what asks for the datasets.
    let namesMetrics = LoggedModelSearch.namesMetrics(request.filter)
    let search = try call.search(
      LoggedModelSearch.schema, filter: request.filter, order: order, at: ".field",
      qualifiers: qualifiers,
      isNarrow: bounds.isNarrow || bounds.view == .deleted || !call.seesAllProjects, searchReasons,
      restriction: LoggedModelSearch.restriction(
        call, bounds, measuredOn: namesMetrics ? [] : request.datasets))
    let page = try await call.page(
      search, "tracking.searchLoggedModels", size: size, token: request.pageToken,
      purpose: purpose(request, bounds), searchReasons, id: \.id
    ) { row throws(PostgresError) in try LoggedModelSearch.read(row) }

    var found = FoundLoggedModels(page.values)
    try await found.complete(call)
    var response = SearchLoggedModelsResponse()
    response.models = found.models
    response.nextPageToken = page.next(after: found.models.count)
    return response
  }

  /// What a page token of the search is good for.
  private func purpose(_ request: SearchLoggedModelsRequest, _ bounds: RunBoundary) -> String {
    func texts(_ dataset: LoggedModelDataset) -> [String] { [dataset.name, dataset.digest] }
    let parts =
      ["logged model search", bounds.purpose, request.filter, "\(request.datasets.count)"]
      + request.datasets.flatMap(texts)
      + request.orderBy.flatMap { [$0.field] + ($0.dataset.map(texts) ?? ["-"]) }
    return parts.joined(separator: "\u{1f}")
  }
}

extension LoggedModelsQueries.ListFoundLoggedModelTagsRow: FoundTextsRow {
  var ownerID: UUID { loggedModelID }
}
extension LoggedModelsQueries.ListFoundLoggedModelParametersRow: FoundTextsRow {
  var ownerID: UUID { loggedModelID }
}
extension LoggedModelMetricsQueries.ListFoundLoggedModelMetricsRow: FoundRow {
  var ownerID: UUID { loggedModelID }
}

/// The logged models of a page with what belongs to them; as many as an answer has room for.
struct FoundLoggedModels {
  private var all: [LoggedModel]
  private var places: FoundPlaces

  init(_ records: [LoggedModelRecord]) {
    all = records.map { LoggedModel($0) }
    places = FoundPlaces(records.map(\.id))
    for record in records {
      let texts = [record.name, record.modelType, record.statusMessage]
      let bytes = texts.reduce(LoggedModelBounds.ownBytes) { $0 + $1.utf8.count }
      _ = places.place(record.id, 0, own: Int64(bytes))
    }
  }

  /// Those that are complete.
  var models: [LoggedModel] { Array(all.prefix(places.count)) }

  /// Reads tags, parameters and metrics.
  mutating func complete(_ call: CallContext) async throws(CallError) {
    guard !places.ids.isEmpty else { return }
    let (ids, organizationID) = (places.ids, call.principal.organizationID)
    let bytesMax = RunSearchBounds.includedBytesMax
    var batch = Batch()
    let tags = batch.add(
      LoggedModelsQueries.listFoundLoggedModelTags(
        bytesMax: bytesMax, loggedModelIDs: ids, organizationID: organizationID))
    let parameters = batch.add(
      LoggedModelsQueries.listFoundLoggedModelParameters(
        bytesMax: bytesMax, loggedModelIDs: ids, organizationID: organizationID))
    // One more than come along tells whether there are more.
    let metrics = batch.add(
      LoggedModelMetricsQueries.listFoundLoggedModelMetrics(
        loggedModelIDs: ids, organizationID: organizationID,
        perModel: Int64(LoggedModelBounds.metricsAlong) + 1, bytesMax: bytesMax))
    try await call.read(batch)
    for (place, row) in places.fitting(tags.value) { all[place].tags = row.tags }
    for (place, row) in places.fitting(parameters.value) { all[place].parameters = row.parameters }
    for (place, row) in places.fitting(metrics.value) {
      if all[place].metrics.count == LoggedModelBounds.metricsAlong {
        all[place].hasMoreMetrics = true
      } else {
        all[place].metrics.append(LoggedModelMetric(row))
      }
    }
    try places.finish("logged model")
  }
}
