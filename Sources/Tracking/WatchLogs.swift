internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// The log lines that there are, then every committed one, each once.
  public func watchLogs(
    _ request: WatchLogsRequest, _ responses: ResponseStream<WatchLogsResponse>,
    _ call: CallContext
  ) async throws(CallError) {
    var validator = Validator()
    let runID = validator.id("run_id", request.runID)
    let choice = LogChoice.read(request.filter, &validator)
    try validator.finish()
    let projectID = try await run(runID, call).projectID

    let signal = call.feed.join(runID)
    defer { call.feed.leave(runID) }
    var watch = LogWatch(runID: runID, choice: choice, call: call)
    try await watch.begin(request)
    var quietLooks = 0
    while true {
      // Who may no longer look is not told of what comes after.
      guard try await call.roleInProject(projectID) != nil else { throw runNotFound(runID) }
      let seen = signal.count
      let hasSent = try await watch.look { (response) async throws(CallError) in
        try await responses.send(response)
      }
      let isLast = watch.hasEnded && !request.stay
      quietLooks = hasSent ? 0 : quietLooks + 1
      if quietLooks == WatchBounds.quietLooksPerToken || (isLast && !hasSent) {
        quietLooks = 0
        try await responses.send(watch.message())
      }
      if isLast { return }
      try await call.wait(
        for: signal, atMost: ChangeFeed.pollInterval, unless: { signal.count != seen })
    }
  }
}

/// How far one watcher has come: up to a snapshot of the database, as in WatchRun.
private struct LogWatch {
  let runID: UUID
  let choice: LogChoice
  let call: CallContext
  /// Whether the run has, and every line of it was sent.
  private(set) var hasEnded = false

  /// The snapshot that knows no transaction at all.
  private static let beginning = "1:1:"

  private var snapshot = LogWatch.beginning
  /// In the middle of the lines between `snapshot` and another: that other, and the last line sent.
  private var place: Place?
  private var clusterID = ""

  private struct Place {
    var until: String
    var xid: String
    var position: LogPosition
  }

  init(runID: UUID, choice: LogChoice, call: CallContext) {
    self.runID = runID
    self.choice = choice
    self.call = call
  }

  private var purpose: String { "watch logs \(runID)" }

  /// Finds where to begin.
  mutating func begin(_ request: WatchLogsRequest) async throws(CallError) {
    let now = try await call.read(MetricsQueries.getSnapshot())
    clusterID = now.clusterID
    if request.resumeToken.isEmpty {
      if request.skipHistory { snapshot = now.snapshot }
      return
    }
    guard let content = Token.read(request.resumeToken, for: purpose) else {
      throw CallError(
        RpcErrorReason.resumeTokenInvalid,
        "The resume_token is not one that a watch of this run's log gave.")
    }
    let parts = String(decoding: content, as: UTF8.self).split(separator: " ").map(String.init)
    guard parts.count == 2 || parts.count == 6, parts[0] == clusterID else {
      throw CallError(
        RpcErrorReason.resumeTokenExpired,
        "The resume_token is of another database; begin again without it.")
    }
    snapshot = parts[1]
    if parts.count == 6 {
      place = Place(
        until: parts[2], xid: parts[3],
        position: LogPosition(
          chunkID: UUID(parts[4]) ?? .zero, lineNumber: Int64(parts[5]) ?? 0))
    }
  }

  /// A message that says how far the watcher has come.
  func message() -> WatchLogsResponse {
    var content = "\(clusterID) \(snapshot)"
    if let place {
      content += " \(place.until) \(place.xid) \(place.position.chunkID)"
      content += " \(place.position.lineNumber)"
    }
    var response = WatchLogsResponse()
    response.resumeToken = Token.make(Array(content.utf8), for: purpose)
    return response
  }

  /// Sends what was committed since the last look; says whether that was anything.
  mutating func look(
    _ send: (WatchLogsResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    let now = try await call.read(MetricsQueries.getSnapshot())
    guard now.clusterID == clusterID else {
      throw CallError(
        RpcErrorReason.resumeTokenExpired,
        "The database was replaced by another; begin again without a resume_token.")
    }
    let until = place?.until ?? now.snapshot
    let run = try await call.read(
      MetricsQueries.getRunChange(
        organizationID: call.principal.organizationID, runID: runID,
        sinceSnapshot: LogWatch.beginning, untilSnapshot: until))
    let hasSent = try await sendLines(until: until, send)
    place = nil
    snapshot = until
    // An ended run takes no lines: what its end's snapshot does not see will never be.
    hasEnded = run.map { RunRecord($0).status.isFinal } ?? false
    return hasSent
  }

  /// Sends the lines in the order of their commits, each message with the place it ends at.
  private mutating func sendLines(
    until: String, _ send: (WatchLogsResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    var at = place ?? Place(until: until, xid: "0", position: .beginning)
    var hasSent = false
    while true {
      let rows = try await call.read(
        LogsQueries.listLogLinesBetween(
          organizationID: call.principal.organizationID, runID: runID, sinceSnapshot: snapshot,
          afterXid: at.xid, afterID: at.position.chunkID, afterNumber: at.position.lineNumber,
          untilSnapshot: until, fromUs: choice.fromUs, untilUs: choice.untilUs,
          levelMask: choice.levelMask, ranks: choice.ranks, streams: choice.streams,
          contains: choice.contains, pageSize: LogReading.linesPerRead))
      var lines: [LogLine] = []
      var bytes = 0
      for (index, row) in rows.enumerated() {
        lines.append(LogLine(row))
        bytes += row.text.utf8.count
        at = Place(until: until, xid: row.xid, position: row.position)
        guard bytes >= LogReading.pageBytes || index == rows.count - 1 else { continue }
        place = at
        var response = message()
        response.lines = lines
        try await send(response)
        hasSent = true
        lines = []
        bytes = 0
      }
      guard rows.count == Int(LogReading.linesPerRead) else { return hasSent }
    }
  }
}
