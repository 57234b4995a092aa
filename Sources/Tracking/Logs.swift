public import Messages
internal import Postgres
public import RPC

/// The bounds of reading lines.
enum LogReading {
  static let pageLines = 100
  static let pageLinesMax = 1_000
  /// Lines that one statement reads; of 64 KiB each they are 16 MiB.
  static let linesPerRead: Int64 = 256
  /// UTF-8 bytes of lines after which a page or a message ends.
  static let pageBytes = 1 << 20
}

extension TrackingService {
  /// Appends log lines, durably and exactly once.
  public func appendLogs(
    _ requests: RequestStream<AppendLogsRequest>, _ responses: ResponseStream<AppendLogsResponse>,
    _ call: CallContext
  ) async throws(CallError) {
    try await append(requests, responses, in: LogGroup.self, call)
  }

  /// Lists log lines of a run, searched by text and level.
  public func listLogs(
    _ request: ListLogsRequest, _ call: CallContext
  ) async throws(CallError) -> ListLogsResponse {
    var validator = Validator()
    let runID = validator.id("run_id", request.runID)
    let choice = LogChoice.read(request.filter, &validator)
    let size = validator.pageSize(
      request.pageSize, standard: LogReading.pageLines, max: LogReading.pageLinesMax)
    try validator.finish()
    let purpose = "logs \(runID) \(request.newestFirst) \(choice.fingerprint)"
    let start = request.newestFirst ? LogPosition.end : LogPosition.beginning
    var place = try LogPosition.read(request.pageToken, for: purpose) ?? start
    _ = try await run(runID, call)

    var response = ListLogsResponse()
    var bytes = 0
    while true {
      let wanted = min(Int64(size + 1 - response.lines.count), LogReading.linesPerRead)
      let rows =
        request.newestFirst
        ? try await lines(of: runID, before: place, choice, wanted, call)
        : try await lines(of: runID, after: place, choice, wanted, call)
      for row in rows {
        if response.lines.count == size || bytes >= LogReading.pageBytes {
          response.nextPageToken = place.token(for: purpose)
          return response
        }
        response.lines.append(LogLine(row))
        bytes += row.text.utf8.count
        place = row.position
      }
      if rows.count < wanted { return response }
    }
  }

  private func lines(
    of runID: UUID, after place: LogPosition, _ choice: LogChoice, _ count: Int64,
    _ call: CallContext
  ) async throws(CallError) -> [any LogLineRow] {
    try await call.read(
      LogsQueries.listLogLines(
        organizationID: call.principal.organizationID, runID: runID, afterID: place.chunkID,
        afterNumber: place.lineNumber, fromUs: choice.fromUs, untilUs: choice.untilUs,
        levelMask: choice.levelMask, ranks: choice.ranks, streams: choice.streams,
        contains: choice.contains, pageSize: count))
  }

  private func lines(
    of runID: UUID, before place: LogPosition, _ choice: LogChoice, _ count: Int64,
    _ call: CallContext
  ) async throws(CallError) -> [any LogLineRow] {
    try await call.read(
      LogsQueries.listLogLinesBackwards(
        organizationID: call.principal.organizationID, runID: runID, beforeID: place.chunkID,
        beforeNumber: place.lineNumber, fromUs: choice.fromUs, untilUs: choice.untilUs,
        levelMask: choice.levelMask, ranks: choice.ranks, streams: choice.streams,
        contains: choice.contains, pageSize: count))
  }
}

/// A place in the log of a run: a line of a chunk.
struct LogPosition: Equatable {
  var chunkID: UUID
  /// From 1.
  var lineNumber: Int64

  /// Before every line.
  static let beginning = LogPosition(chunkID: .zero, lineNumber: 0)
  /// After every line.
  static let end = LogPosition(chunkID: UUID(high: .max, low: .max), lineNumber: .max)

  /// The place as callers see it.
  var text: String {
    let digits = String(lineNumber)
    return "\(chunkID)-" + String(repeating: "0", count: max(0, 5 - digits.utf8.count)) + digits
  }

  func token(for purpose: String) -> String {
    Token.make(Array("\(chunkID) \(lineNumber)".utf8), for: purpose)
  }

  /// The place that a token says; nil for the first page.
  static func read(_ token: String, for purpose: String) throws(CallError) -> LogPosition? {
    if token.isEmpty { return nil }
    guard let content = Token.read(token, for: purpose) else { throw pageTokenInvalid() }
    let parts = String(decoding: content, as: UTF8.self).split(separator: " ")
    guard parts.count == 2, let id = UUID(parts[0]), let number = Int64(parts[1]) else {
      throw pageTokenInvalid()
    }
    return LogPosition(chunkID: id, lineNumber: number)
  }
}

/// What every statement returns of a line.
protocol LogLineRow {
  var id: UUID { get }
  var lineNumber: Int64 { get }
  var rank: Int64 { get }
  var timeUs: Int64 { get }
  var level: Int64 { get }
  var stream: String { get }
  var text: String { get }
}

extension LogLineRow {
  var position: LogPosition { LogPosition(chunkID: id, lineNumber: lineNumber) }
}

extension LogsQueries.ListLogLinesRow: LogLineRow {}
extension LogsQueries.ListLogLinesBackwardsRow: LogLineRow {}
extension LogsQueries.ListLogLinesBetweenRow: LogLineRow {}

extension LogLine {
  /// A line as callers see it.
  init(_ row: some LogLineRow) {
    self.init()
    position = row.position.text
    timeUs = row.timeUs
    rank = UInt32(clamping: row.rank)
    stream = row.stream
    level = LogLevel(stored: row.level)
    text = row.text
  }
}
