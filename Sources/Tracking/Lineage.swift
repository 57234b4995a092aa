internal import Messages
internal import Postgres
internal import RPC

/// The runs that a history comes from: the run itself, and those that it was forked from.
///
/// To be forked at a step is to go on from an epoch that another run opens behind that step: of
/// that run, what is later is left out.
struct Lineage {
  /// The run first, then the nearest.
  var parts: [Part]
  /// Whether a run that it was forked from is deleted, or not for the caller to see; what is beyond
  /// it is left out too.
  var lacksRuns = false

  /// What a history has of one run.
  struct Part {
    var runID: UUID
    var projectID: UUID
    var limits: EpochLimits
  }
}

/// Between which steps a run has points of a metric that belong to a history.
struct LineageExtent {
  /// The run whose history it is.
  var runID: UUID
  var key: String
  var part: Lineage.Part
  var firstStep: Int64
  var lastStep: Int64
}

extension TrackingService {
  /// What runs were forked from, the nearest first.
  func forkSources(
    of runIDs: [UUID], _ call: CallContext
  ) async throws(CallError) -> [UUID: [RunsQueries.ListForkSourcesRow]] {
    let rows = try await call.read(
      RunsQueries.listForkSources(
        runIDs: runIDs, organizationID: call.principal.organizationID,
        forksMax: RunBounds.forksMax))
    var sources: [UUID: [RunsQueries.ListForkSourcesRow]] = [:]
    for row in rows { sources[row.runID, default: []].append(row) }
    return sources
  }

  /// The lineage of a run that the caller sees.
  func lineage(
    of record: RunRecord, isInherited: Bool, _ call: CallContext
  ) async throws(CallError) -> Lineage {
    let sources = isInherited ? try await forkSources(of: [record.id], call) : [:]
    return try await lineage(
      of: record.id, in: record.projectID, from: sources[record.id] ?? [], call)
  }

  /// The lineage of a run that the caller sees, with the sources that they see.
  func lineage(
    of runID: UUID, in projectID: UUID, from sources: [RunsQueries.ListForkSourcesRow],
    _ call: CallContext
  ) async throws(CallError) -> Lineage {
    let own = try await epochLimits(of: runID, call)
    var result = Lineage(
      parts: [Lineage.Part(runID: runID, projectID: projectID, limits: own)])
    for source in sources {
      guard let id = source.id, let project = source.projectID,
        try await call.roleInProject(project) != nil
      else {
        result.lacksRuns = true
        break
      }
      var limits = try await epochLimits(of: id, call)
      // All of it, if there is no step behind the last one.
      limits.end = source.lastStep == .max ? nil : source.lastStep + 1
      result.parts.append(Lineage.Part(runID: id, projectID: project, limits: limits))
    }
    return result
  }

  /// Demands that the caller still sees all runs of a lineage: who may no longer look is not told
  /// the rest.
  func require(_ lineage: Lineage, _ call: CallContext) async throws(CallError) {
    for part in lineage.parts {
      guard try await call.roleInProject(part.projectID) != nil else {
        throw runNotFound(part.runID)
      }
    }
  }

  /// Where the runs of a lineage have points of metrics, by key in their order.
  func lineageExtents(
    of keys: [String], _ lineage: Lineage, _ call: CallContext
  ) async throws(CallError) -> [LineageExtent] {
    let rows = try await call.read(
      RollupsQueries.listMetricExtents(
        organizationID: call.principal.organizationID, runIDs: lineage.parts.map(\.runID),
        keys: keys))
    let byKey = Dictionary(grouping: rows) { ExactText($0.key) }
    var result: [LineageExtent] = []
    for key in keys {
      let runs = Dictionary(grouping: byKey[ExactText(key)] ?? [], by: \.runID)
      for part in lineage.parts {
        guard let row = runs[part.runID]?.first else { continue }
        let last = part.limits.end.map { min($0 - 1, row.lastStep) } ?? row.lastStep
        if row.firstStep > last { continue }
        result.append(
          LineageExtent(
            runID: lineage.parts[0].runID, key: key, part: part, firstStep: row.firstStep,
            lastStep: last))
      }
    }
    return result
  }

  /// Reads a metric's points of a lineage.
  func lineageReader(
    of key: String, _ lineage: Lineage, fromStep: Int64, after: MetricPoint?,
    includesShadowed: Bool, _ call: CallContext
  ) async throws(CallError) -> LineageReader {
    func reader(_ part: Lineage.Part, includesShadowed: Bool) -> HistoryReader {
      HistoryReader(
        runID: part.runID, key: key, fromStep: fromStep, after: after, limits: part.limits,
        includesShadowed: includesShadowed, call: call)
    }
    // Where shadowed points begin, no extent tells.
    var sources = [
      LineageReader.Source(
        reader(lineage.parts[0], includesShadowed: includesShadowed), firstStep: .min)
    ]
    if lineage.parts.count > 1 {
      let extents = try await lineageExtents(of: [key], lineage, call)
      for extent in extents
      where extent.part.runID != extent.runID && extent.lastStep >= fromStep {
        sources.append(
          LineageReader.Source(
            reader(extent.part, includesShadowed: false), firstStep: extent.firstStep))
      }
    }
    return LineageReader(sources, after: after)
  }
}

/// Reads a metric's points of several runs in one order, each run from where it begins to matter.
struct LineageReader {
  /// One of the runs.
  struct Source {
    fileprivate var reader: HistoryReader
    fileprivate let firstStep: Int64
    fileprivate var held: ArraySlice<MetricPoint> = []
    fileprivate var isAtEnd = false

    init(_ reader: HistoryReader, firstStep: Int64) {
      self.reader = reader
      self.firstStep = firstStep
    }

    /// Reads on, unless points are held.
    fileprivate mutating func fill() async throws(CallError) {
      while held.isEmpty, !isAtEnd {
        if let more = try await reader.next() { held = more[...] } else { isAtEnd = true }
      }
    }
  }

  private var open: [Source] = []
  /// Those that begin later, the last one first.
  private var waiting: [Source]
  private var last: MetricPoint?
  private let isAlone: Bool

  init(_ sources: [Source], after: MetricPoint?) {
    waiting = sources.sorted { $0.firstStep > $1.firstStep }
    last = after
    isAlone = sources.count == 1
  }

  /// The next points; nil at the end.
  ///
  /// May be empty in between.
  mutating func next() async throws(CallError) -> [MetricPoint]? {
    if open.isEmpty {
      guard let next = waiting.popLast() else { return nil }
      open.append(next)
    }
    if waiting.isEmpty, open.count == 1 { return try await onlyNext() }
    for index in open.indices { try await open[index].fill() }
    open.removeAll { $0.held.isEmpty }
    // A source that begins before points that would be given out has to be read first.
    while let frontier, let begin = waiting.last?.firstStep, begin <= frontier.step,
      var next = waiting.popLast()
    {
      try await next.fill()
      if !next.held.isEmpty { open.append(next) }
    }
    return takeFinal()
  }

  /// The last point up to which every open source has been read.
  private var frontier: MetricPoint? {
    open.lazy.compactMap { $0.held.last }.min(by: MetricPoint.precedes)
  }

  /// The points of the only source that is left.
  private mutating func onlyNext() async throws(CallError) -> [MetricPoint]? {
    guard open[0].held.isEmpty else {
      defer { open[0].held = [] }
      return unseen(Array(open[0].held))
    }
    guard let points = try await open[0].reader.next() else { return nil }
    return isAlone ? points : unseen(points)
  }

  /// The points up to which every source has been read.
  private mutating func takeFinal() -> [MetricPoint] {
    guard let frontier else { return [] }
    var result: [MetricPoint] = []
    for index in open.indices {
      let held = open[index].held
      let part = held.prefix { !MetricPoint.precedes(frontier, $0) }
      result += part
      open[index].held = held.dropFirst(part.count)
    }
    if open.count > 1 { result.sort(by: MetricPoint.precedes) }
    return unseen(result)
  }

  /// Points without those that came already: what two runs have in common counts once.
  private mutating func unseen(_ points: [MetricPoint]) -> [MetricPoint] {
    var result: [MetricPoint] = []
    result.reserveCapacity(points.count)
    for point in points {
      if let last, !MetricPoint.precedes(last, point) { continue }
      result.append(point)
      last = point
    }
    return result
  }
}
