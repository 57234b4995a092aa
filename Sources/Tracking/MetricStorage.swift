internal import EventLoop
internal import Messages
internal import Postgres
internal import RPC

/// Consecutive batches of one writer that are stored in one transaction.
struct MetricGroup: AppendGroup {
  private(set) var batches:
    [(sequence: UInt64, columns: [MetricColumns], openings: [EpochOpening])] = []
  private(set) var pointCount = 0

  var isEmpty: Bool { batches.isEmpty }
  var isFull: Bool {
    pointCount >= MetricBounds.groupPointsMax - MetricBounds.batchPointsMax
      || batches.count == MetricBounds.groupBatchesMax
  }
  var lastSequence: UInt64 { batches.last?.sequence ?? 0 }
  var firstSequence: Int64 { Int64(clamping: batches.first?.sequence ?? 0) }
  /// The points of all batches, in their order.
  var columns: [MetricColumns] { batches.flatMap(\.columns) }
  var openings: [EpochOpening] { batches.flatMap(\.openings) }
  var runIDs: Set<UUID> { Set(columns.map(\.runID) + openings.map(\.runID)) }

  mutating func append(_ request: AppendMetricsRequest) throws(CallError) {
    let openings = try EpochOpening.read(request)
    append(
      request.sequence,
      try MetricColumns.read(request, receivedAt: WallClock.microseconds()), openings)
  }

  private mutating func append(
    _ sequence: UInt64, _ columns: [MetricColumns], _ openings: [EpochOpening]
  ) {
    batches.append((sequence, columns, openings))
    pointCount += columns.reduce(0) { $0 + $1.steps.count }
  }

  func store(writer: UUID, _ call: CallContext) async throws(PostgresError) {
    if pointCount < SharedAppends.alonePointsMin, openings.isEmpty {
      let database = call.database
      switch await call.keptOnLoop({ SharedAppends(database) })
        .store(self, writer: writer, call)
      {
      case .stored: return
      case .undecided: break
      case .failed(let error): throw error
      }
    }
    try await call.database.commit(call.work, statements(writer: writer, call))
  }

  /// Each batch as a group of its own.
  var single: [MetricGroup] {
    batches.map { batch in
      var group = MetricGroup()
      group.append(batch.sequence, batch.columns, batch.openings)
      return group
    }
  }

  /// The statements that store the group: the writer moves on, epochs are opened, the runs are
  /// held, chunks and summaries are written.
  ///
  /// Any of them may refuse, which undoes all.
  func statements(writer: UUID, _ call: CallContext) -> Batch {
    var batch = Batch()
    batch.add(
      MetricAppendsQueries.advanceWriter(
        firstSequence: Int64(clamping: batches[0].sequence),
        lastSequence: Int64(clamping: lastSequence),
        organizationID: call.principal.organizationID, writerID: writer))
    if !openings.isEmpty {
      batch.add(
        MetricAppendsQueries.openEpochs(
          runIDs: openings.map(\.runID), organizationID: call.principal.organizationID,
          userID: call.principal.id, sufficientRoles: call.sufficientRoles, writerID: writer,
          epochs: openings.map(\.epoch), fromSteps: openings.map(\.fromStep)))
    }
    MetricGroup.store(columns, &batch, call, opening: openings)
    return batch
  }

  /// Adds the statements that store points: the runs are held, chunks and summaries are written.
  static func store(
    _ columns: [MetricColumns], _ batch: inout Batch, _ call: CallContext,
    opening openings: [EpochOpening] = []
  ) {
    // A run of two epochs is there twice, and one of the two is refused.
    let runs = Array(
      Set(columns.map(\.run)).union(openings.map { RunInEpoch(id: $0.runID, epoch: $0.epoch) }))
    batch.add(
      MetricAppendsQueries.requireRunningRuns(
        runIDs: runs.map(\.id), organizationID: call.principal.organizationID,
        userID: call.principal.id, sufficientRoles: call.sufficientRoles,
        epochs: runs.map(\.epoch)))
    write(columns, &batch, call)
  }

  /// Adds the statements that write chunks and summaries of runs that are held.
  static func write(_ columns: [MetricColumns], _ batch: inout Batch, _ call: CallContext) {
    guard !columns.isEmpty else { return }
    let organizationID = call.principal.organizationID
    let all = MetricColumns.joined(columns)
    let extents = all.map { MetricExtent($0) }
    var small: [Int] = []
    for (index, columns) in all.enumerated() {
      if columns.steps.count < chunkAlonePointsMin {
        small.append(index)
      } else {
        batch.add(insertChunk(columns, extents[index], call))
      }
    }
    if !small.isEmpty {
      batch.add(insertChunks(small.map { all[$0] }, small.map { extents[$0] }, call))
    }
    batch.add(
      MetricAppendsQueries.upsertMetricSummaries(
        organizationID: organizationID, runIDs: all.map(\.runID), keys: all.map(\.key),
        pointCounts: all.map { Int64($0.steps.count) }, firstSteps: extents.map(\.minStep),
        lastSteps: extents.map(\.last.step), lastTimesUs: extents.map(\.last.timeUs),
        lastValues: extents.map(\.last.value), minValues: extents.map(\.minValue),
        maxValues: extents.map(\.maxValue), numberCounts: extents.map(\.numberCount),
        valueSums: extents.map(\.valueSum), minSteps: extents.map(\.minValueStep),
        maxSteps: extents.map(\.maxValueStep)))
  }

  /// Points from which a chunk has a statement of its own.
  private static let chunkAlonePointsMin = 1_000

  private static func insertChunk(
    _ columns: MetricColumns, _ extent: MetricExtent, _ call: CallContext
  ) -> Query<Int> {
    let steps = ColumnForm(columns.steps)
    let times = ColumnForm(columns.timesUs)
    return MetricAppendsQueries.insertMetricChunk(
      organizationID: call.principal.organizationID, id: call.nextID(), runID: columns.runID,
      key: columns.key, epoch: columns.epoch, pointCount: Int64(columns.steps.count),
      minStep: extent.minStep, maxStep: extent.maxStep, firstStep: columns.steps[0],
      stepStride: steps.stride, firstTimeUs: columns.timesUs[0], timeStrideUs: times.stride,
      minValue: extent.minValue, maxValue: extent.maxValue, stepOffsets: steps.offsets,
      steps: steps.wide,
      timeOffsetsUs: times.offsets, timesUs: times.wide, pointValues: columns.values)
  }

  private static func insertChunks(
    _ all: [MetricColumns], _ extents: [MetricExtent], _ call: CallContext
  ) -> Query<Int> {
    let steps = NumberColumns(all.map(\.steps))
    let times = NumberColumns(all.map(\.timesUs))
    var values: [Double] = []
    var valueEnds: [Int64] = []
    for columns in all {
      values += columns.values
      valueEnds.append(Int64(values.count))
    }
    return MetricAppendsQueries.insertMetricChunks(
      organizationID: call.principal.organizationID, stepOffsets: steps.offsets,
      wideSteps: steps.wide, timeOffsetsUs: times.offsets, wideTimesUs: times.wide,
      pointValues: values, ids: all.map { _ in call.nextID() }, runIDs: all.map(\.runID),
      keys: all.map(\.key), epochs: all.map(\.epoch),
      pointCounts: all.map { Int64($0.steps.count) }, minSteps: extents.map(\.minStep),
      maxSteps: extents.map(\.maxStep), stepForms: steps.forms, stepEnds: steps.ends,
      firstSteps: steps.first, stepStrides: steps.strides, timeForms: times.forms,
      timeEnds: times.ends, firstTimesUs: times.first, timeStridesUs: times.strides,
      minValues: extents.map(\.minValue), maxValues: extents.map(\.maxValue),
      valueEnds: valueEnds)
  }
}

/// What a writer appends to.
struct RunInEpoch: Hashable {
  var id: UUID
  var epoch: Int64
}

extension MetricColumns {
  var run: RunInEpoch { RunInEpoch(id: runID, epoch: epoch) }
}

/// Many columns of whole numbers, laid out as the statement that stores chunks takes them.
private struct NumberColumns {
  var forms: [Int64] = []
  /// Where a column ends in `offsets` or `wide`, whichever has it; 0 where neither does.
  var ends: [Int64] = []
  var first: [Int64] = []
  var strides: [Int64] = []
  var offsets: [Int32] = []
  var wide: [Int64] = []

  init(_ columns: [[Int64]]) {
    for numbers in columns {
      let form = ColumnForm(numbers)
      forms.append(form.number)
      first.append(numbers[0])
      switch form {
      case .regular(let stride):
        strides.append(stride)
        ends.append(0)
      case .offsets(let more):
        strides.append(0)
        offsets += more
        ends.append(Int64(offsets.count))
      case .wide(let more):
        strides.append(0)
        wide += more
        ends.append(Int64(wide.count))
      }
    }
  }
}
