/// Reads filters and orders: MLflow's grammar, and beyond it OR, NOT, parentheses, and IS NULL, IN
/// and LIKE on everything that they make sense for.
public struct SearchParser {
  private let schema: SearchSchema
  private let lexer: SearchLexer
  private let tokens: [SearchToken]
  private var place = 0
  private var depth = 0
  private var clauses = 0

  private init(_ text: String, _ schema: SearchSchema) throws(SearchError) {
    self.schema = schema
    lexer = SearchLexer(text)
    tokens = try SearchLexer.tokens(text)
  }

  /// Reads a filter; nil when it is blank.
  public static func filter(
    _ text: String, _ schema: SearchSchema
  ) throws(SearchError) -> SearchCondition? {
    try checkSize(of: text, bytesMax: SearchBounds.filterBytesMax, "filter")
    var parser = try SearchParser(text, schema)
    if parser.token.kind == .end { return nil }
    let condition = try parser.disjunction()
    guard parser.token.kind == .end else { throw parser.unexpected("AND, OR or the end") }
    return condition
  }

  /// Reads one field of an order.
  public static func order(
    _ text: String, _ schema: SearchSchema
  ) throws(SearchError) -> SearchOrder {
    try checkSize(of: text, bytesMax: SearchBounds.orderBytesMax, "field of an order")
    var parser = try SearchParser(text, schema)
    let start = parser.token
    let target = try parser.field()
    if case .pair(let index, _) = target, !schema.pairs[index].isSingle {
      throw parser.lexer.error(
        at: start.range.lowerBound, expected: "a field that has one value", found: start.range)
    }
    var isDescending = false
    if parser.isKeyword("DESC") {
      isDescending = true
      parser.place += 1
    } else if parser.isKeyword("ASC") {
      parser.place += 1
    }
    guard parser.token.kind == .end else { throw parser.unexpected("ASC, DESC or the end") }
    return SearchOrder(schema.ordering(target), isDescending: isDescending)
  }

  private static func checkSize(
    of text: String, bytesMax: Int, _ what: String
  ) throws(SearchError) {
    guard text.utf8.count > bytesMax else { return }
    throw SearchError(
      byte: bytesMax,
      character: text.utf8.prefix(bytesMax).count { $0 & 0xC0 != 0x80 } + 1,
      expected: "the end of the \(what), which is at most \(bytesMax) bytes",
      found: "\(text.utf8.count - bytesMax) bytes more")
  }

  // MARK: Tokens

  private var token: SearchToken { tokens[place] }

  private func unexpected(_ expected: String) -> SearchError {
    lexer.error(at: token.range.lowerBound, expected: expected, found: token.range)
  }

  private func isKeyword(_ word: String) -> Bool {
    token.kind == .word && token.text.utf8.count == word.utf8.count
      && token.text.uppercased() == word
  }

  private mutating func take(_ word: String) -> Bool {
    guard isKeyword(word) else { return false }
    place += 1
    return true
  }

  private func isSymbol(_ symbol: String) -> Bool {
    token.kind == .symbol && token.text == symbol
  }

  // MARK: Conditions

  private mutating func disjunction() throws(SearchError) -> SearchCondition {
    var parts = [try conjunction()]
    while take("OR") { parts.append(try conjunction()) }
    return parts.count == 1 ? parts[0] : .any(parts)
  }

  private mutating func conjunction() throws(SearchError) -> SearchCondition {
    var parts = [try negation()]
    while take("AND") { parts.append(try negation()) }
    return parts.count == 1 ? parts[0] : .all(parts)
  }

  private mutating func negation() throws(SearchError) -> SearchCondition {
    guard isKeyword("NOT") || isSymbol("(") else { return try clause() }
    guard depth < SearchBounds.depthMax else {
      throw unexpected("at most \(SearchBounds.depthMax) levels of parentheses and NOT")
    }
    depth += 1
    defer { depth -= 1 }
    if take("NOT") { return .not(try negation()) }
    place += 1
    let inner = try disjunction()
    guard isSymbol(")") else { throw unexpected("AND, OR or )") }
    place += 1
    return inner
  }

  private mutating func clause() throws(SearchError) -> SearchCondition {
    clauses += 1
    guard clauses <= SearchBounds.clausesMax else {
      throw unexpected("at most \(SearchBounds.clausesMax) comparisons")
    }
    let target = try field()
    let kind = schema.kind(of: target)
    if take("IS") {
      let isPresent = take("NOT")
      guard take("NULL") else { throw unexpected(isPresent ? "NULL" : "NULL or NOT NULL") }
      return .clause(SearchClause(target, isPresent ? .isPresent : .isMissing))
    }
    let isNumeric = kind.isNumeric || (kind == .textOrNumber && isNumber)
    let test = isNumeric ? try numericTest(kind) : try textTest(kind)
    return .clause(SearchClause(target, test))
  }

  // MARK: Fields

  private mutating func field() throws(SearchError) -> SearchTarget {
    let start = token
    switch start.kind {
    case .backtick, .double:
      place += 1
      return try attribute(start.text, at: start)
    case .word: break
    default: throw unexpected(schema.expectedFields)
    }
    place += 1
    guard let dot = start.text.utf8.firstIndex(of: UInt8(ascii: ".")) else {
      return try attribute(start.text, at: start)
    }
    let entity = String(start.text[..<dot])
    var key = String(start.text[start.text.utf8.index(after: dot)...])
    if key.isEmpty {
      let next = token
      guard next.kind == .backtick || next.kind == .double,
        next.range.lowerBound == start.range.upperBound, !next.text.isEmpty
      else {
        throw lexer.error(
          at: start.range.upperBound, expected: "a key right behind \(start.text)",
          found: next.range)
      }
      key = next.text
      place += 1
    } else if key.utf8.last == UInt8(ascii: "."), token.kind == .backtick || token.kind == .double,
      token.range.lowerBound == start.range.upperBound
    {
      key += token.text
      place += 1
    }
    if schema.entities.contains(entity) { return try attribute(key, at: start) }
    guard let index = schema.pairs.firstIndex(where: { $0.names.contains(entity) }) else {
      throw unknownField(start)
    }
    guard schema.pairs[index].mayHave(key) else { throw unknownField(start) }
    return .pair(index, key: Array(key.utf8))
  }

  private func attribute(
    _ name: String, at token: SearchToken
  ) throws(SearchError) -> SearchTarget {
    if let shortcut = schema.shortcuts.first(where: { $0.name == name }) {
      return .pair(shortcut.pairs, key: Array(shortcut.key.utf8))
    }
    guard let index = schema.attributes.firstIndex(where: { $0.names.contains(name) }) else {
      throw unknownField(token)
    }
    return .attribute(index)
  }

  private func unknownField(_ token: SearchToken) -> SearchError {
    lexer.error(
      at: token.range.lowerBound, expected: schema.expectedFields, found: token.range)
  }

  // MARK: Comparisons

  /// Whether a number is compared with: what is less or greater, and what has no quotes.
  private var isNumber: Bool {
    guard token.kind == .symbol, let comparison = SearchComparison(rawValue: token.text) else {
      return false
    }
    let isEquality = comparison == .equal || comparison == .unequal
    return !isEquality || tokens[place + 1].kind == .number
  }

  private mutating func numericTest(_ kind: SearchKind) throws(SearchError) -> SearchTest {
    guard token.kind == .symbol, let comparison = SearchComparison(rawValue: token.text) else {
      throw unexpected("=, !=, <, <=, >, >= or IS: the field is a number")
    }
    place += 1
    let value = token
    if kind == .time {
      guard value.kind == .number, let milliseconds = Int64(value.text) else {
        throw unexpected("a whole number: milliseconds since 1970")
      }
      place += 1
      return .time(comparison, milliseconds)
    }
    guard value.kind == .number, let number = Double(value.text), number.isFinite else {
      throw unexpected("a number, without quotes")
    }
    place += 1
    return .number(comparison, number)
  }

  private mutating func textTest(_ kind: SearchKind) throws(SearchError) -> SearchTest {
    if token.kind == .symbol, let comparison = SearchComparison(rawValue: token.text),
      comparison == .equal || comparison == .unequal
    {
      place += 1
      return .text(comparison, try text(kind))
    }
    let start = token
    let isNegated = take("NOT")
    if take("IN") { return .among(try list(kind), isNegated: isNegated) }
    let ignoresCase = isKeyword("ILIKE")
    if ignoresCase || isKeyword("LIKE") {
      place += 1
      return .like(try pattern(), ignoringCase: ignoresCase, isNegated: isNegated)
    }
    if take("RLIKE") { return .matches(try expression(), isNegated: isNegated) }
    if isNegated { throw unexpected("LIKE, ILIKE, RLIKE or IN") }
    throw lexer.error(
      at: start.range.lowerBound,
      expected: "=, !=, LIKE, ILIKE, RLIKE, IN, NOT or IS: the field is a text", found: start.range)
  }

  private mutating func text(_ kind: SearchKind) throws(SearchError) -> String {
    guard token.kind == .single || token.kind == .double else {
      throw unexpected("a text in quotes")
    }
    var text = token.text
    if case .word(let aliases, let all) = kind {
      let upper = text.uppercased()
      let word = aliases[upper] ?? upper
      guard all.contains(word) else { throw unexpected("one of " + all.joined(separator: ", ")) }
      text = word.lowercased()
    }
    place += 1
    return text
  }

  private mutating func list(_ kind: SearchKind) throws(SearchError) -> [String] {
    guard isSymbol("(") else { throw unexpected("( and a list of texts") }
    var texts: [String] = []
    repeat {
      place += 1
      texts.append(try text(kind))
    } while isSymbol(",")
    guard isSymbol(")") else { throw unexpected(", or )") }
    place += 1
    return texts
  }

  private mutating func pattern() throws(SearchError) -> String {
    guard token.kind == .single || token.kind == .double else {
      throw unexpected("a pattern in quotes")
    }
    let pattern = token.text
    let escapes = pattern.utf8.reversed().prefix { $0 == UInt8(ascii: "\\") }.count
    guard escapes.isMultiple(of: 2) else {
      throw unexpected("a pattern that does not end with a lone \\")
    }
    place += 1
    return pattern
  }

  private mutating func expression() throws(SearchError) -> String {
    guard token.kind == .single || token.kind == .double else {
      throw unexpected("a regular expression in quotes")
    }
    let expression = token.text
    guard expression.utf8.count <= SearchBounds.expressionBytesMax else {
      throw unexpected(
        "a regular expression of at most \(SearchBounds.expressionBytesMax) bytes")
    }
    place += 1
    return expression
  }
}
