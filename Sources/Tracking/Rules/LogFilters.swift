internal import Messages
internal import RPC

/// The bounds of choosing lines.
enum LogFilterBounds {
  static let streamsMax = 16
  static let ranksMax = 1_000
  static let containsBytesMax = 256
}

/// Which lines a reader wants, as statements take it.
struct LogChoice: Equatable {
  var streams: [String] = []
  var ranks: [Int64] = []
  /// Bit n: lines of level n.
  var levelMask = LogChoice.everyLevel
  /// Microseconds since 1970.
  var fromUs = Int64.min
  /// Microseconds since 1970, itself left out.
  var untilUs = Int64.max
  /// Empty: any text.
  var contains = ""

  private static let everyLevel: Int64 = LogLevel.known.reduce(0) { $0 | 1 << Int64($1.number) }

  /// Reads a filter, noting what is bad in it.
  static func read(_ filter: LogFilter?, _ validator: inout Validator) -> LogChoice {
    guard let filter else { return LogChoice() }
    if filter.streams.count > LogFilterBounds.streamsMax {
      validator.refuse("filter.streams", "must be at most \(LogFilterBounds.streamsMax)")
    }
    for (index, name) in filter.streams.prefix(LogFilterBounds.streamsMax).enumerated() {
      validator.name("filter.streams[\(index)]", name, bytes: LogBounds.streamNameBytes)
    }
    if filter.ranks.count > LogFilterBounds.ranksMax {
      validator.refuse("filter.ranks", "must be at most \(LogFilterBounds.ranksMax)")
    }
    if let bad = filter.levels.firstIndex(where: { !LogLevel.known.contains($0) }) {
      validator.refuse("filter.levels[\(bad)]", "must be a known level")
    }
    validator.text(
      "filter.contains", filter.contains, bytesMax: LogFilterBounds.containsBytesMax)
    var choice = LogChoice()
    choice.streams = filter.streams
    choice.ranks = filter.ranks.map { Int64($0) }
    choice.fromUs = filter.fromUs ?? .min
    choice.untilUs = filter.untilUs ?? .max
    choice.contains = filter.contains
    let known = filter.levels.filter { LogLevel.known.contains($0) }
    if !known.isEmpty { choice.levelMask = known.reduce(0) { $0 | 1 << Int64($1.number) } }
    return choice
  }

  /// Tells this choice from any other; what a page token is bound to.
  var fingerprint: String {
    // Names have no control characters, and what comes last may hold anything.
    "\(levelMask) \(fromUs) \(untilUs) \(ranks) \(streams.joined(separator: "\n"))\n\n\(contains)"
  }
}

extension LogLevel {
  /// A level by its number in the database.
  init(stored number: Int64) { self.init(number: Int32(truncatingIfNeeded: number)) }
}
