/// Why a filter or an order cannot be read, and where.
public struct SearchError: Error, Equatable, Sendable {
  /// Bytes before the place.
  public let byte: Int
  /// The place, counted in characters (Unicode code points) from 1.
  public let character: Int
  /// What could have stood there.
  public let expected: String
  /// What stands there.
  public let found: String

  /// One sentence for people.
  public var description: String {
    "at character \(character) (byte \(byte)): expected \(expected), found \(found)"
  }
}

/// A piece of a filter.
struct SearchToken: Equatable {
  enum Kind: Equatable {
    /// Bare: a key, an entity with its key, a keyword.
    case word
    case number
    /// 'so'.
    case single
    /// "so": a text or a key.
    case double
    /// `so`.
    case backtick
    case symbol
    case end
  }

  var kind: Kind
  /// As it is written; of quoted ones what is between the quotes.
  var text: String
  /// Its bytes in the source.
  var range: Range<Int>
}

/// Cuts a filter into tokens.
struct SearchLexer {
  /// What an error shows of what it found, in code points.
  private static let shownMax = 40

  private let bytes: [UInt8]
  private var place = 0

  init(_ text: String) { bytes = Array(text.utf8) }

  /// All tokens, with one for the end.
  static func tokens(_ text: String) throws(SearchError) -> [SearchToken] {
    var lexer = SearchLexer(text)
    var tokens: [SearchToken] = []
    repeat { tokens.append(try lexer.next()) } while tokens.last?.kind != .end
    return tokens
  }

  /// The error of a source at a byte.
  func error(at byte: Int, expected: String, found: Range<Int>? = nil) -> SearchError {
    let before = bytes[..<byte].count { $0 & 0xC0 != 0x80 }
    let shown = found.map { SearchLexer.shown(bytes[$0]) } ?? "the end"
    return SearchError(byte: byte, character: before + 1, expected: expected, found: shown)
  }

  private static func shown(_ bytes: ArraySlice<UInt8>) -> String {
    guard !bytes.isEmpty else { return "the end" }
    var text = String(decoding: bytes, as: UTF8.self)
    let scalars = text.unicodeScalars
    if scalars.count > shownMax { text = String(scalars.prefix(shownMax)) + "…" }
    return "\"\(text)\""
  }

  private mutating func next() throws(SearchError) -> SearchToken {
    while place < bytes.count, [9, 10, 11, 12, 13, 32].contains(bytes[place]) { place += 1 }
    guard place < bytes.count else {
      return SearchToken(kind: .end, text: "", range: place..<place)
    }
    let byte = bytes[place]
    switch byte {
    case UInt8(ascii: "'"): return try quoted(.single)
    case UInt8(ascii: "\""): return try quoted(.double)
    case UInt8(ascii: "`"): return try quoted(.backtick)
    case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ","), UInt8(ascii: "="):
      return token(.symbol, bytes: 1)
    case UInt8(ascii: "<"), UInt8(ascii: ">"):
      return token(.symbol, bytes: follows(UInt8(ascii: "=")) ? 2 : 1)
    case UInt8(ascii: "!") where follows(UInt8(ascii: "=")): return token(.symbol, bytes: 2)
    default: break
    }
    if SearchLexer.beginsWord(byte) { return word() }
    if let end = numberEnd() { return token(.number, bytes: end - place) }
    throw error(
      at: place, expected: "a field, a value, an operator or a parenthesis",
      found: place..<min(place + 1 + continuation(after: place), bytes.count))
  }

  private func continuation(after place: Int) -> Int {
    bytes[(place + 1)...].prefix { $0 & 0xC0 == 0x80 }.count
  }

  private func follows(_ byte: UInt8) -> Bool {
    place + 1 < bytes.count && bytes[place + 1] == byte
  }

  private mutating func token(_ kind: SearchToken.Kind, bytes count: Int) -> SearchToken {
    let range = place..<(place + count)
    place += count
    return SearchToken(
      kind: kind, text: String(decoding: bytes[range], as: UTF8.self), range: range)
  }

  /// Letters of any script and the underscore.
  private static func beginsWord(_ byte: UInt8) -> Bool {
    (65...90).contains(byte) || (97...122).contains(byte) || byte == UInt8(ascii: "_")
      || byte >= 0x80
  }

  /// Those, digits, and the signs that keys are commonly built with.
  private static func isWord(_ byte: UInt8) -> Bool {
    beginsWord(byte) || (48...57).contains(byte)
      || [".", "/", "-", ":", "@"].contains(UnicodeScalar(byte))
  }

  private mutating func word() -> SearchToken {
    let count = bytes[place...].prefix { SearchLexer.isWord($0) }.count
    return token(.word, bytes: count)
  }

  /// Where the number ends that begins here; nil when none does.
  private func numberEnd() -> Int? {
    var end = place
    func digits() -> Int {
      let count = bytes[end...].prefix { (48...57).contains($0) }.count
      end += count
      return count
    }
    func at(_ first: UnicodeScalar, _ second: UnicodeScalar) -> Bool {
      end < bytes.count && [first, second].contains(UnicodeScalar(bytes[end]))
    }
    if at("+", "-") { end += 1 }
    var count = digits()
    if at(".", ".") {
      end += 1
      count += digits()
    }
    guard count > 0 else { return nil }
    let mantissa = end
    if at("e", "E") {
      end += 1
      if at("+", "-") { end += 1 }
      if digits() == 0 { return mantissa }
    }
    return end
  }

  /// Quoted text, in which the doubled quote stands for one.
  private mutating func quoted(_ kind: SearchToken.Kind) throws(SearchError) -> SearchToken {
    let start = place
    let quote = bytes[place]
    var content: [UInt8] = []
    var end = place + 1
    while true {
      guard end < bytes.count else {
        throw error(
          at: bytes.count,
          expected:
            "the quote that ends the text which begins at byte \(start)")
      }
      if bytes[end] == quote {
        guard end + 1 < bytes.count, bytes[end + 1] == quote else { break }
        end += 1
      }
      guard bytes[end] != 0 else {
        throw error(at: end, expected: "text without NUL characters", found: end..<(end + 1))
      }
      content.append(bytes[end])
      end += 1
    }
    place = end + 1
    return SearchToken(
      kind: kind, text: String(decoding: content, as: UTF8.self), range: start..<place)
  }
}
