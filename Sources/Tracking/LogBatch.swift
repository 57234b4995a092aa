internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Writes parameters, tags and points of one run, all or nothing.
  public func logBatch(
    _ request: LogBatchRequest, _ call: CallContext
  ) async throws(CallError) -> LogBatchResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let wanted = RunDescription(
      tags: validator.runTags(request.tags), parameters: validator.parameters(request.parameters),
      anyStatus: request.anyStatus)
    let now = WallClock.microseconds()
    let measured = LoggedModelPoints(request.modelSeries, of: id, receivedAt: now, &validator)
    let columns =
      MetricColumns.read(request.series, of: id, at: "series", receivedAt: now, &validator)
      + measured.columns
    let points = columns.reduce(0) { $0 + $1.steps.count }
    if points > MetricBounds.batchPointsMax {
      validator.refuse(
        "series", "must hold at most \(MetricBounds.batchPointsMax) points, hold \(points)")
    }
    if wanted.tags.isEmpty, wanted.parameters.isEmpty, columns.isEmpty {
      validator.refuse("series", "must hold something, or parameters or tags must")
    }
    try validator.finish()

    return try await describe(id, wanted, call) { (row, batch) throws(CallError) in
      let tags = try wanted.tagChange(row)
      write(tags, of: id, &batch, call)
      var parameters: DescriptionChange?
      if !wanted.parameters.isEmpty {
        let change = try wanted.parameterChange(row, id)
        write(parameters: change, of: id, &batch, call)
        parameters = change
      }
      if !columns.isEmpty {
        let current = columns.map { column in
          var column = column
          column.epoch = row.metricEpoch
          return column
        }
        // The run is held already, and the caller's role in its project was decided.
        if request.anyStatus {
          MetricGroup.write(current, &batch, call)
        } else {
          MetricGroup.store(current, &batch, call)
        }
        measured.write(of: id, in: row.projectID, &batch, call)
      }
      var more = columns.isEmpty ? [] : [("points", String(points))]
      if !measured.isEmpty { more.append(("model_points", String(measured.count))) }
      var change = wanted.change(
        "log_batch", "batch_logged", id, row, tags: tags, parameters: parameters, more: more)
      change.alsoChanged = Set(measured.ids)
      return (LogBatchResponse(), change)
    }
  }
}
