/// Checks JSON text without building values: the database stores it, nobody here reads it.
public enum JSONText {
  /// How deep arrays and objects may nest.
  public static let nestingMax = 64
  /// Digits of a number before its decimal point, once its exponent has moved that.
  public static let wholeDigitsMax = 131_072
  /// Digits behind it.
  public static let fractionDigitsMax = 16_383

  /// What keeps `text` from being a JSON object, or nil.
  public static func problem(in text: String) -> String? {
    var scanner = Scanner(bytes: Array(text.utf8))
    scanner.skipSpace()
    guard scanner.peek == UInt8(ascii: "{") else { return "it does not begin with {" }
    guard scanner.value(depth: 1) else {
      return "byte \(scanner.position) is not what the grammar expects"
    }
    scanner.skipSpace()
    return scanner.peek == nil ? nil : "something follows it at byte \(scanner.position)"
  }

  /// Writes `text` as a JSON string, with its quotes.
  public static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _ where scalar.value < 32:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  /// Writes an object of text values.
  public static func object(_ fields: [(String, String)]) -> String {
    "{" + fields.map { quoted($0.0) + ":" + quoted($0.1) }.joined(separator: ",") + "}"
  }
}

extension JSONText {
  /// What the audit log keeps of a change: the fields that differ, before and after; nil = absent.
  public static func change(
    _ fields: [(name: String, before: String?, after: String?)]
  ) -> String {
    let changed = fields.filter { $0.before != $0.after }
    func side(_ pick: ((name: String, before: String?, after: String?)) -> String?) -> String {
      object(changed.compactMap { field in pick(field).map { (field.name, $0) } })
    }
    return "{\"before\":\(side { $0.before }),\"after\":\(side { $0.after })}"
  }
}

private struct Scanner {
  let bytes: [UInt8]
  var position = 0

  var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func take(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    position += 1
    return true
  }

  mutating func skipSpace() {
    while let byte = peek, byte == 32 || byte == 10 || byte == 13 || byte == 9 { position += 1 }
  }

  mutating func value(depth: Int) -> Bool {
    skipSpace()
    switch peek {
    case UInt8(ascii: "{"):
      return depth <= JSONText.nestingMax && members(UInt8(ascii: "}"), depth, isObject: true)
    case UInt8(ascii: "["):
      return depth <= JSONText.nestingMax && members(UInt8(ascii: "]"), depth, isObject: false)
    case UInt8(ascii: "\""): return string()
    case UInt8(ascii: "t"): return word("true")
    case UInt8(ascii: "f"): return word("false")
    case UInt8(ascii: "n"): return word("null")
    default: return number()
    }
  }

  private mutating func members(_ end: UInt8, _ depth: Int, isObject: Bool) -> Bool {
    position += 1
    skipSpace()
    if take(end) { return true }
    while true {
      if isObject {
        skipSpace()
        guard string() else { return false }
        skipSpace()
        guard take(UInt8(ascii: ":")) else { return false }
      }
      guard value(depth: depth + 1) else { return false }
      skipSpace()
      if take(end) { return true }
      guard take(UInt8(ascii: ",")) else { return false }
    }
  }

  private mutating func string() -> Bool {
    guard take(UInt8(ascii: "\"")) else { return false }
    while let byte = peek {
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return true
      case UInt8(ascii: "\\"): if !escape() { return false }
      case 0..<32: return false
      default: continue
      }
    }
    return false
  }

  private mutating func escape() -> Bool {
    guard let byte = peek else { return false }
    position += 1
    if byte != UInt8(ascii: "u") { return "\"\\/bfnrt".utf8.contains(byte) }
    guard let first = codeUnit() else { return false }
    // jsonb stores no U+0000 and no half of a surrogate pair.
    if first == 0 || (0xDC00...0xDFFF).contains(first) { return false }
    guard (0xD800...0xDBFF).contains(first) else { return true }
    guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")), let second = codeUnit() else {
      return false
    }
    return (0xDC00...0xDFFF).contains(second)
  }

  private mutating func codeUnit() -> UInt32? {
    guard position + 4 <= bytes.count else { return nil }
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Character(UnicodeScalar(bytes[position])).hexDigitValue else { return nil }
      unit = unit << 4 | UInt32(digit)
      position += 1
    }
    return unit
  }

  private mutating func word(_ word: StaticString) -> Bool {
    for byte in word.description.utf8 where !take(byte) { return false }
    return true
  }

  private mutating func number() -> Bool {
    _ = take(UInt8(ascii: "-"))
    let isZero = take(UInt8(ascii: "0"))
    let whole = isZero ? 1 : digits()
    var fraction = 0
    guard whole > 0 else { return false }
    if take(UInt8(ascii: ".")) {
      fraction = digits()
      guard fraction > 0 else { return false }
    }
    guard let exponent = exponent() else { return false }
    // What lies beyond these digits jsonb does not store.
    return whole + exponent <= JSONText.wholeDigitsMax
      && fraction - exponent <= JSONText.fractionDigitsMax
  }

  /// Passes an exponent if there is one; nil when it has no digits.
  private mutating func exponent() -> Int? {
    guard take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) else { return 0 }
    let isNegative = !take(UInt8(ascii: "+")) && take(UInt8(ascii: "-"))
    let start = position
    guard digits() > 0 else { return nil }
    var exponent = 0
    for byte in bytes[start..<position] {
      exponent = min(exponent * 10 + Int(byte) - 48, 1_000_000)
    }
    return isNegative ? -exponent : exponent
  }

  /// Passes digits and says how many there were.
  private mutating func digits() -> Int {
    let start = position
    while let byte = peek, (48...57).contains(byte) { position += 1 }
    return position - start
  }
}
