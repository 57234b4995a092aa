internal import Postgres

/// How a table has several values of a key.
public struct SearchSeries: Sendable {
  /// Columns of texts that values can be narrowed down by.
  let qualifiers: [StaticString]
  /// Columns by which the last value of a key is the greatest; no two are equal.
  let lastBy: [StaticString]

  /// Names the columns.
  public init(qualifiers: [StaticString], lastBy: [StaticString]) {
    self.qualifiers = qualifiers
    self.lastBy = lastBy
  }
}

/// What values of a series are narrowed down to: a text for each of its columns, nil = any.
public struct SearchQualifier: Equatable, Sendable {
  let texts: [String?]

  /// Takes the texts, in the order of the columns.
  public init(_ texts: [String?]) { self.texts = texts }
}

/// A field of an order as a request has it.
public struct SearchOrderField: Sendable {
  let text: String
  let qualifier: SearchQualifier?

  /// Takes the text, and what values it goes by where the field is a series.
  public init(_ text: String, _ qualifier: SearchQualifier? = nil) {
    self.text = text
    self.qualifier = qualifier
  }
}

extension SearchSchema {
  /// Whether a resource may have several values of a field.
  func isSeries(_ target: SearchTarget) -> Bool {
    guard case .pair(let index, _) = target else { return false }
    return pairs[index].series != nil
  }
}

extension Search {
  /// What makes SQL of the search's conditions.
  var compiler: SearchCompiler {
    var compiler = SearchCompiler(schema, organizationID: organizationID)
    compiler.qualifiers = qualifiers
    compiler.restriction = restriction
    compiler.lent = lent
    return compiler
  }

  /// The field whose table leads a page, so that what is demanded of it goes to that.
  ///
  /// A series leads none: an order goes by its last value, and a comparison by any.
  var leadingTarget: SearchTarget? {
    guard let first = order.first, case .pair = first.target, !schema.isSeries(first.target) else {
      return nil
    }
    return first.target
  }

  /// Joins the last value of a series that leads an order.
  ///
  /// The index of values has all in the order; that one is the last takes a look at what is behind
  /// it. So a page reads few of the resources, unless many values are not the last.
  func addLeadingLast(
    _ pairs: SearchPairs, _ series: SearchSeries, _ key: [UInt8], _ qualifier: SearchQualifier?,
    to sql: inout ComposedStatement
  ) {
    let (compiler, qualifiers) = (compiler, qualifier.map { [$0] } ?? [])
    let alias = SearchCompiler.joined
    func addPlace(_ alias: StaticString, to sql: inout ComposedStatement) {
      sql.add("(")
      for (index, column) in series.lastBy.enumerated() {
        if index > 0 { sql.add(", ") }
        sql.add(alias, column)
      }
      sql.add(")")
    }
    sql.add(pairs.table)
    sql.add(" as ")
    sql.add(alias)
    sql.add(" on ")
    compiler.addOwner(pairs, key, alias, to: &sql)
    compiler.addQualifiers(qualifiers, of: pairs, alias, to: &sql)
    sql.add(" and not exists (select from ")
    sql.add(pairs.table)
    sql.add(" as pair where ")
    compiler.addKey(key, "pair", to: &sql)
    sql.add(" and ")
    sql.add("pair", pairs.owner)
    sql.add(" = ")
    sql.add(alias, pairs.owner)
    compiler.addQualifiers(qualifiers, of: pairs, "pair", to: &sql)
    sql.add(" and ")
    addPlace("pair", to: &sql)
    sql.add(" > ")
    addPlace(alias, to: &sql)
    sql.add(")")
  }

  /// Joins the last value of a series, if there is one.
  func addLast(
    _ pairs: SearchPairs, _ series: SearchSeries, _ key: [UInt8], _ qualifier: SearchQualifier?,
    _ alias: StaticString, to sql: inout ComposedStatement
  ) {
    sql.add("lateral (select ")
    sql.add("pair", pairs.value)
    sql.add(" from ")
    sql.add(pairs.table)
    sql.add(" as pair where ")
    let compiler = compiler
    compiler.addOwner(pairs, key, "pair", to: &sql)
    compiler.addQualifiers(qualifier.map { [$0] } ?? [], of: pairs, "pair", to: &sql)
    sql.add(" order by ")
    sql.add("pair", "key")
    sql.add(" desc")
    for column in series.lastBy {
      sql.add(", ")
      sql.add("pair", column)
      sql.add(" desc")
    }
    sql.add(" limit 1) as ")
    sql.add(alias)
    sql.add(" on true")
  }
}

extension SearchCompiler {
  /// Adds ` and …` for values of a series that are of one of the qualifiers; of any where there are
  /// none.
  func addQualifiers(
    _ all: [SearchQualifier], of pairs: SearchPairs, _ alias: StaticString,
    to sql: inout ComposedStatement
  ) {
    guard let series = pairs.series, !all.isEmpty else { return }
    sql.add(" and (")
    for (index, qualifier) in all.enumerated() {
      sql.add(index == 0 ? "(true" : " or (true")
      for (column, text) in zip(series.qualifiers, qualifier.texts) {
        guard let text else { continue }
        sql.add(" and ")
        sql.add(alias, column)
        sql.add(" = ")
        sql.add(text: text)
      }
      sql.add(")")
    }
    sql.add(")")
  }
}

extension SearchCondition {
  /// Whether a comparison in it is of the schema's keyed fields at a place.
  public func names(pairs place: Int) -> Bool {
    keyedClauses.contains { clause in
      if case .pair(place, _) = clause.target { true } else { false }
    }
  }
}
