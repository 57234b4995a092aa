internal import Messages
internal import Postgres
internal import RPC

/// The bounds of epochs.
enum EpochBounds {
  /// How often a run can be restarted; every reader of it reads all its epochs.
  static let max: Int64 = 10_000
  static let page = 100
  static let pageMax = 1_000
}

/// Which points of a run are shadowed: those of an epoch at or beyond the smallest step from which
/// a later one goes on.
struct EpochLimits {
  /// The run's epochs after the first, in order, each with the smallest first step of it and all
  /// after it.
  private var limits: [(epoch: Int64, step: Int64)]
  /// The first step that is left out of all epochs; nil = none is.
  var end: Int64?

  /// The epoch that the run is in.
  var current: Int64 { limits.last?.epoch ?? 0 }

  /// The limits by epochs in order.
  init(_ epochs: [(epoch: Int64, fromStep: Int64)] = []) {
    limits = epochs.map { ($0.epoch, $0.fromStep) }
    for index in limits.indices.dropLast().reversed() {
      limits[index].step = min(limits[index].step, limits[index + 1].step)
    }
  }

  /// The first step whose points are left out of an epoch; nil = none is.
  func limit(of epoch: Int64) -> Int64? {
    var low = 0
    var high = limits.count
    while low < high {
      let middle = (low + high) / 2
      if limits[middle].epoch > epoch { high = middle } else { low = middle + 1 }
    }
    guard low < limits.count else { return end }
    return end.map { min($0, limits[low].step) } ?? limits[low].step
  }
}

/// An epoch that a writer opens.
struct EpochOpening: Equatable {
  var runID: UUID
  var epoch: Int64
  var fromStep: Int64

  /// Reads what a batch opens, naming every field that is bad.
  static func read(_ request: AppendMetricsRequest) throws(CallError) -> [EpochOpening] {
    var validator = Validator()
    var result: [EpochOpening] = []
    for (index, run) in request.runs.enumerated() where run.epoch > 0 || run.fromStep != nil {
      let path = "runs[\(index)].epoch"
      if run.epoch > EpochBounds.max {
        validator.refuse(path, "must be at most \(EpochBounds.max)")
      }
      guard let fromStep = run.fromStep else { continue }
      if run.epoch == 0 { validator.refuse(path, "must be 1 or more where there is a from_step") }
      result.append(
        EpochOpening(
          runID: validator.id("runs[\(index)].run_id", run.runID),
          epoch: Int64(clamping: run.epoch), fromStep: fromStep))
    }
    try validator.finish()
    return result
  }
}
