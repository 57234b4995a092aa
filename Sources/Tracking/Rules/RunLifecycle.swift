internal import Messages
internal import Postgres
internal import RPC

/// A run as the rules see it.
///
/// Times are microseconds since 1970.
struct RunRecord: Equatable {
  var id: UUID
  var experimentID: UUID
  var projectID: UUID
  var name: String
  var description: String
  var status: RunLifecycle.Status
  var startedAt: Int64?
  var completedAt: Int64?
  var createdBy: UUID
  var createdAt: Int64
  var updatedAt: Int64
  var revision: Int64
  var parentRunID: UUID?
  var source: RunSource?
  var forkedFrom: Fork?
  /// Also when the run that it was forked from is gone.
  var isFork = false
  var isPinned = false
  var archivedAt: Int64?
  var deletedAt: Int64?
  var purgeAfter: Int64?

  /// The run and the step that a fork goes on from.
  struct Fork: Equatable {
    var runID: UUID
    var step: Int64
  }

  /// From start to end, or to `now` while the run goes on; whole milliseconds.
  func duration(now: Int64) -> Int64 {
    guard let startedAt, let end = completedAt ?? (status.isFinal ? nil : now) else { return 0 }
    return max(0, end - startedAt) / 1_000
  }
}

/// The life of a run: scheduled → running → completed, failed or cancelled.
enum RunLifecycle {
  /// Where a run is in its life.
  enum Status: String {
    case scheduled, running, completed, failed, cancelled

    /// As the database stores it.
    var text: String { rawValue }

    init(text: String) {
      // The column's check admits these five and no other.
      self = Status(rawValue: text) ?? .failed
    }

    init?(_ status: RunStatus) {
      switch status {
      case .scheduled: self = .scheduled
      case .running: self = .running
      case .completed: self = .completed
      case .failed: self = .failed
      case .cancelled: self = .cancelled
      default: return nil
      }
    }

    /// As callers see it.
    var message: RunStatus {
      switch self {
      case .scheduled: .scheduled
      case .running: .running
      case .completed: .completed
      case .failed: .failed
      case .cancelled: .cancelled
      }
    }

    /// Whether the run takes no more points.
    var isFinal: Bool { self != .scheduled && self != .running }
  }

  /// The status that a new run may have; nil for one it may not.
  static func initial(_ status: RunStatus) -> Status? {
    switch status {
    case .unspecified, .running: .running
    case .scheduled: .scheduled
    default: nil
    }
  }

  /// The status that a run may end with; nil for one it may not.
  static func final(_ status: RunStatus) -> Status? {
    switch status {
    case .unspecified, .completed: .completed
    case .failed: .failed
    case .cancelled: .cancelled
    default: nil
    }
  }

  /// Ends a run.
  static func finish(
    _ run: inout RunRecord, _ status: Status, at completedAt: Int64, now: Int64
  ) throws(CallError) {
    guard !run.status.isFinal else { throw runFinished(run.id) }
    if let startedAt = run.startedAt, completedAt < startedAt {
      var validator = Validator()
      validator.refuse("completed_at", "must not be before the run's start")
      try validator.finish()
    }
    run.status = status
    run.completedAt = completedAt
    if status != .cancelled { run.startedAt = run.startedAt ?? completedAt }
    run.updatedAt = now
    run.revision += 1
  }

  /// Lets a run that has ended go on.
  static func reopen(_ run: inout RunRecord, now: Int64) throws(CallError) {
    guard run.status.isFinal else {
      throw CallError(
        TrackingErrorReason.runNotFinished, "The run \(run.id) has not ended; log to it.")
    }
    run.status = .running
    run.startedAt = run.startedAt ?? now
    run.completedAt = nil
    run.updatedAt = now
    run.revision += 1
  }

  /// What an import tells of a run's end.
  enum End {
    /// Microseconds since 1970.
    case at(Int64)
    /// Nobody knows it.
    case unknown
  }

  /// Makes a run what an import tells of it: any status, with the times that belong to it.
  ///
  /// What is told counts before what was there, and that before now. An end before the start is
  /// the start.
  static func set(
    _ run: inout RunRecord, _ status: Status, startedAt: Int64?, end: End?, now: Int64
  ) throws(CallError) {
    var validator = Validator()
    if status == .scheduled, startedAt != nil {
      validator.refuse("started_at", "must be absent: a SCHEDULED run has not started")
    }
    switch end {
    case .at where !status.isFinal:
      validator.refuse("completed_at", "must be absent: a run that is \(status) has not ended")
    case .unknown where !status.isFinal:
      validator.refuse("end_unknown", "must be false: a run that is \(status) has not ended")
    default: break
    }
    try validator.finish()
    run.startedAt = status == .scheduled ? nil : startedAt ?? run.startedAt
    switch end {
    case .at(let time): run.completedAt = time
    case _ where !status.isFinal: run.completedAt = nil
    case .unknown: break
    case nil: if !run.status.isFinal { run.completedAt = now }
    }
    switch status {
    case .scheduled, .cancelled: break
    case .running: run.startedAt = run.startedAt ?? now
    case .completed, .failed: run.startedAt = run.startedAt ?? run.completedAt ?? now
    }
    if let start = run.startedAt, let end = run.completedAt { run.completedAt = max(start, end) }
    run.status = status
  }

  /// A name for a run that was given none.
  static func name(for id: UUID) -> String {
    "run-" + id.description.suffix(8)
  }
}
