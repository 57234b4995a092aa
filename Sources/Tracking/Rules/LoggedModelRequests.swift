internal import Messages
internal import Postgres
internal import RPC

/// The bounds of logged models.
enum LoggedModelBounds {
  static let nameBytes = 1...1_000
  /// What a name must not have: it stands in addresses and filters.
  static let nameWithout = "/:.%\"'"
  static let typeBytesMax = 500
  static let statusMessageBytesMax = 4 << 10
  static let tagValueBytesMax = 32_000
  static let parameterValueBytesMax = 32_000
  /// Parameters of one model.
  static let parametersMax: Int64 = 1_000
  /// Bytes of all tags, and of all parameters, of one model: keys and values, so that all come along
  /// with it.
  static let descriptionBytesMax: Int64 = 512 << 10
  /// Values of metrics that come along with a model.
  static let metricsAlong = 1_000
  /// Values of metrics of one model.
  static let metricsMax: Int64 = 100_000
  /// Series that measure models in one batch.
  static let seriesMax = 1_000
  static let datasetNameBytesMax = 500
  static let datasetDigestBytesMax = 128
  /// Datasets that a search names.
  static let datasetsMax = 100
  static let pageSize = 100
  static let pageSizeMax = 1_000
  static let metricPageSize = 1_000
  static let metricPageSizeMax = 1_000
  /// Bytes of a model in an answer beside its texts, roughly.
  static let ownBytes = 500
}

/// A logged model as the rules see it.
///
/// Times are microseconds since 1970.
struct LoggedModelRecord {
  var id: UUID
  var experimentID: UUID
  var projectID: UUID
  var name: String
  var modelType: String
  /// As the database stores it.
  var status: String
  var statusMessage = ""
  var sourceRunID: UUID?
  var createdBy: UUID
  var createdAt: Int64
  var updatedAt: Int64
  var revision: Int64
  var deletedAt: Int64?
  var purgeAfter: Int64?

  /// The name of one that nobody named.
  static func name(for id: UUID) -> String { "model-" + id.description.suffix(8) }

  /// What the audit log keeps of it.
  private var audited: [(String, String?)] {
    [
      ("experiment_id", experimentID.description), ("name", name), ("model_type", modelType),
      ("status", status), ("status_message", statusMessage),
      ("source_run_id", sourceRunID?.description),
      ("deleted_at_us", deletedAt.map { String($0) }),
    ]
  }

  /// A change of it, with what else was written of it.
  func change(
    _ verb: String, _ event: String, from before: LoggedModelRecord?,
    more: [(String, String)] = []
  ) -> Change {
    var sides: [[(String, String)]] = [[], []]
    for (was, becomes) in zip(before?.audited ?? audited.map { ($0.0, nil) }, audited)
    where was.1 != becomes.1 {
      if let value = was.1 { sides[0].append((was.0, value)) }
      if let value = becomes.1 { sides[1].append((becomes.0, value)) }
    }
    var change = Change(
      action: "logged_model.\(verb)", event: "logged_model.\(event)",
      resourceType: "logged_model", resourceID: id, projectID: projectID,
      detailsJSON: JSONText.beforeAndAfter(sides[0], sides[1] + more))
    change.alsoChanged = [experimentID]
    return change
  }

  /// The status as the database stores it; nil for one that is none.
  static func text(_ status: LoggedModelStatus) -> String? {
    switch status {
    case .pending: "pending"
    case .ready: "ready"
    case .failed: "failed"
    default: nil
    }
  }

  /// The status as callers see it.
  static func status(_ text: String) -> LoggedModelStatus {
    switch text {
    case "pending": .pending
    case "ready": .ready
    default: .failed
    }
  }
}

extension Validator {
  /// Checks the name of a logged model.
  mutating func loggedModelName(_ name: String) {
    self.name("name", name, bytes: LoggedModelBounds.nameBytes)
    if name.contains(where: { LoggedModelBounds.nameWithout.contains($0) }) {
      refuse("name", "must not contain any of / : . % \" '")
    }
  }

  /// Checks what kind of model one is.
  mutating func loggedModelType(_ type: String) {
    name("model_type", type, bytes: 0...LoggedModelBounds.typeBytesMax)
  }

  /// Reads tags of a logged model.
  mutating func loggedModelTags(_ tags: [Tag]) -> Description {
    Description(
      "tags", tags.map { ($0.key, $0.value) },
      valueBytesMax: LoggedModelBounds.tagValueBytesMax, &self)
  }

  /// Reads parameters of a logged model.
  mutating func loggedModelParameters(_ parameters: [Parameter]) -> Description {
    Description(
      "parameters", parameters.map { ($0.key, $0.value) },
      valueBytesMax: LoggedModelBounds.parameterValueBytesMax, &self)
  }

  /// Reads a dataset that values are narrowed down to.
  mutating func qualifier(_ field: String, _ dataset: LoggedModelDataset) -> SearchQualifier {
    self.dataset(dataset.name, digest: dataset.digest, "\(field).name", "\(field).digest")
    if dataset.name.isEmpty, dataset.digest.isEmpty {
      refuse("\(field).name", "must not be empty where digest is")
    }
    return SearchQualifier([dataset.name, dataset.digest].map { $0.isEmpty ? nil : $0 })
  }

  /// Checks the name and the digest of a dataset that something was measured on, each of which may
  /// be empty.
  mutating func dataset(
    _ name: String, digest: String, _ nameField: String, _ digestField: String
  ) {
    self.name(nameField, name, bytes: 0...LoggedModelBounds.datasetNameBytesMax)
    self.name(digestField, digest, bytes: 0...LoggedModelBounds.datasetDigestBytesMax)
  }
}

/// How many tags or parameters a logged model would have, and how long they would be together.
struct LoggedModelRoom {
  let count: Int64
  let bytes: Int64
  private let isMore: Bool

  /// Takes what is written, those of its keys that are there, and how many there are of any key and
  /// how long.
  init(
    _ change: DescriptionChange, writing wanted: Description, before: Description = Description(),
    count: Int64 = 0, bytes: Int64 = 0
  ) {
    let difference = LoggedModelRoom.bytes(wanted) - LoggedModelRoom.bytes(before)
    self.count = count + Int64(change.growth)
    self.bytes = bytes + difference
    isMore = change.growth > 0 || difference > 0
  }

  private static func bytes(_ pairs: Description) -> Int64 {
    zip(pairs.keys, pairs.values).reduce(0) { $0 + Int64($1.0.utf8.count + $1.1.utf8.count) }
  }

  /// Refuses what would be too many or too long.
  func check(
    _ what: String, max: Int64, _ reason: TrackingErrorReason
  ) throws(CallError) {
    let bytesMax = LoggedModelBounds.descriptionBytesMax
    guard isMore, count > max || bytes > bytesMax else { return }
    throw CallError(
      reason,
      "The model would have \(count) \(what) of \(bytes) bytes together; \(max) and \(bytesMax) "
        + "bytes are the most.")
  }
}
