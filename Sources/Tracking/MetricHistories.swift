public import Messages
internal import Postgres
public import RPC

/// The bounds of reading several metrics of several runs.
enum HistoriesBounds {
  static let runsMax = 100
  static let keysMax = 100
}

extension TrackingService {
  /// All points of several metrics of several runs, from a step on.
  public func streamMetricHistories(
    _ request: StreamMetricHistoriesRequest,
    _ responses: ResponseStream<StreamMetricHistoriesResponse>, _ call: CallContext
  ) async throws(CallError) {
    let runs = try HistoriesRequest.runs(request)
    let rows = try await call.read(
      WatchExperimentQueries.listProjectsOfRuns(
        runIDs: runs, organizationID: call.principal.organizationID,
        includeDeleted: request.includeDeleted))
    let projects = Dictionary(rows.map { ($0.id, $0.projectID) }) { first, _ in first }
    // All are looked for before the first point is sent.
    for run in runs { try await require(run, in: projects[run], call) }

    let fromStep = request.fromStep ?? .min
    let sources = request.skipsInherited ? [:] : try await forkSources(of: runs, call)
    for run in runs {
      guard let projectID = projects[run] else { throw runNotFound(run) }
      let lineage = try await lineage(
        of: run, in: projectID, from: sources[run] ?? [], call)
      for key in request.keys {
        var reader = try await lineageReader(
          of: key, lineage, fromStep: fromStep, after: nil, includesShadowed: false, call)
        var axis = try await axis(request.xKey, of: key, lineage, fromStep: fromStep, call)
        var isTold = !lineage.lacksRuns
        while let points = try await reader.next() {
          try await require(lineage, call)
          for series in try await axis.series(of: points, from: fromStep) {
            var response = StreamMetricHistoriesResponse()
            response.runID = run.description
            response.series = series
            response.lacksInherited = lineage.lacksRuns
            try await responses.send(response)
            isTold = true
          }
        }
        if !isTold {
          var response = StreamMetricHistoriesResponse()
          response.runID = run.description
          response.series = MetricSeries(key, [])
          response.lacksInherited = true
          try await responses.send(response)
        }
      }
    }
  }

  /// Demands that there is a run, in a project that the caller sees.
  private func require(
    _ run: UUID, in projectID: UUID?, _ call: CallContext
  ) async throws(CallError) {
    guard let projectID, try await call.roleInProject(projectID) != nil else {
      throw runNotFound(run)
    }
  }
}

private enum HistoriesRequest {
  /// The runs of a request, which is checked.
  static func runs(_ request: StreamMetricHistoriesRequest) throws(CallError) -> [UUID] {
    var validator = Validator()
    var runs: [UUID] = []
    if !(1...HistoriesBounds.runsMax).contains(request.runIDs.count) {
      validator.refuse(
        "run_ids", "must be 1 to \(HistoriesBounds.runsMax), are \(request.runIDs.count)")
    }
    for (index, text) in request.runIDs.prefix(HistoriesBounds.runsMax).enumerated() {
      let run = validator.id("run_ids[\(index)]", text)
      if runs.contains(run) { validator.refuse("run_ids[\(index)]", "comes twice") }
      runs.append(run)
    }
    if request.keys.isEmpty { validator.refuse("keys", "must not be empty") }
    validator.keys("keys", request.keys, max: HistoriesBounds.keysMax)
    validator.xKey(request.xKey, includesShadowed: false)
    try validator.finish()
    return runs
  }
}
