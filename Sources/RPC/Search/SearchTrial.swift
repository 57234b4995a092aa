internal import Postgres

/// Bounds of a look at the first rows of an order, and of what is read where those are not enough.
enum SearchTrialBounds {
  /// Rows that are tried first, those beyond with an equal value included.
  ///
  /// Each takes a look at a run and one for each comparison, some microseconds all together; where
  /// what is found is as likely anywhere in the order, one row in ten must satisfy the filter for a
  /// page of a hundred. Where fewer do, sets are soon quicker.
  static let rowsMax: Int64 = 1_000
  /// Ids of one comparison that are held.
  ///
  /// Far from what a set is cut at: it may grow after it was counted.
  static let heldMax: Int64 = 400_000
  /// Comparisons that are held.
  static let clausesMax = 8
}

/// How a page is read, part by part.
struct SearchWay {
  let accesses: [Int: SearchAccess]
  /// Comparisons that are held if the first rows of the order are not enough.
  let tried: [SearchClause]
  /// Whether they are held, from here on.
  var holdsAll = false
  /// Whether it has turned out that nothing is found.
  var findsNothing = false

  init(_ accesses: [Int: SearchAccess], tried: [SearchClause]) {
    self.accesses = accesses
    self.tried = tried
  }
}

extension Search {
  /// The comparisons whose ids are held where the first rows of the order are not enough; none
  /// where a page is read at once.
  ///
  /// What leads a page by its ids is few, and of orders without an index all rows are read anyway.
  func triedClauses(_ accesses: [Int: SearchAccess]) -> [SearchClause] {
    guard !isNarrow, !accesses.values.contains(.listed) else { return [] }
    guard order.isEmpty || leadingTarget != nil else { return [] }
    var clauses: [SearchClause] = []
    for (place, part) in (condition?.conjuncts ?? []).enumerated() where accesses[place] == nil {
      // The order's own index decides that.
      if case .clause(let clause) = part, clause.target == leadingTarget { continue }
      clauses += part.keyedClauses
    }
    // Of a text in another, each value is read either way.
    let isQuick = clauses.allSatisfy { clause in
      switch clause.test {
      case .like, .matches: false
      default: true
      }
    }
    return isQuick && clauses.count <= SearchTrialBounds.clausesMax ? clauses : []
  }

  /// The value of the order where its first rows behind `place` end; nil where there are no more.
  func trialEnd(_ name: StaticString, after place: SearchPlace?, rows: Int64) -> Query<SearchValue?>
  {
    var sql = ComposedStatement()
    var kind = SearchKind.uuid
    if let first = order.first, case .pair(let index, let key) = first.target {
      let pairs = schema.pairs[index]
      kind = pairs.kind
      let isDescending: StaticString = first.isDescending ? " desc" : ""
      sql.add("select found.v0 from ")
      addMerged(pairs.branches, to: &sql) { part, sql in
        part.addTrial(pairs, key, after: place, first.isDescending, to: &sql)
        sql.add(" limit ")
        sql.add(int8: rows + 1)
      }
      sql.add(" order by found.v0")
      sql.add(isDescending)
    } else {
      sql.add("select ")
      sql.add(schema.alias, "id")
      sql.add(" from ")
      sql.add(schema.table)
      sql.add(" where ")
      sql.add(schema.alias, "organization_id")
      sql.add(" = ")
      sql.add(uuid: organizationID)
      restriction(&sql)
      if let place {
        sql.add(" and ")
        sql.add(schema.alias, "id")
        sql.add(" < ")
        sql.add(uuid: place.id)
      }
      sql.add(" order by ")
      sql.add(schema.alias, "id")
      sql.add(" desc")
    }
    sql.add(" offset ")
    sql.add(int8: rows)
    sql.add(" limit 1")
    let valueKind = kind
    return sql.query(name) { reply throws(PostgresError) in
      try reply.optional { row throws(PostgresError) in try SearchValue.read(row, 0, valueKind) }
    }
  }

  /// The values of the order's first field in its order, those behind `place`.
  private func addTrial(
    _ pairs: SearchPairs, _ key: [UInt8], after place: SearchPlace?, _ isDescending: Bool,
    to sql: inout ComposedStatement
  ) {
    let compiler = SearchCompiler(schema, organizationID: organizationID)
    let (alias, sorted) = (SearchCompiler.joined, pairs.sorted(branch))
    sql.add("select ")
    sql.add(alias, sorted)
    sql.add(" as v0 from ")
    sql.add(pairs.table)
    sql.add(" as k0 where ")
    compiler.addKey(key, alias, to: &sql)
    compiler.addBranch(branch, of: pairs, alias, to: &sql)
    if pairs.kind.hasNaN {
      sql.add(" and ")
      sql.add(alias, sorted)
      sql.add(" <> 'NaN'")
    }
    if let value = place?.values.first, value.rank == 0 {
      sql.add(" and ")
      sql.add(alias, sorted)
      sql.add(isDescending ? " <= " : " >= ")
      value.add(to: &sql)
    }
    sql.add(" order by ")
    sql.add(alias, sorted)
    sql.add(isDescending ? " desc" : "")
  }

  /// Adds ` and …` for the rows up to where a trial ends.
  func addTrialEnd(_ end: SearchValue, to sql: inout ComposedStatement) {
    sql.add("\n    and ")
    if let first = order.first, case .pair = first.target {
      addValue(0, rank: 0, to: &sql)
      sql.add(first.isDescending ? " >= " : " <= ")
    } else {
      sql.add(schema.alias, "id")
      sql.add(" >= ")
    }
    end.add(to: &sql)
  }

  /// Counts how many ids are held for each of the clauses, as far as that matters, and behind them,
  /// where that may decide, how many resources there are.
  func heldCounts(_ name: StaticString, _ clauses: [SearchClause]) -> Query<[Int64]> {
    let sets = clauses.map { SearchSet(part: 0, clauses: [$0.held]) }
    return counts(
      name, of: sets, most: SearchTrialBounds.heldMax, isOfAll: clauses.contains(where: demandsLack)
    )
  }

  /// How all clauses are decided that have so many ids.
  func heldWay(_ way: SearchWay, _ counts: [Int64]) -> SearchWay {
    var way = way
    let held = counts.prefix(way.tried.count)
    way.holdsAll = held.allSatisfy { $0 <= SearchTrialBounds.heldMax }
    guard counts.count > held.count, let all = counts.last else { return way }
    // As many have a value as there are: no one lacks it.
    way.findsNothing = zip(way.tried, held).contains { demandsLack($0) && $1 == all }
    return way
  }

  /// Whether only what has no value of a field is found, and ids are held once each.
  private func demandsLack(_ clause: SearchClause) -> Bool {
    guard clause.test == .isMissing, case .pair(let place, _) = clause.target,
      condition?.conjuncts.contains(.clause(clause)) ?? false
    else { return false }
    let pairs = schema.pairs[place]
    return pairs.presence(clause) != nil
      || pairs.isSingle && pairs.series == nil && pairs.columns == nil
  }
}

extension SearchCondition {
  /// The comparisons of keyed fields in it, wherever they stand.
  var keyedClauses: [SearchClause] {
    switch self {
    case .all(let parts), .any(let parts): return parts.flatMap(\.keyedClauses)
    case .not(let inner): return inner.keyedClauses
    case .clause(let clause):
      if case .pair = clause.target { return [clause] }
      return []
    }
  }
}

extension SearchPairs {
  /// Where it is seen whether a comparison holds that only asks for any value.
  func presence(_ clause: SearchClause) -> SearchPresence? {
    guard clause.test == .isMissing || clause.test == .isPresent,
      case .pair(_, let key) = clause.target, let presence,
      presence.keys.contains(String(decoding: key, as: UTF8.self))
    else { return nil }
    return presence
  }
}

extension SearchClause {
  /// What is held to decide it: of a missing value those that have one.
  var held: SearchClause { test == .isMissing ? SearchClause(target, .isPresent) : self }
}

extension SearchCompiler {
  /// Decides a comparison by a set of ids, which is read once.
  func addHeld(_ clauses: [SearchClause], to sql: inout ComposedStatement) {
    // Of the joined field where there is one, so that its index alone decides. IS TRUE keeps the
    // server from joining instead, by the order that its estimates suggest.
    sql.add("(")
    if case .pair(let place, _) = joinedTarget {
      sql.add(SearchCompiler.joined, schema.pairs[place].owner)
    } else {
      sql.add(schema.alias, "id")
    }
    sql.add(" in (")
    addIDs(clauses.map(\.held), to: &sql)
    sql.add(" limit ")
    sql.add(int8: SearchAccessBounds.heldEstimateMax)
    sql.add(clauses.first?.test == .isMissing ? ")) is not true" : ")) is true")
  }
}
