internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// The run as it is, then every change and every committed point, each once.
  public func watchRun(
    _ request: WatchRunRequest, _ responses: ResponseStream<WatchRunResponse>,
    _ call: CallContext
  ) async throws(CallError) {
    var validator = Validator()
    let runID = validator.id("run_id", request.runID)
    try validator.finish()
    let projectID = try await run(runID, call).projectID

    let signal = call.feed.join(runID)
    defer { call.feed.leave(runID) }
    var watch = RunWatch(runID: runID, call: call)
    try await watch.begin(request)
    try await watch.follow(
      signal, in: projectID, unseen: runNotFound(runID), stay: request.stay, responses, call)
  }
}

/// How far one watcher of a run has come.
private struct RunWatch: Watch {
  let runID: UUID
  let call: CallContext
  private(set) var hasEnded = false
  private var cursor: WatchCursor
  /// What was asked to leave out: points of commits that this snapshot sees.
  private var skippedTo: String?

  /// The last chunk sent.
  private struct Place {
    var xid = "0"
    var chunkID = UUID.zero

    var words: [String] { [xid, chunkID.description] }
  }

  init(runID: UUID, call: CallContext) {
    self.runID = runID
    self.call = call
    cursor = WatchCursor("watch \(runID)", of: "this run", call)
  }

  /// Finds where to begin.
  mutating func begin(_ request: WatchRunRequest) async throws(CallError) {
    let now = try await cursor.begin(request.resumeToken, place: [.transaction, .id])
    if let now {
      if request.skipHistory { skippedTo = now }
      return
    }
    // Whoever has seen the end already is not left waiting for it.
    let seen = try await change(since: WatchCursor.beginning, until: cursor.snapshot)
    hasEnded = seen.map { RunRecord($0).status.isFinal } ?? false
  }

  func message() -> WatchRunResponse {
    var response = WatchRunResponse()
    response.resumeToken = cursor.token
    return response
  }

  private func change(
    since: String, until: String
  ) async throws(CallError) -> MetricsQueries.GetRunChangeRow? {
    try await call.read(
      MetricsQueries.getRunChange(
        organizationID: call.principal.organizationID, runID: runID, sinceSnapshot: since,
        untilSnapshot: until))
  }

  mutating func look(
    _ send: (WatchRunResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    let hasToldRun = try await skip(send)
    let until = try await cursor.next()
    let change = try await change(since: cursor.snapshot, until: until)
    let epochs = try await epochs(until: until)
    // Said before the points: what is shadowed is not sent any more.
    var response = message()
    response.epochs = epochs.filter(\.isNew).map { RunEpoch($0) }
    if !response.epochs.isEmpty { try await send(response) }
    let hasSentPoints = try await sendPoints(
      until: until, EpochLimits(epochs.map { ($0.epoch, $0.fromStep) }), send)
    cursor.reach(until)
    guard change != nil || hasSentPoints || !response.epochs.isEmpty else { return hasToldRun }
    response = message()
    if let change { response.run = run(change) }
    try await send(response)
    return true
  }

  /// Sends the run and its epochs as they were when it was asked to leave out the points, in one
  /// message: whoever resumes behind it has both, and the points left out are in its token.
  private mutating func skip(
    _ send: (WatchRunResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    guard let now = skippedTo else { return false }
    skippedTo = nil
    let change = try await change(since: WatchCursor.beginning, until: now)
    let epochs = try await epochs(until: now)
    cursor.reach(now)
    guard let change else { return false }
    var response = message()
    response.run = run(change)
    response.epochs = epochs.map { RunEpoch($0) }
    try await send(response)
    return true
  }

  private func epochs(
    until: String
  ) async throws(CallError) -> [MetricsQueries.ListEpochsSeenRow] {
    try await call.read(
      MetricsQueries.listEpochsSeen(
        sinceSnapshot: cursor.snapshot, organizationID: call.principal.organizationID,
        runID: runID, untilSnapshot: until))
  }

  private mutating func run(_ change: MetricsQueries.GetRunChangeRow) -> Run {
    let record = RunRecord(change)
    hasEnded = record.status.isFinal
    return Run(record, now: WallClock.microseconds())
  }

  /// Sends the points in the order of their commits, each message with the place it ends at.
  private mutating func sendPoints(
    until: String, _ limits: EpochLimits,
    _ send: (WatchRunResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    var place = Place()
    if let words = cursor.place?.words {
      place = Place(xid: words[0], chunkID: UUID(words[1]) ?? .zero)
    }
    var hasSent = false
    while true {
      let rows = try await call.read(
        MetricsQueries.listChunksBetween(
          afterXid: place.xid, untilSnapshot: until,
          sinceSnapshot: cursor.snapshot, pageSize: WatchBounds.chunksPerRead,
          organizationID: call.principal.organizationID, runID: runID, afterID: place.chunkID,
          pointsMax: WatchBounds.pointsPerRead))
      if rows.contains(where: \.isSplit) { throw pointsMerged() }
      var series: [MetricSeries] = []
      var points = 0
      for (index, row) in rows.enumerated() {
        let chunk = MetricChunk(row)
        let visible = chunk.points(before: limits.limit(of: chunk.epoch))
        if !visible.isEmpty { series.append(MetricSeries(row.key, visible, of: chunk.epoch)) }
        points += visible.count
        place = Place(xid: row.xid, chunkID: row.id)
        guard points >= WatchBounds.pointsPerMessage || index == rows.count - 1 else { continue }
        cursor.arrive(at: place.words, before: until)
        guard !series.isEmpty else { continue }
        var response = message()
        response.series = series
        try await send(response)
        hasSent = true
        series = []
        points = 0
      }
      guard rows.last?.isLast == false else { return hasSent }
    }
  }
}
