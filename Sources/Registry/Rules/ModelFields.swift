internal import Messages
internal import RPC

extension Validator {
  /// Checks the name of a model.
  mutating func modelName(_ field: String, _ name: String) {
    let bounds = ModelBounds.nameScalars
    let count = name.unicodeScalars.count
    if !bounds.contains(count) {
      refuse(
        field, "must be \(bounds.lowerBound) to \(bounds.upperBound) characters, is \(count)")
    }
    self.name(field, name, bytes: 0...4 * bounds.upperBound)
    if name.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: ":") }) {
      refuse(field, "must not contain / or :")
    }
    if name == "." || name.hasPrefix("..") {
      refuse(field, "must not be . nor begin with ..")
    }
  }

  /// Checks the name of an alias.
  mutating func alias(_ field: String, _ alias: String) {
    let bytes = alias.utf8
    let isDigit = { (byte: UInt8) in (48...57).contains(byte) }
    let isWord = { (byte: UInt8) in
      isDigit(byte) || (65...90).contains(byte) || (97...122).contains(byte)
        || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }
    guard ModelBounds.aliasBytes.contains(bytes.count), bytes.allSatisfy(isWord) else {
      return refuse(field, "must be 1 to 255 of A-Z, a-z, 0-9, _ and -")
    }
    let isOrdinal =
      bytes.count > 1 && (bytes.first == UInt8(ascii: "v") || bytes.first == UInt8(ascii: "V"))
      && bytes.dropFirst().allSatisfy(isDigit)
    if isOrdinal || alias.lowercased() == "latest" {
      refuse(field, "must be neither latest nor v with digits, which are kept for versions")
    }
  }

  /// Reads tags of a model or a version.
  mutating func modelTags(_ tags: [ModelTag]) -> Description {
    Description("tags", tags.map { ($0.key, $0.value) }, &self) { validator, field, value in
      validator.characters(field, value, max: ModelBounds.tagValueScalarsMax)
    }
  }

  /// Checks a text's size in characters, which are Unicode scalars, and that the database takes it.
  mutating func characters(_ field: String, _ text: String, max: Int) {
    let count = text.unicodeScalars.count
    if count > max { refuse(field, "must be at most \(max) characters, is \(count)") }
  }

  /// Checks what a model is.
  mutating func kind(_ field: String, _ text: String) {
    name(field, text, bytes: 0...ModelBounds.kindBytesMax)
  }

  /// Checks a JSON object that may be empty, for nothing.
  mutating func optionalObject(_ field: String, _ text: String?) {
    guard let text, !text.isEmpty else { return }
    _ = jsonObject(field, text, bytesMax: VersionBounds.objectBytesMax)
  }
}

/// Tags of a model or a version that are to be written, against what is there.
struct TagChange {
  let change: DescriptionChange
  private let count: Int64
  private let bytes: Int64
  private let isMore: Bool

  /// Takes what is asked for, those of its keys that are there, and how many there are of any key
  /// and how long.
  init(
    set wanted: Description, delete: [String] = [], before: Description = Description(),
    count: Int64 = 0, bytes: Int64 = 0
  ) {
    change = DescriptionChange(set: wanted, delete: delete, before: before)
    let difference = TagChange.bytes(wanted) - TagChange.bytes(before)
    self.count = count + Int64(change.growth)
    self.bytes = bytes + difference
    isMore = change.growth > 0 || difference > 0
  }

  private static func bytes(_ pairs: Description) -> Int64 {
    zip(pairs.keys, pairs.values).reduce(0) { $0 + Int64($1.0.utf8.count + $1.1.utf8.count) }
  }

  /// Refuses what would be too many or too long.
  func check() throws(CallError) {
    guard isMore, count > DescriptionBounds.tagsMax || bytes > ModelBounds.tagBytesMax else {
      return
    }
    throw CallError(
      RegistryErrorReason.tagLimitReached,
      "There would be \(count) tags of \(bytes) bytes together; \(DescriptionBounds.tagsMax) tags "
        + "and \(ModelBounds.tagBytesMax) bytes are the most: delete some.")
  }
}
