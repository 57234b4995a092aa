internal import EventLoop
internal import Postgres
internal import RPC

/// How a task of upkeep stands, or what one run of it came to.
public struct TaskReport: Sendable {
  /// Where a task is.
  public enum State: String, Sendable {
    /// Its last run ended well.
    case done
    /// Its last run ended early.
    case failed
    /// A server is at it.
    case running
    /// The server that was at it went away; whoever is next begins anew.
    case abandoned
  }

  /// What the task is called.
  public let name: String
  /// Where it is.
  public let state: State
  /// Which server is at it, or was when it went away.
  public let server: String?
  /// When its last run began, RFC 3339; nil = never.
  public let startedAt: String?
  /// When the last run that ended did.
  public let finishedAt: String?
  /// When the last run that ended well did.
  public let succeededAt: String?
  /// How long the last run took; nil = it has not ended.
  public let milliseconds: Int64?
  /// Rows that the last run that ended dealt with.
  public let rows: Int64
  /// Why that ended early.
  public let error: String?

  init(_ record: UpkeepRecord) {
    name = record.name
    state =
      if record.server != nil {
        record.isRunning ? .running : .abandoned
      } else {
        record.error == nil ? .done : .failed
      }
    server = record.server.map { "\($0)" }
    startedAt = record.startedAt.map(RFC3339.text(microseconds:))
    finishedAt = record.finishedAt.map(RFC3339.text(microseconds:))
    succeededAt = record.succeededAt.map(RFC3339.text(microseconds:))
    // What ended before the last run began tells nothing of it.
    milliseconds =
      if let began = record.startedAt, let ended = record.finishedAt, ended >= began {
        (ended - began) / 1_000
      } else {
        nil
      }
    rows = record.rows
    error = record.error
  }

  /// What a run came to; nil = another server is at it.
  init(_ name: String, _ outcome: UpkeepOutcome?) {
    self.name = name
    state = outcome.map { $0.failure == nil ? .done : .failed } ?? .running
    (server, startedAt, finishedAt, succeededAt) = (nil, nil, nil, nil)
    milliseconds = outcome.map { $0.microseconds / 1_000 }
    rows = outcome?.rows ?? 0
    error = outcome?.failure
  }
}
