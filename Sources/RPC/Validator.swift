public import Postgres
internal import Wire

/// Checks the fields of a request and remembers every bad one, so that the caller hears of all at
/// once.
public struct Validator {
  private var violations: [FieldViolation] = []

  /// Makes one that has found nothing.
  public init() {}

  /// Notes that `field` is bad; `description` says what it should be.
  public mutating func refuse(_ field: String, _ description: String) {
    violations.append(FieldViolation(field: field, description: description))
  }

  /// Throws when anything was refused.
  public func finish() throws(CallError) {
    if !violations.isEmpty { throw CallError(violations: violations) }
  }

  /// Reads a required identifier; ``UUID/zero`` when it is bad, which is noted.
  public mutating func id(_ field: String, _ text: String) -> UUID {
    if let id = UUID(text) { return id }
    refuse(field, "must be a UUID like 0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50")
    return .zero
  }

  /// Reads an identifier that may be empty.
  public mutating func optionalID(_ field: String, _ text: String) -> UUID? {
    text.isEmpty ? nil : id(field, text)
  }

  /// Checks a text's size in bytes, and that it is one line without control characters.
  public mutating func name(_ field: String, _ text: String, bytes: ClosedRange<Int>) {
    if !bytes.contains(text.utf8.count) {
      refuse(
        field, "must be \(bytes.lowerBound) to \(bytes.upperBound) bytes, is \(text.utf8.count)")
    }
    line(field, text)
  }

  /// Checks a text's length in Unicode scalars, which is what PostgreSQL and Python count, and that
  /// it is one line without control characters.
  public mutating func name(_ field: String, _ text: String, characters: ClosedRange<Int>) {
    // No text has more scalars than bytes.
    let count = text.utf8.count
    if !characters.contains(count), !characters.contains(text.unicodeScalars.count) {
      refuse(
        field,
        "must be \(characters.lowerBound) to \(characters.upperBound) characters, is "
          + "\(text.unicodeScalars.count)")
    }
    line(field, text)
  }

  private mutating func line(_ field: String, _ text: String) {
    if text.unicodeScalars.contains(where: { $0.value < 32 || (127...159).contains($0.value) }) {
      refuse(field, "must not contain control characters")
    }
    if text.utf8.first == UInt8(ascii: " ") || text.utf8.last == UInt8(ascii: " ") {
      refuse(field, "must not begin or end with a space")
    }
  }

  /// The greatest length of a slug, in bytes.
  public static let slugBytesMax = 100

  /// Checks a slug: lower-case letters, digits, and dashes between them.
  public mutating func slug(_ field: String, _ text: String) {
    let bytes = text.utf8
    let isWord = { (byte: UInt8) in (97...122).contains(byte) || (48...57).contains(byte) }
    guard (1...Validator.slugBytesMax).contains(bytes.count), bytes.first.map(isWord) == true,
      bytes.last.map(isWord) == true,
      bytes.allSatisfy({ isWord($0) || $0 == UInt8(ascii: "-") })
    else {
      return refuse(
        field,
        "must be 1 to \(Validator.slugBytesMax) of a-z, 0-9 and -, beginning and ending with a "
          + "letter or a digit")
    }
  }

  /// Checks a text's size in bytes.
  public mutating func text(_ field: String, _ text: String, bytesMax: Int) {
    if text.utf8.count > bytesMax {
      refuse(field, "must be at most \(bytesMax) bytes, is \(text.utf8.count)")
    }
  }

  /// Checks that a text is a JSON object; an empty one stands for `{}`.
  public mutating func jsonObject(_ field: String, _ text: String, bytesMax: Int) -> String {
    if text.isEmpty { return "{}" }
    self.text(field, text, bytesMax: bytesMax)
    if let problem = JSONText.problem(in: text) {
      refuse(field, "must be a JSON object: \(problem)")
    }
    return text
  }

  /// Reads a page size; 0 = `standard`.
  public mutating func pageSize(_ size: UInt32, standard: Int, max: Int) -> Int {
    if size == 0 { return standard }
    if size > max { refuse("page_size", "must be 1 to \(max), or 0 for \(standard)") }
    return min(Int(size), max)
  }
}
