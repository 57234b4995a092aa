internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of watching an experiment.
enum ExperimentWatchBounds {
  /// Metrics of each kind that one watcher chooses.
  static let keysMax = 100
  /// Runs that one statement reads.
  static let runsPerRead: Int64 = 200
  /// Bytes of runs, as far as their texts go, in one message.
  static let runBytesPerMessage = 256 * 1_024
  /// Runs with new points that one round reads.
  static let runsPerRound = 64
  /// Epochs after which a message takes no further run's.
  static let epochsPerMessage = 1_000
  /// Summaries in one message.
  static let summariesPerMessage = 1_000
  /// Open runs whose points wake a watcher at once; those of others are found by its polls.
  static let openRunsMax: Int64 = 10_000
  /// How long changes gather after a look, so that a busy experiment costs no more than fifty
  /// looks a second and is still told live.
  static let pause = Duration.milliseconds(20)
}

extension TrackingService {
  /// The runs of an experiment as they are, then every change, with points and summaries of the
  /// metrics that were asked for.
  public func watchExperiment(
    _ request: WatchExperimentRequest, _ responses: ResponseStream<WatchExperimentResponse>,
    _ call: CallContext
  ) async throws(CallError) {
    var validator = Validator()
    let id = validator.id("experiment_id", request.experimentID)
    validator.keys("point_keys", request.pointKeys, max: ExperimentWatchBounds.keysMax)
    validator.keys("summary_keys", request.summaryKeys, max: ExperimentWatchBounds.keysMax)
    try validator.finish()
    guard let projectID = try await experiment(id, call)?.projectID else {
      throw experimentNotFound(id)
    }

    let signal = Signal()
    call.feed.link(id, to: signal)
    defer { call.feed.unlink(id, from: signal) }
    var watch = ExperimentWatch(id, request, signal, call)
    defer { watch.end() }
    try await watch.begin(request)
    try await watch.follow(
      signal, in: projectID, unseen: experimentNotFound(id), stay: false, responses, call)
  }
}

extension Validator {
  /// Checks keys of metrics, each of which may come once.
  mutating func keys(_ field: String, _ keys: [String], max: Int) {
    if keys.count > max { refuse(field, "must be at most \(max), are \(keys.count)") }
    var seen: Set<[UInt8]> = []
    for (index, key) in keys.prefix(max).enumerated() {
      name("\(field)[\(index)]", key, characters: MetricBounds.keyCharacters)
      if !seen.insert(Array(key.utf8)).inserted { refuse("\(field)[\(index)]", "comes twice") }
    }
  }
}

/// How far one watcher of an experiment has come.
private struct ExperimentWatch: Watch {
  let id: UUID
  let pointKeys: [String]
  let summaryKeys: [String]
  let signal: Signal
  let call: CallContext
  let catchesUp: Bool
  private(set) var hasEnded = false
  private(set) var hasSkipped = false
  var pause: Duration? { ExperimentWatchBounds.pause }

  private var cursor: WatchCursor
  /// The runs whose points wake the watcher.
  private var openRuns: Set<UUID> = []

  /// The last chunk sent.
  private struct Place {
    var runID = UUID.zero
    var xid = "0"
    var chunkID = UUID.zero

    var words: [String] { [runID.description, xid, chunkID.description] }
  }

  init(
    _ id: UUID, _ request: WatchExperimentRequest, _ signal: Signal, _ call: CallContext
  ) {
    self.id = id
    self.signal = signal
    self.call = call
    catchesUp = request.catchUp
    pointKeys = request.pointKeys
    summaryKeys = request.summaryKeys
    cursor = WatchCursor("watch experiment \(id)", of: "this experiment", call)
  }

  private var organizationID: UUID { call.principal.organizationID }
  private var readsPoints: Bool { !pointKeys.isEmpty || !summaryKeys.isEmpty }

  /// Finds where to begin.
  mutating func begin(_ request: WatchExperimentRequest) async throws(CallError) {
    let now = try await cursor.begin(request.resumeToken, place: [.id, .transaction, .id])
    if let now, request.skipHistory {
      hasSkipped = true
      cursor.reach(now)
    }
    guard readsPoints else { return }
    // Those that open from here on are among the changes.
    let open = try await call.read(
      WatchExperimentQueries.listOpenRuns(
        organizationID: organizationID, experimentID: id,
        pageSize: ExperimentWatchBounds.openRunsMax))
    for row in open { follow(row, isOpen: true) }
  }

  /// Leaves the feed.
  func end() {
    for run in openRuns { call.feed.unlink(run, from: signal) }
  }

  private mutating func follow(_ run: UUID, isOpen: Bool) {
    guard readsPoints else { return }
    if isOpen {
      guard openRuns.count < Int(ExperimentWatchBounds.openRunsMax),
        openRuns.insert(run).inserted
      else { return }
      call.feed.link(run, to: signal)
    } else if openRuns.remove(run) != nil {
      call.feed.unlink(run, from: signal)
    }
  }

  func message() -> WatchExperimentResponse {
    var response = WatchExperimentResponse()
    response.resumeToken = cursor.token
    return response
  }

  mutating func look(
    _ send: (WatchExperimentResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    let until = try await cursor.next()
    let experiment = try await call.read(
      ExperimentsQueries.getExperiment(
        organizationID: organizationID, id: id, includeDeleted: false))
    guard experiment != nil else { throw experimentNotFound(id) }
    var hasSent = false
    // Whoever is in the middle of the points was told of the runs.
    if cursor.place == nil {
      let hasSentGone = try await sendDepartures(until: until, send)
      let hasSentRuns = try await sendRuns(until: until, send)
      hasSent = hasSentGone || hasSentRuns
    }
    if readsPoints, try await sendPoints(until: until, send) { hasSent = true }
    cursor.reach(until)
    hasEnded = catchesUp
    if hasSent { try await send(message()) }
    return hasSent
  }

  /// Sends which runs were moved out.
  private mutating func sendDepartures(
    until: String, _ send: (WatchExperimentResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    // Whoever knows no run yet has none to forget.
    if cursor.snapshot == WatchCursor.beginning { return false }
    var last = UUID.zero
    var hasSent = false
    while true {
      let gone = try await call.read(
        WatchExperimentQueries.listRunDepartures(
          organizationID: organizationID, experimentID: id, afterRunID: last,
          sinceSnapshot: cursor.snapshot, untilSnapshot: until,
          pageSize: ExperimentWatchBounds.runsPerRead))
      guard let end = gone.last else { return hasSent }
      last = end
      for run in gone { follow(run, isOpen: false) }
      var response = message()
      response.goneRunIDs = gone.map(\.description)
      try await send(response)
      hasSent = true
    }
  }

  /// Sends the runs that are new, changed or deleted.
  private mutating func sendRuns(
    until: String, _ send: (WatchExperimentResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    let isBeginning = cursor.snapshot == WatchCursor.beginning
    var last = (xid: "0", id: UUID.zero)
    var hasSent = false
    while true {
      let rows = try await call.read(
        WatchExperimentQueries.listRunChanges(
          organizationID: organizationID, experimentID: id, sinceSnapshot: cursor.snapshot,
          afterXid: last.xid, afterID: last.id, untilSnapshot: until,
          pageSize: ExperimentWatchBounds.runsPerRead))
      guard let end = rows.last else { return hasSent }
      last = (end.xid, end.id)
      var response = message()
      var bytes = 0
      for (index, row) in rows.enumerated() {
        let record = RunRecord(row)
        follow(row.id, isOpen: !row.isGone && !record.status.isFinal)
        if !row.isGone {
          response.runs.append(Run(record, now: WallClock.microseconds()))
          bytes += row.description.utf8.count + row.name.utf8.count
        } else if !isBeginning {
          response.goneRunIDs.append(row.id.description)
        }
        let isFull = bytes >= ExperimentWatchBounds.runBytesPerMessage
        guard isFull || index == rows.count - 1 else { continue }
        guard !response.runs.isEmpty || !response.goneRunIDs.isEmpty else { continue }
        try await send(response)
        hasSent = true
        response = message()
        bytes = 0
      }
    }
  }

  /// Sends new points and the summaries of the runs that have any, a number of runs at a time.
  private mutating func sendPoints(
    until: String, _ send: (WatchExperimentResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool {
    var place = Place()
    if let words = cursor.place?.words {
      place = Place(
        runID: UUID(words[0]) ?? .zero, xid: words[1], chunkID: UUID(words[2]) ?? .zero)
    }
    let keys = pointKeys + summaryKeys
    var hasSent = false
    while true {
      let found = try await call.read(
        WatchExperimentQueries.listRunsWithPoints(
          organizationID: organizationID, experimentID: id, fromRunID: place.runID,
          sinceSnapshot: cursor.snapshot, keys: keys, untilSnapshot: until,
          pageSize: Int64(ExperimentWatchBounds.runsPerRound) + 1))
      guard !found.isEmpty else { return hasSent }
      hasSent = true
      let runs = Array(found.prefix(ExperimentWatchBounds.runsPerRound))
      // Said before the points: what is shadowed is not sent any more.
      let limits = try await sendEpochs(of: runs, until: until, send)
      try await sendChunks(of: runs, limits, &place, until: until, send)
      try await sendSummaries(of: runs, send)
      guard found.count > runs.count else { return true }
      place = Place(runID: found[runs.count])
    }
  }

  /// Sends the new epochs of some runs; returns which of their points are shadowed.
  private func sendEpochs(
    of runs: [UUID], until: String,
    _ send: (WatchExperimentResponse) async throws(CallError) -> Void
  ) async throws(CallError) -> [UUID: EpochLimits] {
    let rows = try await call.read(
      WatchExperimentQueries.listEpochsOfRuns(
        sinceSnapshot: cursor.snapshot, organizationID: organizationID, runIDs: runs,
        untilSnapshot: until))
    var limits: [UUID: EpochLimits] = [:]
    var response = message()
    var count = 0
    var rest = rows[...]
    while let id = rest.first?.runID {
      let run = rest.prefix { $0.runID == id }
      rest = rest.dropFirst(run.count)
      limits[id] = EpochLimits(run.map { ($0.epoch, $0.fromStep) })
      var epochs = RunEpochs()
      epochs.runID = id.description
      epochs.epochs = run.filter(\.isNew).map { RunEpoch($0) }
      guard !epochs.epochs.isEmpty else { continue }
      response.epochs.append(epochs)
      count += epochs.epochs.count
      guard count >= ExperimentWatchBounds.epochsPerMessage else { continue }
      try await send(response)
      response = message()
      count = 0
    }
    if count > 0 { try await send(response) }
    return limits
  }

  /// Sends the points of some runs, each message with the place it ends at.
  private mutating func sendChunks(
    of runs: [UUID], _ limits: [UUID: EpochLimits], _ place: inout Place, until: String,
    _ send: (WatchExperimentResponse) async throws(CallError) -> Void
  ) async throws(CallError) {
    guard !pointKeys.isEmpty else { return }
    while true {
      let rows = try await call.read(
        WatchExperimentQueries.listChunksOfRuns(
          afterRunID: place.runID, afterXid: place.xid, untilSnapshot: until,
          sinceSnapshot: cursor.snapshot, pageSize: WatchBounds.chunksPerRead, runIDs: runs,
          organizationID: organizationID, keys: pointKeys, afterID: place.chunkID,
          pointsMax: WatchBounds.pointsPerRead))
      if rows.contains(where: \.isSplit) { throw pointsMerged() }
      var all: [RunMetrics] = []
      var points = 0
      for (index, row) in rows.enumerated() {
        let chunk = MetricChunk(row)
        let visible = chunk.points(before: limits[row.runID]?.limit(of: chunk.epoch))
        if !visible.isEmpty {
          all.append(MetricSeries(row.key, visible, of: chunk.epoch), of: row.runID)
        }
        points += visible.count
        place = Place(runID: row.runID, xid: row.xid, chunkID: row.id)
        guard points >= WatchBounds.pointsPerMessage || index == rows.count - 1 else { continue }
        cursor.arrive(at: place.words, before: until)
        guard !all.isEmpty else { continue }
        var response = message()
        response.points = all
        try await send(response)
        all = []
        points = 0
      }
      guard rows.last?.isLast == false else { return }
    }
  }

  private func sendSummaries(
    of runs: [UUID], _ send: (WatchExperimentResponse) async throws(CallError) -> Void
  ) async throws(CallError) {
    guard !summaryKeys.isEmpty else { return }
    let rows = try await call.read(
      WatchExperimentQueries.listSummariesOfRuns(
        organizationID: organizationID, runIDs: runs, keys: summaryKeys))
    var all: [RunSummaries] = []
    var count = 0
    for (index, row) in rows.enumerated() {
      let run = row.runID.description
      if all.last?.runID != run {
        var summaries = RunSummaries()
        summaries.runID = run
        all.append(summaries)
      }
      all[all.count - 1].metrics.append(MetricSummary(row))
      count += 1
      let isFull = count == ExperimentWatchBounds.summariesPerMessage
      guard isFull || index == rows.count - 1 else { continue }
      var response = message()
      response.summaries = all
      try await send(response)
      all = []
      count = 0
    }
  }
}

extension WatchExperimentQueries.ListRunChangesRow: RunRow {}
extension WatchExperimentQueries.ListSummariesOfRunsRow: SummaryRow {}
extension WatchExperimentQueries.ListChunksOfRunsRow: ChunkRow {}

extension [RunMetrics] {
  /// Adds points of a run, which may be the last one's.
  fileprivate mutating func append(_ series: MetricSeries, of run: UUID) {
    if last?.runID != run.description {
      var metrics = RunMetrics()
      metrics.runID = run.description
      append(metrics)
    }
    self[count - 1].series.append(series)
  }
}
