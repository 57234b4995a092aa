public import Postgres

extension Search {
  /// A statement over all that is found: `head` begins it up to its tables, `joins` adds further
  /// ones, and `tail` more conditions and whatever comes behind them.
  public func gathered<Output>(
    _ name: StaticString, _ head: (inout ComposedStatement) -> Void,
    joins: (inout ComposedStatement) -> Void, tail: (inout ComposedStatement) -> Void,
    _ decode: @escaping @Sendable (borrowing Row) throws(PostgresError) -> Output
  ) -> Query<[Output]> {
    var sql = ComposedStatement()
    head(&sql)
    sql.add("\nfrom ")
    sql.add(schema.table)
    joins(&sql)
    addConditions(compiler, to: &sql)
    tail(&sql)
    return sql.query(name) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in try decode(row) }
    }
  }
}
