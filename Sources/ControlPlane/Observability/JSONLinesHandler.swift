internal import EventLoop
internal import Logging
internal import RPC

/// Writes each log entry as one JSON object on one line.
struct JSONLinesHandler: LogHandler {
  private let writer: LogWriter
  private let label: String
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level

  init(_ writer: LogWriter, label: String, level: Logger.Level) {
    self.writer = writer
    self.label = label
    logLevel = level
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var fields: [(String, String)] = [
      ("time", JSONText.quoted(RFC3339.text(microseconds: WallClock.microseconds()))),
      ("level", JSONText.quoted(event.level.rawValue)),
      ("logger", JSONText.quoted(label)),
      ("message", JSONText.quoted(event.message.description)),
    ]
    let extra = metadata.merging(event.metadata ?? [:]) { _, new in new }
    for (key, value) in extra.sorted(by: { $0.key < $1.key }) {
      fields.append((key, JSONLinesHandler.text(value)))
    }
    let text = fields.map { "\(JSONText.quoted($0.0)):\($0.1)" }.joined(separator: ",")
    writer.write("{\(text)}")
  }

  /// Numbers stay numbers where JSON has them; everything else is text.
  private static func text(_ value: Logger.MetadataValue) -> String {
    if case .stringConvertible(let convertible) = value {
      switch convertible {
      case let number as any BinaryFloatingPoint where number.isFinite:
        return convertible.description
      case is any BinaryInteger: return convertible.description
      default: break
      }
    }
    return JSONText.quoted(value.description)
  }
}

/// Times as RFC 3339 writes them.
enum RFC3339 {
  /// "2026-11-21T11:32:05.123456Z".
  static func text(microseconds: Int64) -> String {
    let (seconds, fraction) = floored(microseconds, by: 1_000_000)
    let (days, second) = floored(seconds, by: 86_400)
    // The civil calendar, counted from 1 March of year 0 so that leap days come last.
    let (era, dayOfEra) = floored(days + 719_468, by: 146_097)
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shifted + 2) / 5 + 1
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(second / 3_600, 2)):"
      + "\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2)).\(padded(fraction, 6))Z"
  }

  private static func floored(_ value: Int64, by divisor: Int64) -> (Int64, Int64) {
    let (quotient, rest) = value.quotientAndRemainder(dividingBy: divisor)
    return rest < 0 ? (quotient - 1, rest + divisor) : (quotient, rest)
  }

  private static func padded(_ number: Int64, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, width - text.count)) + text
  }
}
