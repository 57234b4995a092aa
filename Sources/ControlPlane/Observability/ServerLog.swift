internal import Logging

/// The log of the process: JSON lines on standard error, in the order in which they came.
struct ServerLog: Sendable {
  let logger: Logger
  private let writer = LogWriter(descriptor: 2)

  /// A log that writes what the options ask for.
  init(_ options: ServerOptions) {
    let level = Logger.Level(rawValue: options.logLevel) ?? .info
    let writer = writer
    logger = Logger(label: "needletail") { JSONLinesHandler(writer, label: $0, level: level) }
  }

  /// Writes what waits; call it before the process ends.
  func flush() { writer.flush() }
}
