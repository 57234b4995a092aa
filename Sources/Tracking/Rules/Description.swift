internal import Messages
internal import RPC

/// The bounds of tags and parameters.
enum DescriptionBounds {
  static let keyBytes = 1...250
  static let runTagValueBytesMax = 32_000
  static let experimentTagValueBytesMax = 80_000
  static let parameterValueBytesMax = 32_000
  /// Tags, parameters or keys in one request.
  static let perRequestMax = 1_000
  /// Tags of one run or experiment.
  static let tagsMax = 1_000
  /// Parameters of one run.
  static let parametersMax = 10_000
  static let pageSize = 1_000
  static let pageSizeMax = 1_000
  /// Bytes of keys and values from which on a page ends, so that it fits a frame.
  static let pageBytesMax = 2 << 20
  static let historyPageSize = 100
  static let historyPageSizeMax = 100
  /// Keys of one change that the audit log names.
  static let auditedKeysMax = 100
  /// Unicode scalars of a value that the audit log keeps.
  static let auditedScalarsMax = 200
}

/// A text that equals another of the same bytes, and none that only looks the same.
struct ExactText: Hashable {
  private let bytes: [UInt8]

  init(_ text: String) { bytes = Array(text.utf8) }
}

/// Keys with values, as requests give them, each key once.
struct Description {
  private(set) var keys: [String] = []
  private(set) var values: [String] = []

  var isEmpty: Bool { keys.isEmpty }

  init() {}

  /// What a statement returned.
  init(keys: [String], values: [String]) {
    self.keys = keys
    self.values = values
  }

  /// Reads pairs of a request, and notes every bad one.
  init(
    _ field: String, _ pairs: [(key: String, value: String)],
    keyBytes: ClosedRange<Int> = DescriptionBounds.keyBytes, valueBytesMax: Int,
    _ validator: inout Validator
  ) {
    if pairs.count > DescriptionBounds.perRequestMax {
      validator.refuse(
        field, "must be at most \(DescriptionBounds.perRequestMax), are \(pairs.count)")
    }
    var seen: Set<ExactText> = []
    for (index, pair) in pairs.enumerated() {
      validator.name("\(field)[\(index)].key", pair.key, bytes: keyBytes)
      validator.text("\(field)[\(index)].value", pair.value, bytesMax: valueBytesMax)
      if !seen.insert(ExactText(pair.key)).inserted {
        validator.refuse("\(field)[\(index)].key", "must not come twice")
      }
      keys.append(pair.key)
      values.append(pair.value)
    }
  }

  mutating func append(_ key: String, _ value: String) {
    keys.append(key)
    values.append(value)
  }

  /// The values by their keys.
  var byKey: [ExactText: String] {
    Dictionary(zip(keys.map { ExactText($0) }, values)) { first, _ in first }
  }
}

/// What is written of a description, against what is there.
struct DescriptionChange {
  /// Keys that were not there.
  private(set) var added = Description()
  /// Keys that had another value, with the new one.
  private(set) var replaced = Description()
  /// Keys that go.
  private(set) var removed: [String] = []
  private var entries: [(key: String, before: String?, after: String?)] = []

  /// Compares what is asked for with what is there of it.
  init(set wanted: Description, delete: [String] = [], before: Description) {
    let stored = before.byKey
    for (key, value) in zip(wanted.keys, wanted.values) {
      let old = stored[ExactText(key)]
      if let old, old.utf8.elementsEqual(value.utf8) { continue }
      if old == nil { added.append(key, value) } else { replaced.append(key, value) }
      entries.append((key, old, value))
    }
    for key in delete {
      guard let old = stored[ExactText(key)] else { continue }
      removed.append(key)
      entries.append((key, old, nil))
    }
  }

  /// How many more there are afterwards.
  var growth: Int { added.keys.count - removed.count }

  /// What the audit log keeps: the fields before and after, long values by their beginning.
  func audited(
    _ name: String
  ) -> (before: [(String, String)], after: [(String, String)]) {
    let told = entries.prefix(DescriptionBounds.auditedKeysMax)
    var after = told.compactMap { entry in
      entry.after.map { ("\(name).\(entry.key)", beginning($0)) }
    }
    if entries.count > told.count {
      after.append(("\(name)_changed", String(entries.count)))
    }
    let before = told.compactMap { entry in
      entry.before.map { ("\(name).\(entry.key)", beginning($0)) }
    }
    return (before, after)
  }

  private func beginning(_ value: String) -> String {
    let scalars = value.unicodeScalars
    guard scalars.count > DescriptionBounds.auditedScalarsMax else { return value }
    var head = String.UnicodeScalarView()
    head.append(contentsOf: scalars.prefix(DescriptionBounds.auditedScalarsMax))
    return "\(String(head))… (\(value.utf8.count) bytes)"
  }
}

extension Validator {
  /// Reads keys to delete, none of which is set as well.
  mutating func deleteKeys(_ keys: [String], besides set: Description) {
    if keys.count > DescriptionBounds.perRequestMax {
      refuse(
        "delete_keys", "must be at most \(DescriptionBounds.perRequestMax), are \(keys.count)")
    }
    if keys.isEmpty, set.isEmpty { refuse("tags", "must set or delete at least one") }
    var seen = Set(set.keys.map { ExactText($0) })
    for (index, key) in keys.enumerated() {
      name("delete_keys[\(index)]", key, bytes: DescriptionBounds.keyBytes)
      if !seen.insert(ExactText(key)).inserted {
        refuse("delete_keys[\(index)]", "must not come twice, nor be set as well")
      }
    }
  }

  /// Reads tags of a run.
  mutating func runTags(_ tags: [Tag]) -> Description {
    Description(
      "tags", tags.map { ($0.key, $0.value) },
      valueBytesMax: DescriptionBounds.runTagValueBytesMax, &self)
  }

  /// Reads tags of an experiment.
  mutating func experimentTags(_ tags: [Tag]) -> Description {
    Description(
      "tags", tags.map { ($0.key, $0.value) },
      valueBytesMax: DescriptionBounds.experimentTagValueBytesMax, &self)
  }

  /// Reads parameters of a run.
  mutating func parameters(_ parameters: [Parameter]) -> Description {
    Description(
      "parameters", parameters.map { ($0.key, $0.value) },
      valueBytesMax: DescriptionBounds.parameterValueBytesMax, &self)
  }
}
