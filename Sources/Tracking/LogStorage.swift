internal import EventLoop
internal import Messages
internal import Postgres
internal import RPC

/// Consecutive batches of log lines of one writer that are stored in one transaction.
struct LogGroup: AppendGroup {
  private var batches: [(sequence: UInt64, lines: [LogLines])] = []
  private var lineCount = 0
  private var textBytes = 0

  init() {}

  var isEmpty: Bool { batches.isEmpty }
  var isFull: Bool {
    lineCount > LogBounds.groupLinesMax - LogBounds.batchLinesMax
      || textBytes > LogBounds.groupBytesMax - LogBounds.batchBytesMax
      || batches.count == LogBounds.groupBatchesMax
  }
  var lastSequence: UInt64 { batches.last?.sequence ?? 0 }
  var runIDs: Set<UUID> { Set(batches.flatMap { $0.lines.map(\.runID) }) }

  mutating func append(_ request: AppendLogsRequest) throws(CallError) {
    append(request.sequence, try LogLines.read(request, receivedAt: WallClock.microseconds()))
  }

  private mutating func append(_ sequence: UInt64, _ lines: [LogLines]) {
    batches.append((sequence, lines))
    lineCount += lines.reduce(0) { $0 + $1.texts.count }
    textBytes += lines.reduce(0) { $0 + $1.textBytes }
  }

  var single: [LogGroup] {
    batches.map { batch in
      var group = LogGroup()
      group.append(batch.sequence, batch.lines)
      return group
    }
  }

  /// The statements that store the group: the writer moves on, the runs are held, chunks are
  /// written.
  func statements(writer: UUID, _ call: CallContext) -> Batch {
    let organizationID = call.principal.organizationID
    var batch = Batch()
    batch.add(
      MetricAppendsQueries.advanceWriter(
        firstSequence: Int64(clamping: batches[0].sequence),
        lastSequence: Int64(clamping: lastSequence), organizationID: organizationID,
        writerID: writer))
    batch.add(
      MetricAppendsQueries.requireRunningRuns(
        runIDs: Array(runIDs), organizationID: organizationID, userID: call.principal.id,
        sufficientRoles: call.sufficientRoles, epochs: []))
    for lines in LogLines.joined(batches.flatMap(\.lines)) {
      batch.add(
        LogsQueries.insertLogChunk(
          organizationID: organizationID, id: call.nextID(), runID: lines.runID,
          rank: Int64(lines.rank), lineCount: Int64(lines.texts.count),
          minTimeUs: lines.timesUs.min() ?? 0, maxTimeUs: lines.timesUs.max() ?? 0,
          levelMask: lines.levelMask, timesUs: lines.timesUs, levels: lines.levels,
          streams: lines.streams, texts: lines.texts))
    }
    return batch
  }
}

extension AppendLogsRequest: AppendRequest {}
extension AppendLogsResponse: AppendResponse {}
