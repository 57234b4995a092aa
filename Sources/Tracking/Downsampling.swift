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
    let first = request.fromStep ?? extents.map(\.firstStep).min() ?? 0
    let last = request.toStep ?? extents.map(\.lastStep).max() ?? 0
    guard first <= last else { return response }
    var exponent = BucketGrid(from: first, to: last, count: wanted.count).exponent
    var plans: [(runID: UUID, key: String, grid: BucketGrid)] = []
    for extent in extents where extent.firstStep <= last {
      let reader = BucketReader(
        runID: extent.part.runID, key: extent.key, first: first, last: last,
        limits: extent.part.limits, call: call)
      plans.append((extent.runID, extent.key, try await reader.read(exponent)))
      exponent = max(exponent, plans[plans.count - 1].grid.exponent)
    }
    response.bucketSteps = 1 << UInt64(exponent)
    var rest = plans[...]
    while let plan = rest.first {
      // Where one metric has nothing finer left, the others come as coarse as it does.
      var grid = BucketGrid(from: first, to: last, exponent: exponent)
      // What a fork has from several runs are neighbours.
      while let part = rest.first, part.runID == plan.runID, part.key == plan.key {
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
}

/// What a request asks for, once it is known to be in order.
private struct WantedBuckets {
  var runIDs: [UUID]
  let keys: [String]
  let count: Int

  init(_ request: DownsampleMetricHistoryRequest) throws(CallError) {
    var validator = Validator()
    runIDs = []
    for (index, text) in request.runIDs.prefix(DownsamplingBounds.runsMax).enumerated() {
      runIDs.append(validator.id("run_ids[\(index)]", text))
    }
    keys = Array(request.keys.prefix(DownsamplingBounds.keysMax))
    for (index, key) in keys.enumerated() {
      validator.name("keys[\(index)]", key, bytes: MetricBounds.keyBytes)
    }
    if !(1...DownsamplingBounds.runsMax).contains(request.runIDs.count)
      || Set(runIDs).count < runIDs.count
    {
      validator.refuse("run_ids", "must be 1 to \(DownsamplingBounds.runsMax) runs, each once")
    }
    if !(1...DownsamplingBounds.keysMax).contains(request.keys.count)
      || Set(keys).count < keys.count
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
    if let from = request.fromStep, let to = request.toStep, from > to {
      validator.refuse("to_step", "must be at least from_step")
    }
    try validator.finish()
  }
}

/// Reads one metric into buckets: rollups where they are fine enough, points where not.
private struct BucketReader {
  let runID: UUID
  let key: String
  let first: Int64
  let last: Int64
  /// The step from which on the points of an epoch are shadowed by a later one.
  let limits: EpochLimits
  let call: CallContext

  private typealias Part = RollupsQueries.PlanBucketsRow

  /// The metric in buckets of 2^exponent steps, or of more where nothing finer is left.
  func read(_ exponent: Int64) async throws(CallError) -> BucketGrid {
    for _ in 0..<DownsamplingBounds.attempts {
      let parts = try await plan(exponent)
      let coarsest = max(exponent, parts.map(\.rollupExponent).max() ?? 0)
      var grid = BucketGrid(from: first, to: last, exponent: coarsest)
      let isWhole = try await addRollups(parts.filter { !isRead($0) }, &grid)
      if isWhole, try await addPoints(parts.filter(isRead), &grid) { return grid }
    }
    throw CallError(
      RpcErrorReason.responseTooLarge,
      "The points of \(key) are merged faster than they can be read; ask again in a moment.")
  }

  private func plan(_ exponent: Int64) async throws(CallError) -> [Part] {
    let parts = try await call.read(
      RollupsQueries.planBuckets(
        organizationID: call.principal.organizationID, runID: runID, key: key, toStep: last,
        fromStep: first, exponent: exponent, partCount: DownsamplingBounds.partsMax + 1))
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
  private func isRead(_ part: Part) -> Bool {
    guard part.rollupExponent > 0, part.pointCount > 0 else { return part.rollupExponent == 0 }
    return limits.limit(of: part.epoch).map { $0 <= part.maxStep } ?? false
  }

  /// Adds rollups; false when one was merged again meanwhile.
  private func addRollups(
    _ parts: [Part], _ grid: inout BucketGrid
  ) async throws(CallError) -> Bool {
    var rest = parts[...]
    while !rest.isEmpty {
      let some = rest.prefix(DownsamplingBounds.rollupsPerRead)
      rest = rest.dropFirst(some.count)
      let rows = try await call.read(
        RollupsQueries.listRollups(
          ids: some.map(\.id), exponents: some.map(\.rollupExponent),
          mergedXids: some.map(\.mergedXid), organizationID: call.principal.organizationID))
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
    _ parts: [Part], _ grid: inout BucketGrid
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

extension Bucket {
  fileprivate init(_ row: RollupsQueries.ListRollupsRow, _ index: Int) {
    self.init(
      count: row.pointCounts[index], nanCount: row.nanCounts[index],
      low: (row.minValues[index], row.minSteps[index]),
      high: (row.maxValues[index], row.maxSteps[index]), sum: row.sums[index],
      first: MetricPoint(
        step: row.firstSteps[index], timeUs: row.firstTimesUs[index],
        value: row.firstValues[index]),
      last: MetricPoint(
        step: row.lastSteps[index], timeUs: row.lastTimesUs[index],
        value: row.lastValues[index]))
  }
}

extension MetricChunk {
  fileprivate init(_ row: RollupsQueries.ListChunksByIDRow) {
    self.init(
      pointCount: Int(row.pointCount), minStep: row.firstStep,
      steps: ChunkColumn(
        first: row.firstStep, stride: row.stepStride, offsets: row.stepOffsets, wide: row.steps),
      times: ChunkColumn(
        first: row.firstTimeUs, stride: row.timeStrideUs, offsets: row.timeOffsetsUs,
        wide: row.timesUs),
      values: row.pointValues)
  }
}

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
    }
  }
}
