internal import Postgres

extension SearchSchema {
  /// Whether a field is one of a resource's parts.
  func isPart(_ target: SearchTarget) -> Bool {
    guard case .pair(let index, _) = target else { return false }
    return pairs[index].columns != nil
  }
}

extension SearchCompiler {
  /// What a conjunct demands of a part, with what the others demand of the same part; none where
  /// an earlier one has had it, nil where it demands nothing of a part.
  func partClauses(_ part: SearchCondition, in condition: SearchCondition) -> [SearchClause]? {
    guard case .clause(let clause) = part, case .pair(let index, _) = clause.target,
      schema.isPart(clause.target), clause.test != .isMissing
    else { return nil }
    let all = condition.conjuncts.compactMap { part -> SearchClause? in
      guard case .clause(let other) = part, case .pair(index, _) = other.target,
        other.test != .isMissing
      else { return nil }
      return other
    }
    return all.first == clause ? all : []
  }

  /// Demands that one part satisfies all the clauses.
  func addParts(_ clauses: [SearchClause], to sql: inout ComposedStatement) {
    guard let first = clauses.first, case .pair(let index, _) = first.target else {
      return sql.add("true")
    }
    let pairs = schema.pairs[index]
    if first.test == .isMissing { sql.add("not ") }
    sql.add("exists (select from ")
    sql.add(pairs.table)
    sql.add(" as pair where ")
    sql.add("pair", "organization_id")
    sql.add(" = ")
    sql.add(uuid: organizationID)
    sql.add(" and ")
    sql.add("pair", pairs.owner)
    sql.add(" = ")
    sql.add(schema.alias, "id")
    for clause in clauses {
      guard case .pair(_, let key) = clause.target else { continue }
      sql.add(" and ")
      let name = String(decoding: key, as: UTF8.self)
      if clause.test == .isMissing || clause.test == .isPresent {
        addValue(name, of: pairs, to: &sql)
        sql.add(" is not null")
      } else {
        addTextTest(clause.test, to: &sql) { addValue(name, of: pairs, to: &$0) }
      }
    }
    sql.add(")")
  }

  private func addValue(_ name: String, of pairs: SearchPairs, to sql: inout ComposedStatement) {
    if let column = pairs.columns?[name] { return sql.add("pair", column) }
    guard let open = pairs.open else { return sql.add("null::text") }
    sql.add(open.function)
    sql.add("(")
    sql.add("pair", open.column)
    sql.add(", ")
    sql.add(text: String(name.dropFirst(open.prefix.count)))
    sql.add(")")
  }
}
