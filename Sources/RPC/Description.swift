/// The bounds of keys with values.
public enum DescriptionBounds {
  /// Characters of a key: Unicode scalars.
  public static let keyCharacters = 1...250
  /// Pairs or keys in one request.
  public static let perRequestMax = 1_000
  /// Tags of one thing.
  public static let tagsMax = 1_000
  /// Keys of one change that the audit log names.
  static let auditedKeysMax = 100
  /// Unicode scalars of a value that the audit log keeps.
  static let auditedScalarsMax = 200
}

/// A text that equals another of the same bytes, and none that only looks the same.
public struct ExactText: Hashable {
  private let bytes: [UInt8]

  /// Takes a text.
  public init(_ text: String) { bytes = Array(text.utf8) }
}

/// Keys with values, as requests give them, each key once.
public struct Description {
  /// The keys.
  public private(set) var keys: [String] = []
  /// Their values, in the same order.
  public private(set) var values: [String] = []

  /// Whether there are none.
  public var isEmpty: Bool { keys.isEmpty }

  /// Makes one of nothing.
  public init() {}

  /// What a statement returned.
  public init(keys: [String], values: [String]) {
    self.keys = keys
    self.values = values
  }

  /// Reads pairs of a request, and notes every bad one.
  public init(
    _ field: String, _ pairs: [(key: String, value: String)],
    keyCharacters: ClosedRange<Int> = DescriptionBounds.keyCharacters, valueBytesMax: Int,
    _ validator: inout Validator
  ) {
    self.init(field, pairs, keyCharacters: keyCharacters, &validator) { validator, field, value in
      validator.text(field, value, bytesMax: valueBytesMax)
    }
  }

  /// Reads pairs of a request, and notes every bad one; `check` looks at the value of a field.
  public init(
    _ field: String, _ pairs: [(key: String, value: String)],
    keyCharacters: ClosedRange<Int> = DescriptionBounds.keyCharacters, _ validator: inout Validator,
    check: (inout Validator, String, String) -> Void
  ) {
    if pairs.count > DescriptionBounds.perRequestMax {
      validator.refuse(
        field, "must be at most \(DescriptionBounds.perRequestMax), are \(pairs.count)")
    }
    var seen: Set<ExactText> = []
    for (index, pair) in pairs.enumerated() {
      validator.name("\(field)[\(index)].key", pair.key, characters: keyCharacters)
      check(&validator, "\(field)[\(index)].value", pair.value)
      if !seen.insert(ExactText(pair.key)).inserted {
        validator.refuse("\(field)[\(index)].key", "must not come twice")
      }
      keys.append(pair.key)
      values.append(pair.value)
    }
  }

  /// Adds one.
  public mutating func append(_ key: String, _ value: String) {
    keys.append(key)
    values.append(value)
  }

  /// The values by their keys.
  public var byKey: [ExactText: String] {
    Dictionary(zip(keys.map { ExactText($0) }, values)) { first, _ in first }
  }
}

/// What is written of a description, against what is there.
public struct DescriptionChange {
  /// Keys that were not there.
  public private(set) var added = Description()
  /// Keys that had another value, with the new one.
  public private(set) var replaced = Description()
  /// Keys that go.
  public private(set) var removed: [String] = []
  private var entries: [(key: String, before: String?, after: String?)] = []

  /// Compares what is asked for with what is there of it.
  public init(set wanted: Description, delete: [String] = [], before: Description) {
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
  public var growth: Int { added.keys.count - removed.count }

  /// What the audit log keeps: the fields before and after, long values by their beginning.
  public func audited(
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
  public mutating func deleteKeys(_ keys: [String], besides set: Description) {
    if keys.count > DescriptionBounds.perRequestMax {
      refuse(
        "delete_keys", "must be at most \(DescriptionBounds.perRequestMax), are \(keys.count)")
    }
    if keys.isEmpty, set.isEmpty { refuse("tags", "must set or delete at least one") }
    var seen = Set(set.keys.map { ExactText($0) })
    for (index, key) in keys.enumerated() {
      name("delete_keys[\(index)]", key, characters: DescriptionBounds.keyCharacters)
      if !seen.insert(ExactText(key)).inserted {
        refuse("delete_keys[\(index)]", "must not come twice, nor be set as well")
      }
    }
  }
}

extension JSONText {
  /// What the audit log keeps of a change whose fields were picked already.
  public static func beforeAndAfter(
    _ before: [(String, String)], _ after: [(String, String)]
  ) -> String {
    "{\"before\":\(object(before)),\"after\":\(object(after))}"
  }
}
