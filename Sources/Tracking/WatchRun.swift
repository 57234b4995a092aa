internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of watching.
enum WatchBounds {
  /// Chunks that one statement reads.
  static let chunksPerRead: Int64 = 64
  /// Points after which a statement reads no further chunk.
  static let pointsPerRead: Int64 = 50_000
  /// Points in one message.
  static let pointsPerMessage = 25_000
  /// Looks without a change after which the token alone is sent, so that it does not grow old.
  static let quietLooksPerToken = 30
}

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
    var quietLooks = 0
    while true {
      // Who may no longer look is not told of what comes after.
      guard try await call.roleInProject(projectID) != nil else { throw runNotFound(runID) }
      let seen = signal.count
      let changed = try await watch.look { (response) async throws(CallError) in
        try await responses.send(response)
      }
      quietLooks = changed ? 0 : quietLooks + 1
      if quietLooks == WatchBounds.quietLooksPerToken {
        quietLooks = 0
        try await responses.send(watch.message())
      }
      if watch.hasEnded, !request.stay { return }
      try await call.wait(
        for: signal, atMost: ChangeFeed.pollInterval, unless: { signal.count != seen })
    }
  }
}

/// How far one watcher has come: up to a snapshot of the database, which tells exactly which
/// commits it has seen, in whatever order they became visible.
private struct RunWatch {
  let runID: UUID
  let call: CallContext
  private(set) var hasEnded = false

  /// The snapshot that knows no transaction at all.
  private static let beginning = "1:1:"

  private var snapshot = RunWatch.beginning
  /// In the middle of the points between `snapshot` and another: that other, and the last chunk
  /// sent.
  private var position: Position?
  private var clusterID = ""
  /// What was asked to leave out: points of commits that this snapshot sees.
  private var pointsSince: String?

  private struct Position {
    var until: String
    var xid: String
    var chunkID: UUID
  }

  init(runID: UUID, call: CallContext) {
    self.runID = runID
    self.call = call
  }

  private var purpose: String { "watch \(runID)" }

  /// Finds where to begin.
  mutating func begin(_ request: WatchRunRequest) async throws(CallError) {
    let now = try await call.read(MetricsQueries.getSnapshot())
    clusterID = now.clusterID
    if request.resumeToken.isEmpty {
      if request.skipHistory { pointsSince = now.snapshot }
      return
    }
    guard let content = Token.read(request.resumeToken, for: purpose) else {
      throw CallError(
        RpcErrorReason.resumeTokenInvalid,
        "The resume_token is not one that a watch of this run gave.")
    }
    let parts = String(decoding: content, as: UTF8.self).split(separator: " ").map(String.init)
    guard parts.count == 2 || parts.count == 5, parts[0] == clusterID else {
      throw CallError(
        RpcErrorReason.resumeTokenExpired,
        "The resume_token is of another database; begin again without it.")
    }
    snapshot = parts[1]
    if parts.count == 5 {
      position = Position(until: parts[2], xid: parts[3], chunkID: UUID(parts[4]) ?? .zero)
    }
  }

  /// A message that says how far the watcher has come.
  func message() -> WatchRunResponse {
    var content = "\(clusterID) \(snapshot)"
    if let position { content += " \(position.until) \(position.xid) \(position.chunkID)" }
    var response = WatchRunResponse()
    response.resumeToken = Token.make(Array(content.utf8), for: purpose)
    return response
  }

  /// Sends what was committed since the last look; says whether that was anything.
  mutating func look(
    _ send: (WatchRunResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    let now = try await call.read(MetricsQueries.getSnapshot())
    guard now.clusterID == clusterID else {
      throw CallError(
        RpcErrorReason.resumeTokenExpired,
        "The database was replaced by another; begin again without a resume_token.")
    }
    let until = position?.until ?? now.snapshot
    let change = try await call.read(
      MetricsQueries.getRunChange(
        organizationID: call.principal.organizationID, runID: runID, sinceSnapshot: snapshot,
        untilSnapshot: until))
    let epochs = try await call.read(
      MetricsQueries.listEpochsSeen(
        sinceSnapshot: snapshot, organizationID: call.principal.organizationID, runID: runID,
        untilSnapshot: until))
    // Said before the points: what is shadowed is not sent any more.
    var response = message()
    response.epochs = epochs.filter(\.isNew).map { RunEpoch($0) }
    if !response.epochs.isEmpty { try await send(response) }
    let hasSentPoints = try await sendPoints(
      until: until, EpochLimits(epochs.map { ($0.epoch, $0.fromStep) }), send)
    pointsSince = nil
    position = nil
    snapshot = until
    guard change != nil || hasSentPoints || !response.epochs.isEmpty else { return false }
    response = message()
    if let change {
      let record = RunRecord(change)
      hasEnded = record.status.isFinal
      response.run = Run(record, now: WallClock.microseconds())
    }
    try await send(response)
    return true
  }

  /// Sends the points in the order of their commits, each message with the place it ends at.
  private mutating func sendPoints(
    until: String, _ limits: EpochLimits,
    _ send: (WatchRunResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    var place = position ?? Position(until: until, xid: "0", chunkID: .zero)
    var hasSent = false
    while true {
      let rows = try await call.read(
        MetricsQueries.listChunksBetween(
          afterXid: place.xid, sinceSnapshot: pointsSince ?? snapshot,
          pageSize: WatchBounds.chunksPerRead, organizationID: call.principal.organizationID,
          runID: runID, afterID: place.chunkID, untilSnapshot: until,
          pointsMax: WatchBounds.pointsPerRead))
      if rows.contains(where: \.isSplit) {
        throw CallError(
          RpcErrorReason.resumeTokenExpired,
          "Points that the watcher has seen were merged with others meanwhile; begin again "
            + "without a resume_token.")
      }
      var series: [MetricSeries] = []
      var points = 0
      for (index, row) in rows.enumerated() {
        let chunk = MetricChunk(row)
        let visible = chunk.points(before: limits.limit(of: chunk.epoch))
        if !visible.isEmpty { series.append(MetricSeries(row.key, visible, of: chunk.epoch)) }
        points += visible.count
        place = Position(until: until, xid: row.xid, chunkID: row.id)
        guard points >= WatchBounds.pointsPerMessage || index == rows.count - 1 else { continue }
        position = place
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
