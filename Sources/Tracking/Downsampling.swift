public import Messages
internal import Postgres
public import RPC

/// The bounds of reading metrics in buckets.
enum DownsamplingBounds {
  static let runsMax = 50
  static let keysMax = 50
  static let buckets = 1_000
  static let bucketsMax = 10_000
  /// In all series of a response.
  static let bucketsInAllMax = 200_000
  /// Chunks of one metric that are looked at.
  static let partsMax: Int64 = 50_000
  /// Points of one metric that no rollup spares reading.
  static let pointsMax: Int64 = 20_000_000
  /// Rollups that one statement reads.
  static let rollupsPerRead = 512
  /// Points after which a statement reads no further chunk.
  static let pointsPerRead: Int64 = 100_000
  /// How often a metric is read anew because its chunks were merged meanwhile.
  static let attempts = 5
}

extension TrackingService {
  /// Metrics of runs in buckets on one grid.
  public func downsampleMetricHistory(
    _ request: DownsampleMetricHistoryRequest, _ call: CallContext
  ) async throws(CallError) -> DownsampleMetricHistoryResponse {
    let wanted = try WantedBuckets(request)
    var response = DownsampleMetricHistoryResponse()
    let sources = request.skipsInherited ? [:] : try await forkSources(of: wanted.runIDs, call)
    var extents: [LineageExtent] = []
    for runID in wanted.runIDs {
      let record = try await run(runID, includesDeleted: request.includeDeleted, call)
      let lineage = try await lineage(
        of: runID, in: record.projectID, from: sources[runID] ?? [], call)
      if lineage.lacksRuns { response.lackingRunIDs.append("\(runID)") }
      extents += try await lineageExtents(of: wanted.keys, lineage, call)
    }
    let range = try await range(wanted, extents, call)
    guard let (first, last) = range else { return response }
    var exponent = BucketGrid(of: wanted.place, from: first, to: last, count: wanted.count)
      .exponent
    var plans: [(runID: UUID, key: String, grid: BucketGrid)]
    var finest: Int64
    // Where one metric has nothing finer left, all come as coarse as it does.
    repeat {
      plans = []
      finest = exponent
      for extent in extents {
        let reader = BucketReader(
          runID: extent.part.runID, key: extent.key, limits: extent.part.limits, call: call)
        let grid = BucketGrid(of: wanted.place, from: first, to: last, exponent: finest)
        plans.append((extent.runID, extent.key, try await reader.read(grid)))
        exponent = max(exponent, plans[plans.count - 1].grid.exponent)
      }
    } while exponent > finest
    switch wanted.place {
    case .step: response.bucketSteps = 1 << UInt64(exponent)
    case .time: response.bucketUs = 1 << UInt64(exponent)
    }
    var rest = plans[...]
    while let plan = rest.first {
      var grid = BucketGrid(of: wanted.place, from: first, to: last, exponent: exponent)
      // What a fork has from several runs are neighbours.
      while let part = rest.first, part.runID == plan.runID,
        ExactText(part.key) == ExactText(plan.key)
      {
        for (cell, bucket) in part.grid.filled {
          grid.add(bucket, cell: cell, exponent: part.grid.exponent)
        }
        rest.removeFirst()
      }
      let series = MetricBuckets(plan.runID, plan.key, grid)
      if !series.cells.isEmpty { response.series.append(series) }
    }
    return response
  }

  /// The first and the last step or time that matter; nil when there is none.
  private func range(
    _ wanted: WantedBuckets, _ extents: [LineageExtent], _ call: CallContext
  ) async throws(CallError) -> (first: Int64, last: Int64)? {
    var first = wanted.from ?? extents.map(\.firstStep).min() ?? 0
    var last = wanted.to ?? extents.map(\.lastStep).max() ?? 0
    if wanted.place == .time, wanted.from == nil || wanted.to == nil {
      let known = try await call.read(
        RollupsQueries.getTimeExtent(
          runIDs: Array(Set(extents.map(\.part.runID))), keys: wanted.keys,
          organizationID: call.principal.organizationID))
      guard let known = known.first else { return nil }
      first = wanted.from ?? known.minTimeUs
      last = wanted.to ?? known.maxTimeUs
    }
    return first <= last ? (first, last) : nil
  }
}

/// What a request asks for, once it is known to be in order.
private struct WantedBuckets {
  var runIDs: [UUID]
  let keys: [String]
  let count: Int
  let place: BucketPlace
  /// The first and the last step or time that matter, where the request says so.
  let from: Int64?
  let to: Int64?

  init(_ request: DownsampleMetricHistoryRequest) throws(CallError) {
    var validator = Validator()
    runIDs = []
    for (index, text) in request.runIDs.prefix(DownsamplingBounds.runsMax).enumerated() {
      runIDs.append(validator.id("run_ids[\(index)]", text))
    }
    keys = Array(request.keys.prefix(DownsamplingBounds.keysMax))
    for (index, key) in keys.enumerated() {
      validator.name("keys[\(index)]", key, characters: MetricBounds.keyCharacters)
    }
    if !(1...DownsamplingBounds.runsMax).contains(request.runIDs.count)
      || Set(runIDs).count < runIDs.count
    {
      validator.refuse("run_ids", "must be 1 to \(DownsamplingBounds.runsMax) runs, each once")
    }
    if !(1...DownsamplingBounds.keysMax).contains(request.keys.count)
      || Set(keys.map { ExactText($0) }).count < keys.count
    {
      validator.refuse("keys", "must be 1 to \(DownsamplingBounds.keysMax) keys, each once")
    }
    let standard = DownsamplingBounds.buckets
    let most = DownsamplingBounds.bucketsMax
    count = request.bucketCount == 0 ? standard : Int(request.bucketCount)
    if count > most {
      validator.refuse("bucket_count", "must be 1 to \(most), or 0 for \(standard)")
    } else if count * max(1, runIDs.count) * max(1, keys.count)
      > DownsamplingBounds.bucketsInAllMax
    {
      validator.refuse(
        "bucket_count",
        "must be at most \(DownsamplingBounds.bucketsInAllMax) in all series together")
    }
    place = request.axis == .time ? .time : .step
    switch place {
    case .step:
      (from, to) = (request.fromStep, request.toStep)
      if let from, let to, from > to {
        validator.refuse("to_step", "must be at least from_step")
      }
      for (name, time) in [
        ("from_time_us", request.fromTimeUs), ("to_time_us", request.toTimeUs),
      ] where time != nil {
        validator.refuse(name, "must be absent where buckets are of steps")
      }
    case .time:
      from = request.fromTimeUs
      // The last microsecond before it; before the first there is none.
      to = request.toTimeUs.map { $0 == .min ? .min : $0 - 1 }
      if let end = request.toTimeUs, end <= request.fromTimeUs ?? .min {
        validator.refuse("to_time_us", "must be after from_time_us")
      }
      for (name, step) in [("from_step", request.fromStep), ("to_step", request.toStep)]
      where step != nil {
        validator.refuse(name, "must be absent where buckets are of times")
      }
    }
    try validator.finish()
  }
}

/// Reads one metric into buckets: rollups where they are fine enough, points where not.
private struct BucketReader {
  let runID: UUID
  let key: String
  /// The step from which on the points of an epoch are shadowed by a later one.
  let limits: EpochLimits
  let call: CallContext

  /// The metric on a grid, or on a coarser one where nothing finer is left.
  func read(_ wanted: BucketGrid) async throws(CallError) -> BucketGrid {
    for _ in 0..<DownsamplingBounds.attempts {
      let parts = try await plan(wanted)
      var grid = wanted
      if let coarsest = parts.map(\.rollupExponent).max(), coarsest > wanted.exponent {
        grid = BucketGrid(
          of: wanted.place, from: wanted.first, to: wanted.last, exponent: coarsest)
      }
      let isWhole = try await addRollups(parts.filter { !isRead($0) }, &grid)
      if isWhole, try await addPoints(parts.filter(isRead), &grid) { return grid }
    }
    throw CallError(
      RpcErrorReason.responseTooLarge,
      "The points of \(key) are merged faster than they can be read; ask again in a moment.")
  }

  private func plan(_ grid: BucketGrid) async throws(CallError) -> [any BucketPart] {
    let organizationID = call.principal.organizationID
    let count = DownsamplingBounds.partsMax + 1
    let parts: [any BucketPart]
    switch grid.place {
    case .step:
      parts = try await call.read(
        RollupsQueries.planBuckets(
          organizationID: organizationID, runID: runID, key: key, toStep: grid.last,
          fromStep: grid.first, exponent: grid.exponent, partCount: count))
    case .time:
      parts = try await call.read(
        RollupsQueries.planBucketsByTime(
          organizationID: organizationID, runID: runID, key: key, toTimeUs: grid.last,
          fromTimeUs: grid.first, exponent: grid.exponent, partCount: count))
    }
    let points = parts.lazy.filter(isRead).reduce(0) { $0 + $1.pointCount }
    guard parts.count <= Int(DownsamplingBounds.partsMax), points <= DownsamplingBounds.pointsMax
    else {
      throw CallError(
        RpcErrorReason.responseTooLarge,
        "More than \(DownsamplingBounds.pointsMax) points of \(key) are not rolled up yet; ask "
          + "for fewer steps, or again after the next compaction.")
    }
    return parts
  }

  /// Whether the points of a part are read: nothing coarser will do, or a limit cuts through it.
  private func isRead(_ part: any BucketPart) -> Bool {
    guard part.rollupExponent > 0, part.pointCount > 0 else { return part.rollupExponent == 0 }
    return limits.limit(of: part.epoch).map { $0 <= part.maxStep } ?? false
  }

  /// Adds rollups; false when one was merged again meanwhile.
  private func addRollups(
    _ parts: [any BucketPart], _ grid: inout BucketGrid
  ) async throws(CallError) -> Bool {
    var rest = parts[...]
    while !rest.isEmpty {
      let some = rest.prefix(DownsamplingBounds.rollupsPerRead)
      rest = rest.dropFirst(some.count)
      let rows = try await call.read(
        RollupsQueries.listRollups(
          ids: some.map(\.id), exponents: some.map(\.rollupExponent),
          mergedXids: some.map(\.mergedXid), organizationID: call.principal.organizationID,
          byTime: grid.place == .time))
      guard rows.count == some.count else { return false }
      for row in rows {
        let limit = limits.limit(of: row.epoch) ?? .max
        for index in row.cells.indices where row.firstSteps[index] < limit {
          grid.add(Bucket(row, index), cell: row.cells[index], exponent: row.exponent)
        }
      }
    }
    return true
  }

  /// Adds points; false when a chunk was merged meanwhile.
  private func addPoints(
    _ parts: [any BucketPart], _ grid: inout BucketGrid
  ) async throws(CallError) -> Bool {
    var rest = parts[...]
    while !rest.isEmpty {
      var points: Int64 = 0
      let some = rest.prefix { part in
        defer { points += part.pointCount }
        return points < DownsamplingBounds.pointsPerRead
      }
      rest = rest.dropFirst(some.count)
      let rows = try await call.read(
        RollupsQueries.listChunksByID(
          ids: some.map(\.id), mergedXids: some.map(\.mergedXid),
          organizationID: call.principal.organizationID))
      guard rows.count == some.count else { return false }
      for row in rows {
        let limit = limits.limit(of: row.epoch)
        for point in MetricChunk(row).points {
          if let limit, point.step >= limit { continue }
          grid.add(point)
        }
      }
    }
    return true
  }
}

/// A part as a statement returns it.
private protocol BucketPart {
  var id: UUID { get }
  var mergedXid: String { get }
  var epoch: Int64 { get }
  var maxStep: Int64 { get }
  var rollupExponent: Int64 { get }
  var pointCount: Int64 { get }
}

extension RollupsQueries.PlanBucketsRow: BucketPart {}
extension RollupsQueries.PlanBucketsByTimeRow: BucketPart {}

extension Bucket {
  fileprivate init(_ row: RollupsQueries.ListRollupsRow, _ index: Int) {
    self.init(
      count: row.pointCounts[index], nanCount: row.nanCounts[index],
      low: (row.minValues[index], row.minSteps[index], row.minTimesUs?[index] ?? 0),
      high: (row.maxValues[index], row.maxSteps[index], row.maxTimesUs?[index] ?? 0),
      sum: row.sums[index],
      first: MetricPoint(
        step: row.firstSteps[index], timeUs: row.firstTimesUs[index],
        value: row.firstValues[index]),
      last: MetricPoint(
        step: row.lastSteps[index], timeUs: row.lastTimesUs[index],
        value: row.lastValues[index]))
  }
}

extension RollupsQueries.ListChunksByIDRow: ChunkRow {}

extension MetricBuckets {
  fileprivate init(_ runID: UUID, _ key: String, _ grid: BucketGrid) {
    self.init()
    self.runID = "\(runID)"
    self.key = key
    for (cell, bucket) in grid.filled {
      cells.append(cell)
      counts.append(UInt64(clamping: bucket.count))
      nanCounts.append(UInt64(clamping: bucket.nanCount))
      minValues.append(bucket.low.value)
      minSteps.append(bucket.low.step)
      maxValues.append(bucket.high.value)
      maxSteps.append(bucket.high.step)
      means.append(bucket.mean)
      firstSteps.append(bucket.first.step)
      firstValues.append(bucket.first.value)
      lastSteps.append(bucket.last.step)
      lastValues.append(bucket.last.value)
      guard grid.place == .time else { continue }
      minTimesUs.append(bucket.low.timeUs)
      maxTimesUs.append(bucket.high.timeUs)
      firstTimesUs.append(bucket.first.timeUs)
      lastTimesUs.append(bucket.last.timeUs)
    }
  }
}
