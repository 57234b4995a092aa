public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Lists the epochs of a run, by number.
  public func listRunEpochs(
    _ request: ListRunEpochsRequest, _ call: CallContext
  ) async throws(CallError) -> ListRunEpochsResponse {
    var validator = Validator()
    let runID = validator.id("run_id", request.runID)
    let size = validator.pageSize(
      request.pageSize, standard: EpochBounds.page, max: EpochBounds.pageMax)
    try validator.finish()
    let purpose = "epochs \(runID)"
    var after: Int64 = 0
    if !request.pageToken.isEmpty {
      guard let content = Token.read(request.pageToken, for: purpose),
        let epoch = Int64(String(decoding: content, as: UTF8.self))
      else { throw pageTokenInvalid() }
      after = epoch
    }
    _ = try await run(runID, call)
    let organizationID = call.principal.organizationID
    let rows = try await call.read(
      MetricsQueries.listEpochs(
        organizationID: organizationID, runID: runID, afterEpoch: after,
        pageSize: Int64(size) + 1))
    let current = try await call.read(
      MetricsQueries.getCurrentEpoch(organizationID: organizationID, runID: runID))
    var response = ListRunEpochsResponse()
    response.epochs = rows.prefix(size).map { RunEpoch($0) }
    response.currentEpoch = UInt64(clamping: current)
    if rows.count > size {
      response.nextPageToken = Token.make(
        Array(String(rows[size - 1].epoch).utf8), for: purpose)
    }
    return response
  }

  /// Which points of a run later epochs shadow, as it is now.
  func epochLimits(
    of runID: UUID, _ call: CallContext
  ) async throws(CallError) -> EpochLimits {
    let rows = try await call.read(
      MetricsQueries.listEpochs(
        organizationID: call.principal.organizationID, runID: runID, afterEpoch: 0,
        pageSize: EpochBounds.max))
    return EpochLimits(rows.map { ($0.epoch, $0.fromStep) })
  }
}

extension RunEpoch {
  private init(_ epoch: Int64, _ fromStep: Int64, _ writerID: UUID, _ openedAt: Int64) {
    self.init()
    self.epoch = UInt64(clamping: epoch)
    self.fromStep = fromStep
    self.writerID = writerID.description
    self.openedAt = Timestamp(microseconds: openedAt)
  }

  init(_ row: MetricsQueries.ListEpochsRow) {
    self.init(row.epoch, row.fromStep, row.writerID, row.openedAt)
  }

  init(_ row: MetricsQueries.ListEpochsSeenRow) {
    self.init(row.epoch, row.fromStep, row.writerID, row.openedAt)
  }

  init(_ row: WatchExperimentQueries.ListEpochsOfRunsRow) {
    self.init(row.epoch, row.fromStep, row.writerID, row.openedAt)
  }
}
