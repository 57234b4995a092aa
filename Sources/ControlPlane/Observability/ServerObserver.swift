internal import EventLoop
internal import Logging
internal import Postgres
internal import RPC

/// Turns what the server did into log lines.
struct ServerObserver: Observer {
  private let logger: Logger
  /// Whether calls that succeeded are logged, too.
  let wantsSuccessfulCalls: Bool

  init(_ logger: Logger, logsEveryCall: Bool) {
    self.logger = logger
    wantsSuccessfulCalls = logsEveryCall
  }

  func callEnded(_ record: CallRecord) {
    // A client may give up thousands of calls a second, which is no news: the metrics count them.
    let isNoNews = record.code == "CANCELLED" && !wantsSuccessfulCalls
    let level: Logger.Level = record.code == "INTERNAL" ? .error : isNoNews ? .debug : .info
    guard level >= logger.logLevel else { return }
    var metadata: Logger.Metadata = [
      "request_id": .string(record.requestID),
      "method": .string(record.method),
      "code": .string(record.code),
      "milliseconds": .stringConvertible(ServerObserver.milliseconds(record.duration)),
      "peer": .string(record.peer),
    ]
    // A connection without an API key is nobody's.
    if record.principalID != .zero {
      metadata["organization_id"] = .string(record.organizationID.description)
      metadata["principal_id"] = .string(record.principalID.description)
    }
    if !record.reason.isEmpty { metadata["reason"] = .string(record.reason) }
    if let trace = ServerObserver.traceID(record.traceparent) {
      metadata["trace_id"] = .string(trace)
    }
    if let cause = record.cause { metadata["cause"] = .string(cause) }
    logger.log(level: level, "call", metadata: metadata)
  }

  func connectionEnded(_ record: ConnectionRecord) {
    var metadata: Logger.Metadata = [
      "connection_id": .string(record.connectionID.description), "peer": .string(record.peer),
      "client": .string(record.client), "reason": .string(record.reason),
    ]
    if let organizationID = record.organizationID {
      metadata["organization_id"] = .string(organizationID.description)
    }
    logger.log(
      level: record.isProtocolError ? .warning : .debug, "connection ended", metadata: metadata)
  }

  func note(_ severity: Severity, _ message: String, _ fields: [(String, String)]) {
    let level: Logger.Level =
      switch severity {
      case .info: .info
      case .warning: .warning
      case .error: .error
      }
    logger.log(
      level: level, "\(message)",
      metadata: Dictionary(fields.map { ($0.0, .string($0.1)) }) { first, _ in first })
  }

  /// The trace's id, when a traceparent has the form of W3C Trace Context.
  static func traceID(_ traceparent: String) -> String? {
    let parts = traceparent.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 4, parts[1].count == 32, parts[1].allSatisfy(\.isHexDigit) else {
      return nil
    }
    return String(parts[1])
  }

  static func milliseconds(_ duration: Duration) -> Double {
    Double(duration.wholeNanoseconds / 1_000) / 1_000
  }
}
