internal import Postgres

/// Makes SQL of conditions.
struct SearchCompiler {
  let schema: SearchSchema
  let organizationID: UUID
  /// The keyed field whose table is joined as ``joined``, so that its conditions go to that.
  var joinedTarget: SearchTarget?
  /// Which of its rows are read.
  var branch = SearchBranch.all
  /// How parts of the condition are decided, by their places; the others are tried one by one.
  var accesses: [Int: SearchAccess] = [:]
  /// What values of series are narrowed down to, one of these; none = all of them.
  var qualifiers: [SearchQualifier] = []
  /// Whether every comparison of a keyed field is decided by a set of ids.
  var holdsAll = false
  /// Whether few rows are tried, one by one.
  var isTrial = false
  /// Whether all rows are, to count those that satisfy the condition.
  var isCount = false
  /// Adds ` and …` for what bounds the search.
  var restriction: @Sendable (inout ComposedStatement) -> Void = { _ in }
  /// Fields of which resources lend one another values.
  var lent: Set<SearchTarget> = []

  /// The alias of the first field of an order.
  static let joined: StaticString = "k0"
  /// Those of all fields.
  static let aliases: [StaticString] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"]
  /// What their values are called.
  static let values: [StaticString] = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7"]

  init(_ schema: SearchSchema, organizationID: UUID) {
    self.schema = schema
    self.organizationID = organizationID
  }

  /// Adds ` and …` for each of the conditions that must all hold.
  func add(_ condition: SearchCondition, to sql: inout ComposedStatement) {
    for (place, part) in condition.conjuncts.enumerated() {
      sql.add("\n    and ")
      if let access = accesses[place] {
        addSet(part, access, to: &sql)
      } else if let clauses = partClauses(part, in: condition) {
        addParts(clauses, to: &sql)
      } else if case .clause(let clause) = part, clause.target == joinedTarget {
        addJoined(clause, to: &sql)
      } else {
        addPart(part, to: &sql)
      }
    }
  }

  private func addPart(_ condition: SearchCondition, to sql: inout ComposedStatement) {
    switch condition {
    case .all(let parts): addList(parts, " and ", to: &sql)
    case .any(let parts): addList(parts, " or ", to: &sql)
    case .not(let inner):
      sql.add("not (")
      addPart(inner, to: &sql)
      sql.add(")")
    case .clause(let clause): addClause(clause, to: &sql)
    }
  }

  private func addList(
    _ parts: [SearchCondition], _ word: StaticString, to sql: inout ComposedStatement
  ) {
    sql.add("(")
    for (index, part) in parts.enumerated() {
      if index > 0 { sql.add(word) }
      addPart(part, to: &sql)
    }
    sql.add(")")
  }

  // MARK: Clauses

  /// A condition on the joined field, which is there.
  private func addJoined(_ clause: SearchClause, to sql: inout ComposedStatement) {
    guard case .pair(let index, _) = clause.target else { return sql.add("true") }
    switch clause.test {
    case .isMissing: sql.add("false")
    case .isPresent: sql.add("true")
    default: addTest(clause.test, of: schema.pairs[index], SearchCompiler.joined, branch, to: &sql)
    }
  }

  private func addClause(_ clause: SearchClause, to sql: inout ComposedStatement) {
    switch clause.target {
    case .attribute(let index):
      let attribute = schema.attributes[index]
      switch clause.test {
      case .isMissing: addColumn(attribute, " is null", to: &sql)
      case .isPresent: addColumn(attribute, " is not null", to: &sql)
      default:
        sql.add("(")
        if attribute.isNullable { addColumn(attribute, " is not null and ", to: &sql) }
        addTest(clause.test, of: attribute, to: &sql)
        sql.add(")")
      }
    case .pair where schema.isPart(clause.target): addParts([clause], to: &sql)
    case .pair where holdsAll: addHeld([clause], to: &sql)
    case .pair(let index, let key):
      let pairs = schema.pairs[index]
      if clause.test == .isMissing { sql.add("not ") }
      // Of each branch an index knows all that a count wants.
      let branches = isCount ? pairs.branches : [.all]
      sql.add("(")
      for (place, branch) in branches.enumerated() {
        if place > 0 { sql.add(" or ") }
        addExists(clause, of: pairs, key, branch, to: &sql)
      }
      addLoans(clause, to: &sql)
      sql.add(")")
    }
  }

  private func addExists(
    _ clause: SearchClause, of pairs: SearchPairs, _ key: [UInt8], _ branch: SearchBranch,
    to sql: inout ComposedStatement
  ) {
    sql.add("exists (select from ")
    addRows(clause, of: pairs, key, branch, to: &sql)
    sql.add(" and ")
    sql.add("pair", pairs.owner)
    sql.add(" = ")
    sql.add(schema.alias, "id")
    // Of several values the server does not know how many resources have them, and may rather read
    // all of them than look at the few rows of a trial; OFFSET leaves it only the looks.
    if isTrial, pairs.knownKeys != nil { sql.add(" offset 0") }
    sql.add(")")
  }

  /// Adds the table of a comparison, called `pair`, and `where …` for the rows that satisfy it.
  func addRows(
    _ clause: SearchClause, of pairs: SearchPairs, _ key: [UInt8], _ branch: SearchBranch,
    to sql: inout ComposedStatement
  ) {
    if let presence = pairs.presence(clause) {
      sql.add(presence.table)
      sql.add(" as pair where ")
      return addOrganization("pair", to: &sql)
    }
    sql.add(pairs.table)
    sql.add(" as pair where ")
    addKey(key, "pair", to: &sql)
    addBranch(branch, of: pairs, "pair", to: &sql)
    addQualifiers(qualifiers, of: pairs, "pair", to: &sql)
    guard clause.test != .isMissing, clause.test != .isPresent else { return }
    sql.add(" and ")
    addTest(clause.test, of: pairs, "pair", branch, to: &sql)
  }

  /// What ties a keyed field to its resource.
  func addOwner(
    _ pairs: SearchPairs, _ key: [UInt8], _ alias: StaticString, to sql: inout ComposedStatement
  ) {
    addKey(key, alias, to: &sql)
    sql.add(" and ")
    sql.add(alias, pairs.owner)
    sql.add(" = ")
    sql.add(schema.alias, "id")
  }

  /// What bounds keyed fields to those of a key.
  func addKey(_ key: [UInt8], _ alias: StaticString, to sql: inout ComposedStatement) {
    addOrganization(alias, to: &sql)
    sql.add(" and ")
    sql.add(alias, "key")
    sql.add(" = ")
    sql.add(text: String(decoding: key, as: UTF8.self))
  }

  private func addOrganization(_ alias: StaticString, to sql: inout ComposedStatement) {
    sql.add(alias, "organization_id")
    sql.add(" = ")
    sql.add(uuid: organizationID)
  }

  private func addColumn(
    _ attribute: SearchAttribute, _ rest: StaticString, to sql: inout ComposedStatement
  ) {
    sql.add(schema.alias, attribute.column)
    sql.add(rest)
  }

  // MARK: Keyed fields

  func addTest(
    _ test: SearchTest, of pairs: SearchPairs, _ alias: StaticString,
    _ branch: SearchBranch = .all, to sql: inout ComposedStatement
  ) {
    switch test {
    case .number(let comparison, let number):
      let column = pairs.number ?? pairs.value(branch)
      sql.add(alias, column)
      sql.add(comparison.sql)
      sql.add(float8: number)
      // The server has NaN as the greatest number; here it is greater than none.
      guard comparison == .greater || comparison == .greaterOrEqual else { return }
      sql.add(" and ")
      sql.add(alias, column)
      sql.add(" <> 'NaN'")
    case .text(.equal, let text) where pairs.hasHead:
      sql.add(alias, pairs.sorted)
      sql.add(" = ")
      sql.add(text: SearchPairs.head(of: text))
      // Asked twice, the same would be thought to be rarer.
      guard !SearchPairs.isHead(text) else { return }
      sql.add(" and ")
      sql.add(alias, pairs.value)
      sql.add(" = ")
      sql.add(text: text)
    case .among(let texts, isNegated: false) where pairs.hasHead:
      sql.add(alias, pairs.sorted)
      sql.add(" = any(")
      sql.add(texts: texts.map(SearchPairs.head))
      sql.add(")")
      guard !texts.allSatisfy(SearchPairs.isHead) else { return }
      sql.add(" and ")
      sql.add(alias, pairs.value)
      sql.add(" = any(")
      sql.add(texts: texts)
      sql.add(")")
    default: addTextTest(test, alias, pairs.value, to: &sql)
    }
  }

  private func addTextTest(
    _ test: SearchTest, _ alias: StaticString, _ column: StaticString,
    to sql: inout ComposedStatement
  ) {
    addTextTest(test, to: &sql) { $0.add(alias, column) }
  }

  /// Compares the text that `addValue` adds.
  func addTextTest(
    _ test: SearchTest, to sql: inout ComposedStatement,
    _ addValue: (inout ComposedStatement) -> Void
  ) {
    switch test {
    case .text(let comparison, let text):
      addValue(&sql)
      sql.add(comparison.sql)
      sql.add(text: text)
    case .among(let texts, let isNegated):
      addValue(&sql)
      sql.add(isNegated ? " <> all(" : " = any(")
      sql.add(texts: texts)
      sql.add(")")
    case .like, .matches:
      addValue(&sql)
      addPattern(test, to: &sql)
    default: sql.add("false")
    }
  }

  private func addPattern(_ test: SearchTest, to sql: inout ComposedStatement) {
    switch test {
    case .like(let pattern, let ignoresCase, let isNegated):
      if isNegated { sql.add(" not") }
      sql.add(ignoresCase ? " ilike " : " like ")
      sql.add(text: pattern)
    case .matches(let expression, let isNegated):
      sql.add(isNegated ? " !~ " : " ~ ")
      sql.add(text: expression)
    default: break
    }
  }

  // MARK: Attributes

  private func addTest(
    _ test: SearchTest, of attribute: SearchAttribute, to sql: inout ComposedStatement
  ) {
    switch (test, attribute.kind) {
    case (.number(let comparison, let number), _):
      addColumn(attribute, comparison.sql, to: &sql)
      sql.add(float8: number)
    case (.time(let comparison, let milliseconds), _):
      addTime(comparison, milliseconds, attribute, to: &sql)
    case (.text(let comparison, let text), .uuid):
      guard let id = UUID(text) else { return sql.add(comparison == .equal ? "false" : "true") }
      addColumn(attribute, comparison.sql, to: &sql)
      sql.add(uuid: id)
    case (.among(let texts, let isNegated), .uuid):
      addColumn(attribute, isNegated ? " <> all(" : " = any(", to: &sql)
      sql.add(uuids: texts.compactMap { UUID($0) })
      sql.add(")")
    case (.like, .uuid), (.matches, .uuid):
      addColumn(attribute, "::text", to: &sql)
      addPattern(test, to: &sql)
    case (.like, .word), (.matches, .word):
      sql.add("upper(")
      addColumn(attribute, ")", to: &sql)
      addPattern(test, to: &sql)
    default: addTextTest(test, schema.alias, attribute.column, to: &sql)
    }
  }

  /// Compares whole milliseconds with a column of microseconds.
  private func addTime(
    _ comparison: SearchComparison, _ milliseconds: Int64, _ attribute: SearchAttribute,
    to sql: inout ComposedStatement
  ) {
    let start = SearchTime.microseconds(milliseconds)
    let end = SearchTime.microseconds(milliseconds == .max ? .max : milliseconds + 1)
    func bound(_ sign: StaticString, _ time: Int64) {
      addColumn(attribute, sign, to: &sql)
      sql.add(timestamp: time)
    }
    switch comparison {
    case .equal:
      bound(" >= ", start)
      sql.add(" and ")
      bound(" < ", end)
    case .unequal:
      sql.add("(")
      bound(" < ", start)
      sql.add(" or ")
      bound(" >= ", end)
      sql.add(")")
    case .less: bound(" < ", start)
    case .lessOrEqual: bound(" < ", end)
    case .greater: bound(" >= ", end)
    case .greaterOrEqual: bound(" >= ", start)
    }
  }
}

/// Times as the server can hold them.
enum SearchTime {
  /// Microseconds since 1970 of the server's first time.
  private static let least: Int64 = -210_866_803_200_000_000

  /// Microseconds; what is beyond the server's times is an infinity.
  static func microseconds(_ milliseconds: Int64) -> Int64 {
    let (value, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000)
    if overflow { return milliseconds < 0 ? .min : .max }
    return value < least ? .min : value
  }
}
