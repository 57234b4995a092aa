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
    characters: ClosedRange<Int> = MetricBounds.keyCharacters, _ validator: inout Validator
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
      validator.name("\(field).keys[\(index)]", key, characters: characters)
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
  mutating func place(_ id: UUID, _ bytesInKind: Int64, own: Int64) -> Int? {
    guard let place = places[id] else { return nil }
    if bytesInKind > RunSearchBounds.includedBytesMax { count = min(count, place) }
    guard place < count else { return nil }
    bytes[place] += own
    return place
  }

  /// The rows of a kind for which there is room, each with the place of what it belongs to.
  mutating func fitting<Row: FoundRow>(_ rows: [Row]) -> [(place: Int, row: Row)] {
    var fitting: [(place: Int, row: Row)] = []
    for row in rows {
      guard let place = place(row.ownerID, row.bytes, own: Int64(row.ownBytes)) else { continue }
      fitting.append((place, row))
    }
    return fitting
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

/// What statements return of something that was found.
protocol FoundRow {
  associatedtype Bytes: FixedWidthInteger
  /// What it belongs to.
  var ownerID: UUID { get }
  /// Those of its kind up to it.
  var bytes: Int64 { get }
  var ownBytes: Bytes { get }
}

/// What statements return of the keyed texts of one that was found.
protocol FoundTextsRow: FoundRow {
  var keys: [String] { get }
  var pairValues: [String] { get }
}

extension FoundTextsRow {
  var parameters: [Parameter] { zip(keys, pairValues).map { Parameter(key: $0, value: $1) } }
  var tags: [Tag] { zip(keys, pairValues).map { Tag(key: $0, value: $1) } }
}

extension SearchQueries.ListFoundParametersRow: FoundTextsRow { var ownerID: UUID { runID } }
extension SearchQueries.ListFoundTagsRow: FoundTextsRow { var ownerID: UUID { runID } }
extension SearchQueries.ListFoundMetricsRow: FoundRow { var ownerID: UUID { runID } }
extension SearchQueries.ListFoundInputsRow: FoundRow { var ownerID: UUID { runID } }
extension SearchQueries.ListFoundModelsRow: FoundRow { var ownerID: UUID { runID } }
extension SearchQueries.ListFoundExperimentTagsRow: FoundTextsRow {
  var ownerID: UUID { experimentID }
}

/// What comes along with found runs.
struct IncludedKinds {
  let parameters: IncludedKeys
  let tags: IncludedKeys
  let metrics: IncludedKeys
  let inputs: IncludedKeys
  let models: IncludedKeys

  /// Reads what a request asks for.
  init(_ request: SearchRunsRequest, _ validator: inout Validator) {
    parameters = IncludedKeys("parameters", request.parameters, &validator)
    tags = IncludedKeys("tags", request.tags, &validator)
    metrics = IncludedKeys("metrics", request.metrics, &validator)
    // No name has more characters than bytes.
    inputs = IncludedKeys(
      "inputs", request.inputs, characters: LinkBounds.datasetNameBytes, &validator)
    models = IncludedKeys(
      "models", request.models, characters: LinkBounds.modelNameCharacters, &validator)
  }
}

extension Batch {
  /// Adds a statement that reads what comes along; nil where nothing of its kind was asked for.
  fileprivate mutating func add<Row>(
    _ asked: IncludedKeys, _ query: (_ takesAll: Bool, _ keys: [String]) -> Query<[Row]>
  ) -> Slot<[Row]>? {
    asked.isEmpty ? nil : add(query(asked.takesAll, asked.keys))
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

  /// Reads what comes along, of all kinds at once.
  mutating func complete(_ asked: IncludedKinds, _ call: CallContext) async throws(CallError) {
    guard !places.ids.isEmpty else { return }
    let (ids, owner) = (places.ids, call.principal.organizationID)
    let most = RunSearchBounds.includedBytesMax
    var batch = Batch()
    let parameters = batch.add(asked.parameters) {
      SearchQueries.listFoundParameters(
        bytesMax: most, runIDs: ids, organizationID: owner, takesAll: $0, keys: $1)
    }
    let tags = batch.add(asked.tags) {
      SearchQueries.listFoundTags(
        bytesMax: most, runIDs: ids, organizationID: owner, takesAll: $0, keys: $1)
    }
    let metrics = batch.add(asked.metrics) {
      SearchQueries.listFoundMetrics(
        bytesMax: most, runIDs: ids, organizationID: owner, takesAll: $0, keys: $1)
    }
    let inputs = batch.add(asked.inputs) {
      SearchQueries.listFoundInputs(
        organizationID: owner, runIDs: ids, takesAll: $0, names: $1, bytesMax: most)
    }
    let models = batch.add(asked.models) {
      SearchQueries.listFoundModels(
        runIDs: ids, organizationID: owner, takesAll: $0, names: $1, bytesMax: most)
    }
    try await call.read(batch)
    for (place, row) in places.fitting(parameters?.value ?? []) {
      runs[place].parameters = row.parameters
    }
    for (place, row) in places.fitting(tags?.value ?? []) { runs[place].tags = row.tags }
    for (place, row) in places.fitting(metrics?.value ?? []) { runs[place].metrics = row.metrics }
    for (place, row) in places.fitting(inputs?.value ?? []) {
      runs[place].inputs.append(RunInput(row))
    }
    for (place, row) in places.fitting(models?.value ?? []) {
      runs[place].models.append(RunModel(row))
    }
    try places.finish("run")
  }
}

extension SearchQueries.ListFoundMetricsRow {
  var metrics: [MetricSummary] {
    keys.indices.map { index in
      var summary = MetricSummary()
      summary.key = keys[index]
      summary.count = pointCounts[index]
      summary.firstStep = firstSteps[index]
      summary.lastStep = lastSteps[index]
      summary.lastTimeUs = lastTimesUs[index]
      summary.lastValue = lastValues[index]
      summary.minValue = minValues[index]
      summary.maxValue = maxValues[index]
      return summary
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
        bytesMax: RunSearchBounds.includedBytesMax, experimentIDs: places.ids,
        organizationID: call.principal.organizationID, takesAll: keys.takesAll, keys: keys.keys))
    for (place, row) in places.fitting(rows) { experiments[place].tags = row.tags }
    try places.finish("experiment")
  }
}
