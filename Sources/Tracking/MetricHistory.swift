public import Messages
internal import Postgres
public import RPC

/// The bounds of reading points.
enum HistoryBounds {
  static let pagePoints = 1_000
  static let pagePointsMax = 25_000
  /// Chunks that one statement reads.
  static let chunksPerRead: Int64 = 32
  /// Points after which a statement reads no further chunk.
  static let pointsPerRead: Int64 = 50_000
  static let summariesPage = 100
  static let summariesPageMax = 1_000
}

extension TrackingService {
  /// Lists the metrics of a run with their summaries, by key.
  public func listRunMetrics(
    _ request: ListRunMetricsRequest, _ call: CallContext
  ) async throws(CallError) -> ListRunMetricsResponse {
    var validator = Validator()
    let runID = validator.id("run_id", request.runID)
    let size = validator.pageSize(
      request.pageSize, standard: HistoryBounds.summariesPage,
      max: HistoryBounds.summariesPageMax)
    try validator.finish()
    let purpose = "metrics \(runID)"
    var afterKey = ""
    if !request.pageToken.isEmpty {
      guard let key = Token.readText(request.pageToken, for: purpose) else {
        throw pageTokenInvalid()
      }
      afterKey = key
    }
    _ = try await run(runID, includesDeleted: request.includeDeleted, call)
    let rows = try await call.read(
      MetricsQueries.listMetricSummaries(
        organizationID: call.principal.organizationID, runID: runID, afterKey: afterKey,
        pageSize: Int64(size) + 1))
    let definitions = try await metricDefinitions(of: runID, call)
    var response = ListRunMetricsResponse()
    response.metrics = rows.prefix(size).map { row in
      var summary = MetricSummary(row)
      summary.minStep = row.minStep
      summary.maxStep = row.maxStep
      summary.define(by: definitions)
      return summary
    }
    if rows.count > size {
      response.nextPageToken = Token.make(Array(rows[size - 1].key.utf8), for: purpose)
    }
    return response
  }

  /// One page of a metric's points, by (step, time, value).
  public func getMetricHistory(
    _ request: GetMetricHistoryRequest, _ call: CallContext
  ) async throws(CallError) -> GetMetricHistoryResponse {
    var validator = Validator()
    let runID = validator.id("run_id", request.runID)
    validator.name("key", request.key, characters: MetricBounds.keyCharacters)
    validator.xKey(request.xKey, includesShadowed: request.includesShadowed)
    let size = validator.pageSize(
      request.pageSize, standard: HistoryBounds.pagePoints, max: HistoryBounds.pagePointsMax)
    try validator.finish()
    let purpose =
      (request.includesShadowed ? "all " : "") + (request.skipsInherited ? "own " : "")
      + "history \(runID) \(request.xKey.utf8.count) \(request.xKey)\(request.key)"
    let after = try HistoryCursor.read(request.pageToken, for: purpose)
    let record = try await run(runID, includesDeleted: request.includeDeleted, call)
    let lineage = try await lineage(
      of: record, isInherited: record.isFork && !request.skipsInherited, call)

    let from = after?.step ?? .min
    var reader = try await lineageReader(
      of: request.key, lineage, fromStep: from, after: after,
      includesShadowed: request.includesShadowed, call)
    var axis = try await axis(request.xKey, of: request.key, lineage, fromStep: from, call)
    var points: [MetricPoint] = []
    var xs: [Double] = []
    while points.count <= size, let more = try await reader.next() {
      points += try await axis.place(more, &xs)
    }
    var response = GetMetricHistoryResponse()
    response.series = MetricSeries(request.key, points.prefix(size))
    response.series?.xs = Array(xs.prefix(size))
    response.lacksInherited = lineage.lacksRuns
    if points.count > size {
      response.nextPageToken = HistoryCursor.token(points[size - 1], for: purpose)
    }
    return response
  }

  /// All points of a metric from a step on, by (step, time, value).
  public func streamMetricHistory(
    _ request: StreamMetricHistoryRequest,
    _ responses: ResponseStream<StreamMetricHistoryResponse>, _ call: CallContext
  ) async throws(CallError) {
    var validator = Validator()
    let runID = validator.id("run_id", request.runID)
    validator.name("key", request.key, characters: MetricBounds.keyCharacters)
    validator.xKey(request.xKey, includesShadowed: request.includesShadowed)
    try validator.finish()
    let record = try await run(runID, includesDeleted: request.includeDeleted, call)
    let lineage = try await lineage(
      of: record, isInherited: record.isFork && !request.skipsInherited, call)

    let fromStep = request.fromStep ?? .min
    var reader = try await lineageReader(
      of: request.key, lineage, fromStep: fromStep, after: nil,
      includesShadowed: request.includesShadowed, call)
    var axis = try await axis(request.xKey, of: request.key, lineage, fromStep: fromStep, call)
    var isTold = !lineage.lacksRuns
    while let points = try await reader.next() {
      try await require(lineage, call)
      for series in try await axis.series(of: points, from: fromStep) {
        var response = StreamMetricHistoryResponse()
        response.series = series
        response.lacksInherited = lineage.lacksRuns
        try await responses.send(response)
        isTold = true
      }
    }
    if !isTold {
      var response = StreamMetricHistoryResponse()
      response.series = MetricSeries(request.key, [])
      response.lacksInherited = true
      try await responses.send(response)
    }
  }
}

/// Reads a metric's chunks and gives out its points in order, a bounded number of chunks at a time.
struct HistoryReader {
  let runID: UUID
  let key: String
  let fromStep: Int64
  let includesShadowed: Bool
  let call: CallContext

  private var merge: HistoryMerge
  private var lastChunk: (minStep: Int64, id: UUID) = (.min, .zero)
  private var isAtEnd = false
  private let currentEpoch: Int64
  /// The step before which the reader ends; nil = none.
  private let end: Int64?
  /// What was there before the first chunk was read; nil before that.
  private var snapshot: String?

  init(
    runID: UUID, key: String, fromStep: Int64, after: MetricPoint?, limits: EpochLimits,
    includesShadowed: Bool, call: CallContext
  ) {
    self.runID = runID
    self.key = key
    self.fromStep = fromStep
    self.call = call
    self.includesShadowed = includesShadowed
    currentEpoch = limits.current
    end = limits.end
    merge = HistoryMerge(after: after, limits: limits, includesShadowed: includesShadowed)
  }

  /// The next points; nil at the end.
  ///
  /// May be empty in between.
  mutating func next() async throws(CallError) -> [MetricPoint]? {
    if isAtEnd { return nil }
    let rows = try await call.read(
      MetricsQueries.listChunksByStep(
        pageSize: HistoryBounds.chunksPerRead, organizationID: call.principal.organizationID,
        runID: runID, key: key, afterMinStep: lastChunk.minStep, afterID: lastChunk.id,
        fromStep: max(fromStep, merge.lastStep ?? .min), currentEpoch: currentEpoch,
        includesShadowed: includesShadowed, pointsMax: HistoryBounds.pointsPerRead))
    if lastChunk.id != .zero, try await beginAgainIfMerged() { return [] }
    for row in rows { merge.add(MetricChunk(row, minStep: row.minStep)) }
    guard !merge.isOverfull else {
      throw CallError(
        RpcErrorReason.responseTooLarge,
        "More than \(HistoryMerge.heldPointsMax) points of this metric share their steps; "
          + "read it from a later step.")
    }
    if snapshot == nil { snapshot = rows.last?.snapshot }
    if let last = rows.last { lastChunk = (last.minStep, last.id) }
    // Chunks come by their least step.
    isAtEnd = rows.last.map { $0.isLast || $0.minStep >= (end ?? .max) } ?? true
    return merge.takeFinal(before: isAtEnd ? nil : lastChunk.minStep)
  }

  /// Goes back to the last point that was given out when chunks have been merged meanwhile: what
  /// was to come next may be in one that begins earlier.
  private mutating func beginAgainIfMerged() async throws(CallError) -> Bool {
    guard let before = snapshot else { return false }
    let now = try await call.read(
      MetricsQueries.getMerges(
        organizationID: call.principal.organizationID, runID: runID, key: key,
        sinceSnapshot: before))
    guard now.hasMerged else { return false }
    snapshot = now.snapshot
    lastChunk = (.min, .zero)
    merge.forgetHeld()
    return true
  }
}

/// Where a page of points ends.
enum HistoryCursor {
  static func token(_ point: MetricPoint, for purpose: String) -> String {
    var bytes: [UInt8] = []
    for word in [
      UInt64(bitPattern: point.step), UInt64(bitPattern: point.timeUs), point.value.bitPattern,
      UInt64(bitPattern: point.epoch),
    ] {
      for shift in stride(from: UInt64(56), through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> shift))
      }
    }
    return Token.make(bytes, for: purpose)
  }

  static func read(_ token: String, for purpose: String) throws(CallError) -> MetricPoint? {
    if token.isEmpty { return nil }
    guard let bytes = Token.read(token, for: purpose), bytes.count == 32 else {
      throw pageTokenInvalid()
    }
    let words = stride(from: 0, to: 32, by: 8).map { start in
      bytes[start..<start + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }
    return MetricPoint(
      step: Int64(bitPattern: words[0]), timeUs: Int64(bitPattern: words[1]),
      value: Double(bitPattern: words[2]), epoch: Int64(bitPattern: words[3]))
  }
}

/// A chunk as a statement returns it.
protocol ChunkRow {
  var epoch: Int64 { get }
  var pointCount: Int64 { get }
  var firstStep: Int64 { get }
  var stepStride: Int64? { get }
  var stepOffsets: [Int32]? { get }
  var steps: [Int64]? { get }
  var firstTimeUs: Int64 { get }
  var timeStrideUs: Int64? { get }
  var timeOffsetsUs: [Int32]? { get }
  var timeLows: [Int16]? { get }
  var timeHighs: [Int16]? { get }
  var timesUs: [Int64]? { get }
  var pointValues: [Double] { get }
}

extension MetricsQueries.ListChunksByStepRow: ChunkRow {}
extension MetricsQueries.ListChunksBetweenRow: ChunkRow {}

extension MetricChunk {
  init(_ row: some ChunkRow, minStep: Int64? = nil) {
    self.init(
      pointCount: Int(row.pointCount), minStep: minStep ?? row.firstStep,
      steps: ChunkColumn(
        first: row.firstStep, stride: row.stepStride, offsets: row.stepOffsets, wide: row.steps),
      times: ChunkColumn(
        first: row.firstTimeUs, stride: row.timeStrideUs, offsets: row.timeOffsetsUs,
        wide: row.timesUs, lows: row.timeLows, highs: row.timeHighs),
      values: row.pointValues, epoch: row.epoch)
  }
}

extension MetricSeries {
  /// Points as columns.
  init(_ key: String, _ points: some Collection<MetricPoint>) {
    self.init()
    self.key = key
    steps = points.map(\.step)
    timesUs = points.map(\.timeUs)
    values = points.map(\.value)
    if points.contains(where: { $0.epoch > 0 }) {
      epochs = points.map { UInt64(clamping: $0.epoch) }
    }
  }
}

extension MetricSeries {
  /// Points of one epoch as columns.
  init(_ key: String, _ points: [MetricPoint], of epoch: Int64) {
    self.init(key, points)
    if epoch > 0 { epochs = Array(repeating: UInt64(clamping: epoch), count: points.count) }
  }
}

/// A summary as a statement returns it.
protocol SummaryRow {
  var key: String { get }
  var pointCount: Int64 { get }
  var firstStep: Int64 { get }
  var lastStep: Int64 { get }
  var lastTimeUs: Int64 { get }
  var lastValue: Double { get }
  var minValue: Double { get }
  var maxValue: Double { get }
  var numberCount: Int64 { get }
  var valueSum: Double { get }
}

extension MetricsQueries.ListMetricSummariesRow: SummaryRow {}

extension MetricSummary {
  init(_ row: some SummaryRow) {
    self.init()
    key = row.key
    lastStep = row.lastStep
    lastTimeUs = row.lastTimeUs
    lastValue = row.lastValue
    minValue = row.minValue
    maxValue = row.maxValue
    count = row.pointCount
    firstStep = row.firstStep
    meanValue = row.numberCount == 0 ? .nan : row.valueSum / Double(row.numberCount)
  }
}
