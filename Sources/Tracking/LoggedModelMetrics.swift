public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Lists what a logged model was measured by.
  public func listLoggedModelMetrics(
    _ request: ListLoggedModelMetricsRequest, _ call: CallContext
  ) async throws(CallError) -> ListLoggedModelMetricsResponse {
    var validator = Validator()
    let id = validator.id("logged_model_id", request.loggedModelID)
    let size = validator.pageSize(
      request.pageSize, standard: LoggedModelBounds.metricPageSize,
      max: LoggedModelBounds.metricPageSizeMax)
    try validator.finish()
    let purpose = "logged model metrics \(id)"
    let place = try LoggedModelMetricPlace(request.pageToken, for: purpose)
    _ = try await loggedModel(id, includesDeleted: request.includeDeleted, call)
    let rows = try await call.read(
      LoggedModelMetricsQueries.listLoggedModelMetrics(
        organizationID: call.principal.organizationID, loggedModelID: id, afterKey: place.key,
        afterTimeUs: place.timeUs, afterStep: place.step, afterRunID: place.runID,
        afterDatasetName: place.datasetName, afterDatasetDigest: place.datasetDigest,
        pageSize: Int64(size) + 1))
    var response = ListLoggedModelMetricsResponse()
    response.metrics = rows.prefix(size).map { LoggedModelMetric($0) }
    if rows.count > size, let last = rows.prefix(size).last {
      response.nextPageToken = LoggedModelMetricPlace(last).token(for: purpose)
    }
    return response
  }
}

/// Where a page of a logged model's metrics begins: behind this row.
private struct LoggedModelMetricPlace {
  var key = ""
  var timeUs: Int64 = 0
  var step: Int64 = 0
  var runID = UUID.zero
  var datasetName = ""
  var datasetDigest = ""

  /// What none of the texts has in it, so that it can stand between them.
  private static let separator: Character = "\u{1f}"

  init(_ row: some LoggedModelMetricRow) {
    key = row.key
    timeUs = row.timeUs
    step = row.step
    runID = row.runID
    datasetName = row.datasetName
    datasetDigest = row.datasetDigest
  }

  /// Reads a token; before the first row where it is empty.
  init(_ token: String, for purpose: String) throws(CallError) {
    if token.isEmpty { return }
    let parts = Token.readText(token, for: purpose)?.split(
      separator: LoggedModelMetricPlace.separator, omittingEmptySubsequences: false)
    guard let parts, parts.count == 6, let timeUs = Int64(parts[1]), let step = Int64(parts[2]),
      let runID = UUID(String(parts[3]))
    else { throw pageTokenInvalid() }
    key = String(parts[0])
    self.timeUs = timeUs
    self.step = step
    self.runID = runID
    datasetName = String(parts[4])
    datasetDigest = String(parts[5])
  }

  func token(for purpose: String) -> String {
    let parts = [
      key, String(timeUs), String(step), runID.description, datasetName, datasetDigest,
    ]
    return Token.make(
      Array(parts.joined(separator: String(LoggedModelMetricPlace.separator)).utf8), for: purpose)
  }
}

/// Points that measure logged models, in columns.
struct LoggedModelPoints {
  private(set) var columns: [MetricColumns] = []
  private var modelIDs: [UUID] = []
  private var datasets: [(name: String, digest: String)] = []

  var isEmpty: Bool { columns.isEmpty }
  /// The models, each once.
  var ids: [UUID] { Array(Set(modelIDs)).sorted { $0.description < $1.description } }
  var count: Int { columns.reduce(0) { $0 + $1.steps.count } }

  /// Reads the series of a batch, and notes every field that is bad.
  init(
    _ all: [LoggedModelSeries], of runID: UUID, receivedAt now: Int64,
    _ validator: inout Validator
  ) {
    guard all.count <= LoggedModelBounds.seriesMax else {
      validator.refuse(
        "model_series", "must be at most \(LoggedModelBounds.seriesMax), are \(all.count)")
      return
    }
    for (index, one) in all.enumerated() {
      let field = "model_series[\(index)]"
      modelIDs.append(validator.id("\(field).logged_model_id", one.loggedModelID))
      validator.dataset(
        one.datasetName, digest: one.datasetDigest, "\(field).dataset_name",
        "\(field).dataset_digest")
      if one.datasetName.isEmpty, !one.datasetDigest.isEmpty {
        validator.refuse("\(field).dataset_digest", "must be empty without dataset_name")
      }
      datasets.append((one.datasetName, one.datasetDigest))
      columns.append(
        MetricColumns.read(
          one.series ?? MetricSeries(), of: runID, at: "\(field).series", receivedAt: now,
          &validator))
    }
  }

  /// Adds the statements that keep the points with the models, of a run in a project.
  func write(
    of runID: UUID, in projectID: UUID, _ batch: inout Batch, _ call: CallContext
  ) {
    guard !isEmpty else { return }
    let organizationID = call.principal.organizationID
    batch.add(
      LoggedModelMetricsQueries.requireLoggedModels(
        organizationID: organizationID, projectID: projectID, ids: ids))
    func repeated<Value>(_ values: [Value]) -> [Value] {
      zip(values, columns).flatMap { Array(repeating: $0, count: $1.steps.count) }
    }
    batch.add(
      LoggedModelMetricsQueries.writeLoggedModelMetrics(
        organizationID: organizationID, runID: runID, loggedModelIDs: repeated(modelIDs),
        keys: repeated(columns.map(\.key)), timesUs: columns.flatMap(\.timesUs),
        steps: columns.flatMap(\.steps), datasetNames: repeated(datasets.map(\.name)),
        datasetDigests: repeated(datasets.map(\.digest)),
        pointValues: columns.flatMap(\.values)))
    batch.add(
      LoggedModelMetricsQueries.requireLoggedModelMetricRoom(
        metricsMax: LoggedModelBounds.metricsMax, organizationID: organizationID, ids: ids))
  }
}

/// What every statement returns of a logged model's metric.
protocol LoggedModelMetricRow {
  var key: String { get }
  var timeUs: Int64 { get }
  var step: Int64 { get }
  var runID: UUID { get }
  var datasetName: String { get }
  var datasetDigest: String { get }
  var value: Double { get }
}

extension LoggedModelMetricsQueries.ListLoggedModelMetricsRow: LoggedModelMetricRow {}
extension LoggedModelMetricsQueries.ListFoundLoggedModelMetricsRow: LoggedModelMetricRow {}

extension LoggedModelMetric {
  /// A metric as a statement returned it.
  init(_ row: some LoggedModelMetricRow) {
    self.init()
    key = row.key
    timeUs = row.timeUs
    step = row.step
    value = row.value
    runID = row.runID.description
    datasetName = row.datasetName
    datasetDigest = row.datasetDigest
  }
}
