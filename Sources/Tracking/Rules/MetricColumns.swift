internal import Messages
internal import Postgres
internal import RPC

/// The bounds of points.
enum MetricBounds {
  /// Unicode scalars.
  static let keyCharacters = 1...250
  /// Points in one batch.
  static let batchPointsMax = 10_000
  /// Microseconds since 1970 to the end of the year 9999.
  static let timesUs: ClosedRange<Int64> = 0...253_402_300_799_999_999
  /// Points that one transaction stores of one stream.
  static let groupPointsMax = 100_000
  /// Batches that one transaction stores of one stream.
  static let groupBatchesMax = 256
}

/// Points of one metric of one run, in columns.
struct MetricColumns {
  var runID: UUID
  var key: String
  var epoch: Int64 = 0
  var steps: [Int64]
  /// Microseconds since 1970.
  var timesUs: [Int64]
  var values: [Double]

  /// Names what the columns are of.
  struct Identity: Hashable {
    var runID: UUID
    var key: String
    var epoch: Int64

    /// Keys are compared by their bytes, as the database does, and not as text that looks the same.
    static func == (left: Identity, right: Identity) -> Bool {
      left.runID == right.runID && left.epoch == right.epoch
        && left.key.utf8.elementsEqual(right.key.utf8)
    }
  }

  var identity: Identity { Identity(runID: runID, key: key, epoch: epoch) }

  mutating func append(_ other: MetricColumns) {
    steps += other.steps
    timesUs += other.timesUs
    values += other.values
  }
}

extension MetricColumns {
  /// Reads a batch, naming every field that is bad.
  static func read(
    _ request: AppendMetricsRequest, receivedAt now: Int64
  ) throws(CallError) -> [MetricColumns] {
    var validator = Validator()
    var result: [MetricColumns] = []
    for (index, run) in request.runs.enumerated() {
      let runID = validator.id("runs[\(index)].run_id", run.runID)
      result += read(
        run.series, of: runID, epoch: Int64(clamping: run.epoch), at: "runs[\(index)].series",
        receivedAt: now, &validator)
    }
    let points = result.reduce(0) { $0 + $1.steps.count }
    let isOpening = request.runs.contains { $0.fromStep != nil }
    if points == 0, !isOpening { validator.refuse("runs", "must hold at least one point") }
    if points > MetricBounds.batchPointsMax {
      validator.refuse(
        "runs", "must hold at most \(MetricBounds.batchPointsMax) points, hold \(points)")
    }
    try validator.finish()
    return result
  }

  /// Reads the series of one run, and notes every field that is bad.
  static func read(
    _ all: [MetricSeries], of runID: UUID, epoch: Int64 = 0, at path: String,
    receivedAt now: Int64, _ validator: inout Validator
  ) -> [MetricColumns] {
    all.enumerated().map { index, series in
      read(
        series, of: runID, epoch: epoch, at: "\(path)[\(index)]", receivedAt: now, &validator)
    }
  }

  /// Reads one series of a run, and notes every field that is bad.
  static func read(
    _ series: MetricSeries, of runID: UUID, epoch: Int64 = 0, at path: String,
    receivedAt now: Int64, _ validator: inout Validator
  ) -> MetricColumns {
    check(series, path, &validator)
    return MetricColumns(
      runID: runID, key: series.key, epoch: epoch, steps: series.steps,
      timesUs: series.timesUs.isEmpty
        ? Array(repeating: now, count: series.steps.count) : series.timesUs,
      values: series.values)
  }

  private static func check(
    _ series: MetricSeries, _ path: String, _ validator: inout Validator
  ) {
    validator.name("\(path).key", series.key, characters: MetricBounds.keyCharacters)
    if series.steps.isEmpty { validator.refuse("\(path).steps", "must not be empty") }
    if series.values.count != series.steps.count {
      validator.refuse(
        "\(path).values",
        "must be as many as steps (\(series.steps.count)), are \(series.values.count)")
    }
    if !series.timesUs.isEmpty, series.timesUs.count != series.steps.count {
      validator.refuse(
        "\(path).times_us",
        "must be none or as many as steps (\(series.steps.count)), are \(series.timesUs.count)")
    }
    if !series.xs.isEmpty { validator.refuse("\(path).xs", "must be empty in a request") }
    if !series.epochs.isEmpty { validator.refuse("\(path).epochs", "must be empty in a request") }
    if let bad = series.timesUs.firstIndex(where: { !MetricBounds.timesUs.contains($0) }) {
      validator.refuse("\(path).times_us[\(bad)]", "must be of the years 1970 to 9999")
    }
  }

  /// Joins the columns that are of one metric of one run, in the order of their first appearance.
  static func joined(_ all: [MetricColumns]) -> [MetricColumns] {
    var places: [Identity: Int] = [:]
    var result: [MetricColumns] = []
    for columns in all {
      if let place = places[columns.identity] {
        result[place].append(columns)
      } else {
        places[columns.identity] = result.count
        result.append(columns)
      }
    }
    return result
  }
}

/// How a column of whole numbers is stored: the least that tells every number exactly.
enum ColumnForm: Equatable {
  /// first + i × stride.
  case regular(stride: Int64)
  /// first + offset.
  case offsets([Int32])
  /// As they are.
  case wide([Int64])

  /// The form for `numbers`, which are not empty.
  init(_ numbers: [Int64]) {
    if let stride = ColumnForm.stride(of: numbers) {
      self = .regular(stride: stride)
    } else if let offsets = ColumnForm.offsets(of: numbers) {
      self = .offsets(offsets)
    } else {
      self = .wide(numbers)
    }
  }

  /// As the statement that stores chunks numbers the forms.
  var number: Int64 {
    switch self {
    case .regular: 0
    case .offsets: 1
    case .wide: 2
    }
  }

  /// The stride of a regular column.
  var stride: Int64? {
    guard case .regular(let stride) = self else { return nil }
    return stride
  }

  /// The offsets of a column that is stored as such.
  var offsets: [Int32]? {
    guard case .offsets(let offsets) = self else { return nil }
    return offsets
  }

  /// The numbers of a column that is stored as it is.
  var wide: [Int64]? {
    guard case .wide(let numbers) = self else { return nil }
    return numbers
  }

  private static func stride(of numbers: [Int64]) -> Int64? {
    guard numbers.count > 1 else { return 0 }
    let (stride, overflow) = numbers[1].subtractingReportingOverflow(numbers[0])
    guard !overflow else { return nil }
    for index in 2..<max(2, numbers.count) {
      let (step, overflow) = numbers[index].subtractingReportingOverflow(numbers[index - 1])
      guard !overflow, step == stride else { return nil }
    }
    // The whole span has to be computable, too.
    return numbers[numbers.count - 1].subtractingReportingOverflow(numbers[0]).overflow
      ? nil : stride
  }

  private static func offsets(of numbers: [Int64]) -> [Int32]? {
    var offsets: [Int32] = []
    offsets.reserveCapacity(numbers.count)
    for number in numbers {
      let (difference, overflow) = number.subtractingReportingOverflow(numbers[0])
      guard !overflow, let offset = Int32(exactly: difference) else { return nil }
      offsets.append(offset)
    }
    return offsets
  }
}

/// One point.
struct MetricPoint: Equatable {
  var step: Int64
  /// Microseconds since 1970.
  var timeUs: Int64
  var value: Double
  /// 0 unless epochs are told apart.
  var epoch: Int64 = 0

  /// The order of the API: by step, time, value, epoch; NaN after every number, as PostgreSQL
  /// sorts.
  static func precedes(_ left: MetricPoint, _ right: MetricPoint) -> Bool {
    if left.step != right.step { return left.step < right.step }
    if left.timeUs != right.timeUs { return left.timeUs < right.timeUs }
    if left.value.isNaN || right.value.isNaN {
      if left.value.isNaN && right.value.isNaN { return left.epoch < right.epoch }
      return right.value.isNaN
    }
    if left.value != right.value { return left.value < right.value }
    return left.epoch < right.epoch
  }

  /// Whether the two are one point: exact duplicates count once.
  static func isSame(_ left: MetricPoint, _ right: MetricPoint) -> Bool {
    !precedes(left, right) && !precedes(right, left)
  }
}

/// What a batch of points adds to the summary of its metric.
struct MetricExtent: Equatable {
  var minStep: Int64
  var maxStep: Int64
  /// NaN where every value is.
  var minValue = Double.nan
  var maxValue = Double.nan
  /// The first step of the least value; of no meaning where that is NaN.
  var minValueStep: Int64 = 0
  /// The first step of the greatest value; of no meaning where that is NaN.
  var maxValueStep: Int64 = 0
  /// How many values are not NaN.
  var numberCount: Int64 = 0
  /// Of the values that are not NaN.
  var valueSum = 0.0
  /// The greatest by step, time and value.
  var last: MetricPoint

  /// The extent of columns that are not empty.
  init(_ columns: MetricColumns) {
    minStep = columns.steps[0]
    maxStep = columns.steps[0]
    last = MetricPoint(
      step: columns.steps[0], timeUs: columns.timesUs[0], value: columns.values[0])
    // What each addition rounds off is summed beside (Kahan and Babuška).
    var rounded = 0.0
    for index in columns.steps.indices {
      let point = MetricPoint(
        step: columns.steps[index], timeUs: columns.timesUs[index], value: columns.values[index])
      minStep = min(minStep, point.step)
      maxStep = max(maxStep, point.step)
      if MetricPoint.precedes(last, point) { last = point }
      guard !point.value.isNaN else { continue }
      if minValue.isNaN || point.value < minValue {
        minValue = point.value
        minValueStep = point.step
      } else if point.value == minValue {
        minValueStep = min(minValueStep, point.step)
      }
      if maxValue.isNaN || point.value > maxValue {
        maxValue = point.value
        maxValueStep = point.step
      } else if point.value == maxValue {
        maxValueStep = min(maxValueStep, point.step)
      }
      numberCount += 1
      let sum = valueSum + point.value
      rounded +=
        abs(valueSum) >= abs(point.value)
        ? (valueSum - sum) + point.value : (point.value - sum) + valueSum
      valueSum = sum
    }
    if valueSum.isFinite, rounded.isFinite { valueSum += rounded }
  }
}
