internal import EventLoop
public import Postgres

/// A search that has been read: what a filter finds, in an order, page by page.
///
/// A page is read in parts, after the first field of the order: the resources that have it, then
/// those where it is NaN, then those without. Each is a statement whose order an index may have.
public struct Search: Sendable {
  /// What is searched.
  public let schema: SearchSchema
  let organizationID: UUID
  let condition: SearchCondition?
  let order: [SearchOrder]
  /// Whether what else bounds the search leaves few of the organization's resources.
  let isNarrow: Bool
  /// What values of series are narrowed down to, one of these; none = all of them.
  let qualifiers: [SearchQualifier]
  /// Which rows of the first field of the order are read.
  var branch = SearchBranch.all
  /// Fields of which resources lend one another values.
  var lent: Set<SearchTarget> = []
  /// Adds ` and …` for whom may see what, and what else bounds the search.
  let restriction: @Sendable (inout ComposedStatement) -> Void

  /// Makes a search.
  public init(
    _ schema: SearchSchema, organizationID: UUID, condition: SearchCondition?,
    order: [SearchOrder], isNarrow: Bool = false, qualifiers: [SearchQualifier] = [],
    restriction: @escaping @Sendable (inout ComposedStatement) -> Void
  ) {
    self.schema = schema
    self.organizationID = organizationID
    self.condition = condition
    self.order = order
    self.isNarrow = isNarrow
    self.qualifiers = qualifiers
    self.restriction = restriction
  }

  /// How the values of the order are compared.
  var orderKinds: [(kind: SearchKind, isNullable: Bool)] {
    order.map { (schema.kind(of: $0.target), schema.isNullable($0.target)) }
  }

  /// Among equals of the whole order the newest come first, unless it ends with ASC.
  var isIDDescending: Bool { order.last?.isDescending ?? true }

  // MARK: Statements

  /// How many resources are found.
  func count(_ name: StaticString, _ accesses: [Int: SearchAccess] = [:]) -> Query<Int64> {
    var compiler = compiler
    compiler.accesses = accesses
    compiler.isCount = true
    var sql = ComposedStatement()
    sql.add("select count(*) from ")
    sql.add(schema.table)
    addConditions(compiler, to: &sql)
    return sql.query(name) { reply throws(PostgresError) in
      try reply.one { row throws(PostgresError) in try row.int8(0) }
    }
  }

  /// The parts of a page that begins behind `place`, by their ranks.
  func ranks(from place: SearchPlace?) -> [Int] {
    guard let first = order.first else { return [0] }
    var ranks = [0]
    if schema.kind(of: first.target).hasNaN { ranks.append(1) }
    if schema.isNullable(first.target) { ranks.append(2) }
    for part in condition?.conjuncts ?? [] {
      guard case .clause(let clause) = part, clause.target == first.target,
        !schema.isSeries(first.target)
      else { continue }
      ranks.removeAll { !clause.test.mayHold(ofRank: $0) }
    }
    let start = place?.values.first?.rank ?? 0
    return ranks.filter { $0 >= start }
  }

  /// One part of a page: at most `limit` rows, each with its place.
  func page<Value: Sendable>(
    _ name: StaticString, _ accesses: [Int: SearchAccess] = [:], rank: Int,
    after place: SearchPlace?, until end: SearchValue? = nil, holdsAll: Bool = false, limit: Int,
    _ decode: @escaping @Sendable (borrowing Row) throws(PostgresError) -> Value
  ) -> Query<[(value: Value, values: [SearchValue])]> {
    let sql = pageStatement(
      accesses, rank: rank, after: place, until: end, holdsAll: holdsAll, limit: limit)
    let kinds = orderKinds.map(\.kind)
    let firstColumn = schema.columnCount
    return sql.query(name) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in
        var values: [SearchValue] = []
        for (index, kind) in kinds.enumerated() {
          values.append(try SearchValue.read(row, firstColumn + index, kind))
        }
        return (try decode(row), values)
      }
    }
  }

  func pageStatement(
    _ accesses: [Int: SearchAccess] = [:], rank: Int, after place: SearchPlace?,
    until end: SearchValue? = nil, holdsAll: Bool = false, limit: Int
  ) -> ComposedStatement {
    var compiler = compiler
    compiler.accesses = accesses
    compiler.holdsAll = holdsAll
    compiler.isTrial = end != nil
    let branches = branches(rank: rank)
    var sql = ComposedStatement()
    if branches.count == 1 {
      addPage(compiler, rank: rank, after: place, until: end, limit: limit, to: &sql)
      return sql
    }
    sql.add("select found.*\nfrom ")
    addMerged(branches, to: &sql) { part, sql in
      part.addPage(compiler, rank: rank, after: place, until: end, limit: limit, to: &sql)
    }
    addOrder(rank: rank, ofMerged: true, to: &sql)
    sql.add("\nlimit ")
    sql.add(int8: Int64(limit))
    return sql
  }

  private func addPage(
    _ compiler: SearchCompiler, rank: Int, after place: SearchPlace?, until end: SearchValue?,
    limit: Int, to sql: inout ComposedStatement
  ) {
    var compiler = compiler
    compiler.branch = branch
    if rank < 2 { compiler.joinedTarget = leadingTarget }
    sql.add("select\n    ")
    sql.add(schema.columns)
    for index in order.indices {
      sql.add(", ")
      addValue(index, rank: rank, to: &sql)
      sql.add(" as ")
      sql.add(SearchCompiler.values[index])
    }
    sql.add("\nfrom ")
    sql.add(schema.table)
    addJoins(compiler, rank: rank, to: &sql)
    addConditions(compiler, to: &sql)
    addRank(compiler, rank, to: &sql)
    if let end { addTrialEnd(end, to: &sql) }
    if let place, place.values.first.map({ $0.rank == rank }) ?? true {
      sql.add("\n    and ")
      addBehind(place, from: 0, rank: rank, to: &sql)
    }
    addOrder(rank: rank, to: &sql)
    sql.add("\nlimit ")
    sql.add(int8: Int64(limit))
  }

  func addConditions(_ compiler: SearchCompiler, to sql: inout ComposedStatement) {
    sql.add("\nwhere\n    ")
    sql.add(schema.alias, "organization_id")
    sql.add(" = ")
    sql.add(uuid: organizationID)
    restriction(&sql)
    if let condition { compiler.add(condition, to: &sql) }
  }

  private func addJoins(
    _ compiler: SearchCompiler, rank: Int, to sql: inout ComposedStatement
  ) {
    for (index, field) in order.enumerated() {
      guard case .pair(let place, let key) = field.target, index > 0 || rank < 2 else { continue }
      let pairs = schema.pairs[place]
      sql.add(index == 0 ? "\ninner join " : "\nleft join ")
      if let series = pairs.series, index == 0 {
        addLeadingLast(pairs, series, key, field.qualifier, to: &sql)
        continue
      }
      if let series = pairs.series {
        addLast(pairs, series, key, field.qualifier, SearchCompiler.aliases[index], to: &sql)
        continue
      }
      sql.add(pairs.table)
      sql.add(" as ")
      sql.add(SearchCompiler.aliases[index])
      sql.add(" on ")
      compiler.addOwner(pairs, key, SearchCompiler.aliases[index], to: &sql)
      if index == 0 {
        compiler.addBranch(branch, of: pairs, SearchCompiler.aliases[index], to: &sql)
      }
    }
  }

  /// Bounds the statement to its part.
  private func addRank(
    _ compiler: SearchCompiler, _ rank: Int, to sql: inout ComposedStatement
  ) {
    guard let first = order.first else { return }
    if rank == 2, case .pair(let place, let key) = first.target {
      let pairs = schema.pairs[place]
      sql.add("\n    and not exists (select from ")
      sql.add(pairs.table)
      sql.add(" as pair where ")
      compiler.addOwner(pairs, key, "pair", to: &sql)
      compiler.addQualifiers(
        first.qualifier.map { [$0] } ?? [], of: pairs, "pair", to: &sql)
      return sql.add(")")
    }
    guard schema.isNullable(first.target) else { return }
    sql.add("\n    and ")
    addValue(0, rank: 0, to: &sql)
    switch rank {
    case 0: sql.add(schema.kind(of: first.target).hasNaN ? " <> 'NaN'" : " is not null")
    case 1: sql.add(" = 'NaN'")
    default: sql.add(" is null")
    }
  }

  // MARK: The order

  /// The value of a field of the order.
  func addValue(_ index: Int, rank: Int, to sql: inout ComposedStatement) {
    switch order[index].target {
    case .pair(let place, _):
      guard index > 0 || rank < 2 else {
        return sql.add(schema.pairs[place].kind == .number ? "null::float8" : "null::text")
      }
      let pairs = schema.pairs[place]
      sql.add(SearchCompiler.aliases[index], index == 0 ? pairs.sorted(branch) : pairs.sorted)
    case .attribute(let place):
      let attribute = schema.attributes[place]
      sql.add(schema.alias, attribute.column)
      // By bytes, whatever the database's language.
      if case .text = attribute.kind { sql.add(" collate \"C\"") }
    }
  }

  private func addOrder(
    rank: Int, ofMerged isMerged: Bool = false, to sql: inout ComposedStatement
  ) {
    func addValue(_ index: Int, rank: Int, to sql: inout ComposedStatement) {
      if isMerged { return sql.add("found", SearchCompiler.values[index]) }
      self.addValue(index, rank: rank, to: &sql)
    }
    sql.add("\norder by ")
    for (index, field) in order.enumerated() where index > 0 || rank == 0 {
      if index > 0, schema.isNullable(field.target) {
        addValue(index, rank: rank, to: &sql)
        sql.add(" is null, ")
        if schema.kind(of: field.target).hasNaN {
          addValue(index, rank: rank, to: &sql)
          sql.add(" = 'NaN', ")
        }
      }
      addValue(index, rank: rank, to: &sql)
      sql.add(field.isDescending ? " desc, " : ", ")
    }
    sql.add(isMerged ? "found" : schema.alias, "id")
    if isIDDescending { sql.add(" desc") }
  }

  /// Holds of what comes behind a place, if the fields of the order before `index` are equal.
  private func addBehind(
    _ place: SearchPlace, from index: Int, rank: Int, to sql: inout ComposedStatement
  ) {
    guard index < order.count else {
      sql.add(schema.alias, "id")
      sql.add(isIDDescending ? " < " : " > ")
      return sql.add(uuid: place.id)
    }
    if index == 0, rank > 0 { return addBehind(place, from: 1, rank: rank, to: &sql) }
    let value = place.values[index]
    let field = order[index]
    let hasNaN = schema.kind(of: field.target).hasNaN
    let isNullable = index > 0 && schema.isNullable(field.target)
    func add(_ rest: StaticString) {
      addValue(index, rank: rank, to: &sql)
      sql.add(rest)
    }
    sql.add("(")
    if value.rank == 0 {
      if index == 0 {
        // Alone it lets an index be entered at the place.
        add(field.isDescending ? " <= " : " >= ")
        value.add(to: &sql)
        sql.add(" and (")
      }
      add(field.isDescending ? " < " : " > ")
      value.add(to: &sql)
      sql.add(" or ")
      if isNullable {
        if hasNaN, field.isDescending { add(" = 'NaN' or ") }
        add(" is null or ")
      }
      add(" = ")
      value.add(to: &sql)
    } else if value.rank == 1 {
      add(" is null or ")
      add(" = 'NaN'")
    } else {
      add(" is null")
    }
    sql.add(" and ")
    addBehind(place, from: index + 1, rank: rank, to: &sql)
    sql.add(index == 0 && value.rank == 0 ? "))" : ")")
  }
}

extension SearchTest {
  /// Whether the test can hold of values of a rank.
  func mayHold(ofRank rank: Int) -> Bool {
    switch (self, rank) {
    case (.isMissing, _): rank == 2
    case (_, 2): false
    case (.isPresent, _), (_, 0): true
    case (.number(let comparison, _), _): comparison == .unequal
    default: true
    }
  }
}
