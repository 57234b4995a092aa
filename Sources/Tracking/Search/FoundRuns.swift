internal import Messages
internal import Postgres
internal import RPC

/// What of one kind comes along.
struct IncludedKeys {
  let takesAll: Bool
  let keys: [String]

  /// Reads what a request asks for.
  init(
    _ field: String, _ include: SearchInclude?,
    bytes: ClosedRange<Int> = MetricBounds.keyBytes, _ validator: inout Validator
  ) {
    takesAll = include?.all ?? false
    keys = include?.keys ?? []
    if takesAll, !keys.isEmpty {
      validator.refuse("\(field).keys", "must be empty where all come along")
    }
    if keys.count > RunSearchBounds.includedKeysMax {
      validator.refuse(
        "\(field).keys",
        "must be at most \(RunSearchBounds.includedKeysMax), are \(keys.count)")
    }
    for (index, key) in keys.prefix(RunSearchBounds.includedKeysMax).enumerated() {
      validator.name("\(field).keys[\(index)]", key, bytes: bytes)
    }
  }

  var isEmpty: Bool { !takesAll && keys.isEmpty }
}

/// Which of what was found is complete, with what came along: as much as an answer has room for.
struct FoundPlaces {
  /// The ids of what was found, in its order.
  let ids: [UUID]
  private let places: [UUID: Int]
  private var bytes: [Int64]
  /// How many are complete.
  private(set) var count: Int

  init(_ ids: [UUID]) {
    self.ids = ids
    places = Dictionary(ids.enumerated().map { ($1, $0) }) { first, _ in first }
    bytes = Array(repeating: 0, count: ids.count)
    count = ids.count
  }

  /// The place of one with something of a kind that has `bytesInKind` bytes up to it; nil for what
  /// there is no room for.
  mutating func place(_ id: UUID, _ bytesInKind: Int64, own: Int32) -> Int? {
    guard let place = places[id] else { return nil }
    if bytesInKind > RunSearchBounds.includedBytesMax { count = min(count, place) }
    guard place < count else { return nil }
    bytes[place] += Int64(own)
    return place
  }

  /// Leaves out what has no room with all kinds together.
  mutating func finish(_ what: String) throws(CallError) {
    var total: Int64 = 0
    for (place, own) in bytes.prefix(count).enumerated() {
      total += own
      if total > RunSearchBounds.includedBytesInAllMax {
        count = place
        break
      }
    }
    guard count > 0 || ids.isEmpty else {
      throw CallError(
        TrackingErrorReason.searchTooLarge,
        "One \(what) alone has more than \(RunSearchBounds.includedBytesMax) bytes of what was "
          + "asked for; ask for it by keys.")
    }
  }
}

/// The runs of a page with what comes along; as many as an answer has room for.
struct FoundRuns {
  private var runs: [FoundRun] = []
  private var places: FoundPlaces

  init(_ records: [RunRecord], now: Int64) {
    for record in records {
      var found = FoundRun()
      found.run = Run(record, now: now)
      runs.append(found)
    }
    places = FoundPlaces(records.map(\.id))
  }

  /// How many are complete.
  var count: Int { places.count }

  /// Those that are complete.
  var complete: [FoundRun] { Array(runs.prefix(count)) }

  /// Leaves out what has no room.
  mutating func finish() throws(CallError) { try places.finish("run") }

  mutating func addParameters(_ keys: IncludedKeys, _ call: CallContext) async throws(CallError) {
    guard !keys.isEmpty, !places.ids.isEmpty else { return }
    let rows = try await call.read(
      SearchQueries.listFoundParameters(
        runIDs: places.ids, organizationID: call.principal.organizationID, takesAll: keys.takesAll,
        keys: keys.keys, bytesMax: RunSearchBounds.includedBytesMax))
    for row in rows {
      guard let place = places.place(row.runID, row.bytes, own: row.ownBytes) else { continue }
      var parameter = Parameter()
      parameter.key = row.key
      parameter.value = row.value
      runs[place].parameters.append(parameter)
    }
  }

  mutating func addTags(_ keys: IncludedKeys, _ call: CallContext) async throws(CallError) {
    guard !keys.isEmpty, !places.ids.isEmpty else { return }
    let rows = try await call.read(
      SearchQueries.listFoundTags(
        runIDs: places.ids, organizationID: call.principal.organizationID, takesAll: keys.takesAll,
        keys: keys.keys, bytesMax: RunSearchBounds.includedBytesMax))
    for row in rows {
      guard let place = places.place(row.runID, row.bytes, own: row.ownBytes) else { continue }
      var tag = Tag()
      tag.key = row.key
      tag.value = row.value
      runs[place].tags.append(tag)
    }
  }

  mutating func addMetrics(_ keys: IncludedKeys, _ call: CallContext) async throws(CallError) {
    guard !keys.isEmpty, !places.ids.isEmpty else { return }
    let rows = try await call.read(
      SearchQueries.listFoundMetrics(
        runIDs: places.ids, organizationID: call.principal.organizationID, takesAll: keys.takesAll,
        keys: keys.keys, bytesMax: RunSearchBounds.includedBytesMax))
    for row in rows {
      guard let place = places.place(row.runID, row.bytes, own: row.ownBytes) else { continue }
      var summary = MetricSummary()
      summary.key = row.key
      summary.count = row.pointCount
      summary.firstStep = row.firstStep
      summary.lastStep = row.lastStep
      summary.lastTimeUs = row.lastTimeUs
      summary.lastValue = row.lastValue
      summary.minValue = row.minValue
      summary.maxValue = row.maxValue
      runs[place].metrics.append(summary)
    }
  }
  mutating func addInputs(_ names: IncludedKeys, _ call: CallContext) async throws(CallError) {
    guard !names.isEmpty, !places.ids.isEmpty else { return }
    let rows = try await call.read(
      SearchQueries.listFoundInputs(
        organizationID: call.principal.organizationID, runIDs: places.ids,
        takesAll: names.takesAll, names: names.keys,
        bytesMax: RunSearchBounds.includedBytesMax))
    for row in rows {
      guard let place = places.place(row.runID, row.bytes, own: row.ownBytes) else { continue }
      runs[place].inputs.append(RunInput(row))
    }
  }

  mutating func addModels(_ names: IncludedKeys, _ call: CallContext) async throws(CallError) {
    guard !names.isEmpty, !places.ids.isEmpty else { return }
    let rows = try await call.read(
      SearchQueries.listFoundModels(
        runIDs: places.ids, organizationID: call.principal.organizationID,
        takesAll: names.takesAll, names: names.keys,
        bytesMax: RunSearchBounds.includedBytesMax))
    for row in rows {
      guard let place = places.place(row.runID, row.bytes, own: row.ownBytes) else { continue }
      runs[place].models.append(RunModel(row))
    }
  }
}

/// Experiments with what comes along; as many as an answer has room for.
struct FoundExperiments {
  private var experiments: [Experiment]
  private var places: FoundPlaces

  init(_ found: [(id: UUID, experiment: Experiment)]) {
    experiments = found.map(\.experiment)
    places = FoundPlaces(found.map(\.id))
  }

  /// How many are complete.
  var count: Int { places.count }
  /// Those that are complete.
  var complete: [Experiment] { Array(experiments.prefix(count)) }

  mutating func addTags(_ keys: IncludedKeys, _ call: CallContext) async throws(CallError) {
    guard !keys.isEmpty, !places.ids.isEmpty else { return }
    let rows = try await call.read(
      SearchQueries.listFoundExperimentTags(
        experimentIDs: places.ids, organizationID: call.principal.organizationID,
        takesAll: keys.takesAll, keys: keys.keys, bytesMax: RunSearchBounds.includedBytesMax))
    for row in rows {
      guard let place = places.place(row.experimentID, row.bytes, own: row.ownBytes) else {
        continue
      }
      experiments[place].tags.append(Tag(key: row.key, value: row.value))
    }
    try places.finish("experiment")
  }
}
