internal import Messages
internal import Postgres
internal import RPC

/// The bounds of log lines.
enum LogBounds {
  /// UTF-8 bytes of a line.
  static let lineBytesMax = 65_536
  /// Lines in one batch, and in one stored chunk.
  static let batchLinesMax = 10_000
  /// UTF-8 bytes of the lines in one batch, and in one stored chunk.
  static let batchBytesMax = 1 << 20
  /// Runs and processes in one batch.
  static let batchPartsMax = 1_000
  static let streamNameBytes = 1...64
  static let streamNamesMax = 16
  static let rankMax: UInt32 = 999_999
  /// UTF-8 bytes of lines that one transaction stores of one stream.
  static let groupBytesMax = 8 << 20
  /// Lines that one transaction stores of one stream.
  static let groupLinesMax = 100_000
  /// Batches that one transaction stores of one stream.
  static let groupBatchesMax = 256

  /// Where lines go that name no stream.
  static let standardStream = "stdout"
}

/// Lines of one process of one run.
struct LogLines: Equatable {
  var runID: UUID
  var rank: UInt32
  /// Microseconds since 1970; as many as texts, like the columns that follow.
  var timesUs: [Int64]
  /// The numbers of ``LogLevel``.
  var levels: [Int32]
  var streams: [String]
  var texts: [String]
  /// UTF-8 bytes of the texts.
  var textBytes: Int

  /// Bit n: there are lines of level n.
  var levelMask: Int64 { levels.reduce(0) { $0 | 1 << Int64($1) } }

  /// Whether the lines of `other` may follow these in one chunk.
  private func canTake(_ other: LogLines) -> Bool {
    runID == other.runID && rank == other.rank
      && texts.count + other.texts.count <= LogBounds.batchLinesMax
      && textBytes + other.textBytes <= LogBounds.batchBytesMax
  }

  private mutating func append(_ other: LogLines) {
    timesUs += other.timesUs
    levels += other.levels
    streams += other.streams
    texts += other.texts
    textBytes += other.textBytes
  }

  /// Joins lines of one process that follow one another, as far as a chunk takes them.
  static func joined(_ all: [LogLines]) -> [LogLines] {
    var places: [Identity: Int] = [:]
    var result: [LogLines] = []
    for lines in all {
      let identity = Identity(runID: lines.runID, rank: lines.rank)
      if let place = places[identity], result[place].canTake(lines) {
        result[place].append(lines)
      } else {
        places[identity] = result.count
        result.append(lines)
      }
    }
    return result
  }

  private struct Identity: Hashable {
    var runID: UUID
    var rank: UInt32
  }
}

extension LogLines {
  /// Reads a batch, naming every field that is bad.
  static func read(
    _ request: AppendLogsRequest, receivedAt now: Int64
  ) throws(CallError) -> [LogLines] {
    var validator = Validator()
    let lineCount = request.runs.reduce(0) { $0 + $1.textBytes.count }
    let byteCount = request.runs.reduce(0) { $0 + $1.text.utf8.count }
    if lineCount == 0 { validator.refuse("runs", "must hold at least one line") }
    if lineCount > LogBounds.batchLinesMax {
      validator.refuse(
        "runs", "must hold at most \(LogBounds.batchLinesMax) lines, hold \(lineCount)")
    }
    if byteCount > LogBounds.batchBytesMax {
      validator.refuse(
        "runs", "must hold at most \(LogBounds.batchBytesMax) bytes of text, hold \(byteCount)")
    }
    if request.runs.count > LogBounds.batchPartsMax {
      validator.refuse("runs", "must be at most \(LogBounds.batchPartsMax)")
    }
    // What is too much is not looked at any further.
    try validator.finish()
    var result: [LogLines] = []
    for (index, run) in request.runs.enumerated() {
      if let lines = read(run, "runs[\(index)]", now, &validator) { result.append(lines) }
    }
    try validator.finish()
    return result
  }

  private static func read(
    _ run: RunLogs, _ path: String, _ now: Int64, _ validator: inout Validator
  ) -> LogLines? {
    let count = run.textBytes.count
    let runID = validator.id("\(path).run_id", run.runID)
    if count == 0 { validator.refuse("\(path).text_bytes", "must not be empty") }
    if run.rank > LogBounds.rankMax {
      validator.refuse("\(path).rank", "must be 0 to \(LogBounds.rankMax)")
    }
    for (field, length) in [
      ("times_us", run.timesUs.count), ("levels", run.levels.count), ("streams", run.streams.count),
    ] where length != 0 && length != count {
      validator.refuse("\(path).\(field)", "must be none or as many as lines (\(count))")
    }
    if let bad = run.timesUs.firstIndex(where: { !MetricBounds.timesUs.contains($0) }) {
      validator.refuse("\(path).times_us[\(bad)]", "must be of the years 1970 to 9999")
    }
    if let bad = run.levels.firstIndex(where: { !LogLevel.known.contains($0) }) {
      validator.refuse("\(path).levels[\(bad)]", "must be a known level")
    }
    guard let streams = streams(of: run, path, &validator),
      let texts = texts(of: run, path, &validator), streams.count == count
    else { return nil }
    return LogLines(
      runID: runID, rank: run.rank,
      timesUs: run.timesUs.isEmpty ? Array(repeating: now, count: count) : run.timesUs,
      levels: run.levels.isEmpty
        ? Array(repeating: 0, count: count) : run.levels.map(\.number),
      streams: streams, texts: texts, textBytes: run.text.utf8.count)
  }

  private static func streams(
    of run: RunLogs, _ path: String, _ validator: inout Validator
  ) -> [String]? {
    let names = run.streamNames.isEmpty ? [LogBounds.standardStream] : run.streamNames
    if names.count > LogBounds.streamNamesMax {
      validator.refuse("\(path).stream_names", "must be at most \(LogBounds.streamNamesMax)")
      return nil
    }
    for (index, name) in names.enumerated() {
      validator.name("\(path).stream_names[\(index)]", name, bytes: LogBounds.streamNameBytes)
    }
    if run.streams.isEmpty { return Array(repeating: names[0], count: run.textBytes.count) }
    if let bad = run.streams.firstIndex(where: { $0 >= names.count }) {
      validator.refuse("\(path).streams[\(bad)]", "must be below \(names.count)")
      return nil
    }
    return run.streams.map { names[Int($0)] }
  }

  /// Cuts the text into its lines.
  private static func texts(
    of run: RunLogs, _ path: String, _ validator: inout Validator
  ) -> [String]? {
    let total = run.textBytes.reduce(0) { $0 + Int($1) }
    guard total == run.text.utf8.count else {
      validator.refuse(
        "\(path).text_bytes", "must be as many as text (\(run.text.utf8.count)), are \(total)")
      return nil
    }
    var texts: [String] = []
    texts.reserveCapacity(run.textBytes.count)
    let text = run.text.utf8
    var start = text.startIndex
    for (index, length) in run.textBytes.enumerated() {
      let end = text.index(start, offsetBy: Int(length))
      guard length <= LogBounds.lineBytesMax else {
        validator.refuse(
          "\(path).text_bytes[\(index)]", "must be at most \(LogBounds.lineBytesMax)")
        return nil
      }
      guard let line = String(text[start..<end]) else {
        validator.refuse("\(path).text_bytes[\(index)]", "must not end within a character")
        return nil
      }
      texts.append(line)
      start = end
    }
    return texts
  }
}
