internal import Postgres

extension SearchCompiler {
  /// Whether some resource lends another one a value of a field.
  func isLent(_ clause: SearchClause) -> Bool { lent.contains(clause.target) }

  /// Adds ` or …` for what satisfies a comparison by values of others.
  func addLoans(_ clause: SearchClause, to sql: inout ComposedStatement) {
    guard isLent(clause) else { return }
    sql.add(" or ")
    sql.add(schema.alias, "id")
    sql.add(" in (")
    addLentIDs(clause, to: &sql)
    sql.add(")")
  }

  /// A select of the ids of that.
  func addLentIDs(_ clause: SearchClause, to sql: inout ComposedStatement) {
    guard case .pair(let place, let key) = clause.target, let lent = schema.pairs[place].lent
    else { return }
    let pairs = schema.pairs[place]
    sql.add("select ")
    sql.add(schema.alias, pairs.owner)
    // In the place of the resource, so that what bounds that bounds who lends.
    sql.add(" from ")
    sql.add(lent)
    sql.add(" as ")
    sql.add(schema.alias)
    sql.add(" where ")
    addKey(key, schema.alias, to: &sql)
    restriction(&sql)
    guard clause.test != .isMissing, clause.test != .isPresent else { return }
    sql.add(" and ")
    addTest(clause.test, of: pairs, schema.alias, to: &sql)
  }
}

extension Search {
  /// The fields of the filter of which values may be lent.
  fileprivate var lentTargets: [SearchTarget] {
    var found: [SearchTarget] = []
    for clause in condition?.keyedClauses ?? [] {
      guard case .pair(let place, _) = clause.target, schema.pairs[place].lent != nil,
        !found.contains(clause.target)
      else { continue }
      found.append(clause.target)
    }
    return found
  }

  /// Says of each of the targets whether any value of it is lent.
  fileprivate func loans(
    _ name: StaticString, _ targets: [SearchTarget]
  ) -> Query<Set<SearchTarget>> {
    let compiler = compiler
    var sql = ComposedStatement()
    sql.add("select ")
    for (index, target) in targets.enumerated() {
      sql.add(index > 0 ? ", exists (" : "exists (")
      compiler.addLentIDs(SearchClause(target, .isPresent), to: &sql)
      sql.add(")")
    }
    return sql.query(name) { reply throws(PostgresError) in
      try reply.one { row throws(PostgresError) in
        var found: Set<SearchTarget> = []
        for (index, target) in targets.enumerated() where try row.bool(index) {
          found.insert(target)
        }
        return found
      }
    }
  }
}

extension CallContext {
  /// The same search with what resources lend one another.
  ///
  /// Where nothing is lent, which is seen at once, it is not looked at again.
  public func lending(
    _ search: Search, _ name: StaticString, _ reasons: SearchReasons
  ) async throws(CallError) -> Search {
    let targets = search.lentTargets
    guard !targets.isEmpty else { return search }
    var search = search
    search.lent = try await read(search.loans(name, targets), reasons)
    return search
  }
}
