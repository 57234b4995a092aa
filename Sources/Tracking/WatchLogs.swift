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
    try await watch.follow(
      signal, in: projectID, unseen: runNotFound(runID), stay: request.stay, responses, call)
  }
}

/// How far one watcher of a log has come.
private struct LogWatch: Watch {
  let runID: UUID
  let choice: LogChoice
  let call: CallContext
  /// Whether the run has, and every line of it was sent.
  private(set) var hasEnded = false
  private(set) var hasSkipped = false
  private var cursor: WatchCursor

  /// The last line sent.
  private struct Place {
    var xid = "0"
    var position = LogPosition.beginning

    var words: [String] { [xid, position.chunkID.description, String(position.lineNumber)] }
  }

  init(runID: UUID, choice: LogChoice, call: CallContext) {
    self.runID = runID
    self.choice = choice
    self.call = call
    cursor = WatchCursor("watch logs \(runID)", of: "this run's log", call)
  }

  /// Finds where to begin.
  mutating func begin(_ request: WatchLogsRequest) async throws(CallError) {
    let now = try await cursor.begin(request.resumeToken, place: [.transaction, .id, .number])
    if let now, request.skipHistory {
      hasSkipped = true
      cursor.reach(now)
    }
  }

  func message() -> WatchLogsResponse {
    var response = WatchLogsResponse()
    response.resumeToken = cursor.token
    return response
  }

  mutating func look(
    _ send: (WatchLogsResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    let until = try await cursor.next()
    let run = try await call.read(
      MetricsQueries.getRunChange(
        organizationID: call.principal.organizationID, runID: runID,
        sinceSnapshot: WatchCursor.beginning, untilSnapshot: until))
    let hasSent = try await sendLines(until: until, send)
    cursor.reach(until)
    // An ended run takes no lines: what its end's snapshot does not see will never be.
    hasEnded = run.map { RunRecord($0).status.isFinal } ?? false
    return hasSent
  }

  /// Sends the lines in the order of their commits, each message with the place it ends at.
  private mutating func sendLines(
    until: String, _ send: (WatchLogsResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    var at = Place()
    if let words = cursor.place?.words {
      at = Place(
        xid: words[0],
        position: LogPosition(
          chunkID: UUID(words[1]) ?? .zero, lineNumber: Int64(words[2]) ?? 0))
    }
    var hasSent = false
    while true {
      let rows = try await call.read(
        LogsQueries.listLogLinesBetween(
          organizationID: call.principal.organizationID, runID: runID,
          sinceSnapshot: cursor.snapshot, afterXid: at.xid, afterID: at.position.chunkID,
          afterNumber: at.position.lineNumber, untilSnapshot: until, fromUs: choice.fromUs,
          untilUs: choice.untilUs, levelMask: choice.levelMask, ranks: choice.ranks,
          streams: choice.streams, contains: choice.contains, pageSize: LogReading.linesPerRead))
      var lines: [LogLine] = []
      var bytes = 0
      for (index, row) in rows.enumerated() {
        lines.append(LogLine(row))
        bytes += row.text.utf8.count
        at = Place(xid: row.xid, position: row.position)
        guard bytes >= LogReading.pageBytes || index == rows.count - 1 else { continue }
        cursor.arrive(at: at.words, before: until)
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
