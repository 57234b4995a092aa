internal import Postgres

/// How a part of a filter is decided.
enum SearchAccess: Equatable {
  /// By the ids of what satisfies it, which are so few that only those are looked at.
  case listed
  /// By whether an id is in the set of those, which is read first.
  case held
}

/// A part of a filter that an index of keyed fields answers with a set of ids: a comparison, or
/// several of which one must hold.
struct SearchSet {
  /// The place among the condition's conjuncts.
  let part: Int
  let clauses: [SearchClause]
}

/// Which access fits how many ids satisfy a part.
///
/// The server's own estimates know how values are
/// distributed over all keys together, and not over those of one key, so they are counted instead:
/// as far as these bounds, which takes two milliseconds at most.
enum SearchAccessBounds {
  /// Ids that lead a page in the order of a keyed field, which its index has as well.
  static let listedByKeyMax: Int64 = 1_000
  /// Ids that lead a page in any other order.
  static let listedMax: Int64 = 3_000
  /// Ids that lead a count.
  static let listedToCountMax: Int64 = 10_000
  /// Ids in a set.
  ///
  /// Where more satisfy a part, those that come first in an order are soon found.
  static let heldMax: Int64 = 10_000
  /// What the server must think to be the most that a set has.
  ///
  /// More it would not keep in memory, and read again for every row. It is far from what a set
  /// grows to after it was counted.
  static let heldEstimateMax: Int64 = 1_000_000
  /// Parts that are counted.
  static let partsMax = 8
}

extension Search {
  /// The parts whose ids an index knows, except for those that the order's own index decides.
  var sets: [SearchSet] {
    var sets: [SearchSet] = []
    for (place, part) in (condition?.conjuncts ?? []).enumerated() {
      let clauses: [SearchClause]
      switch part {
      case .clause(let clause) where clause.target != leadingTarget: clauses = [clause]
      case .any(let parts):
        clauses = parts.compactMap { part in
          if case .clause(let clause) = part { clause } else { nil }
        }
        guard clauses.count == parts.count else { continue }
      default: continue
      }
      guard clauses.allSatisfy({ $0.isIndexed && !schema.isPart($0.target) }) else { continue }
      sets.append(SearchSet(part: place, clauses: clauses))
    }
    return Array(sets.prefix(SearchAccessBounds.partsMax))
  }

  /// Whether a page follows the index of a keyed field.
  private var isByKey: Bool { leadingTarget != nil }

  /// Counts how many ids each of `sets` has, as far as that matters.
  func counts(
    _ name: StaticString, of sets: [SearchSet], isToCount: Bool
  ) -> Query<[Int64]> {
    let most = isToCount || isByKey ? SearchAccessBounds.heldMax : SearchAccessBounds.listedMax
    return counts(name, of: sets, most: most)
  }

  func counts(
    _ name: StaticString, of sets: [SearchSet], most: Int64, isOfAll: Bool = false
  ) -> Query<[Int64]> {
    let compiler = compiler
    var sql = ComposedStatement()
    sql.add("select")
    for (index, set) in sets.enumerated() {
      sql.add(index > 0 ? ",\n    " : "\n    ")
      sql.add("(select count(*) from (")
      compiler.addIDs(set.clauses, to: &sql)
      sql.add(" limit ")
      sql.add(int8: most + 1)
      sql.add(") as found)")
    }
    if isOfAll {
      sql.add(",\n    (select count(*) from (select from ")
      sql.add(schema.table)
      sql.add(" where ")
      sql.add(schema.alias, "organization_id")
      sql.add(" = ")
      sql.add(uuid: organizationID)
      sql.add(" limit ")
      sql.add(int8: most + 2)
      sql.add(") as found)")
    }
    let columns = sets.count + (isOfAll ? 1 : 0)
    return sql.query(name) { reply throws(PostgresError) in
      try reply.one { row throws(PostgresError) in
        var counts: [Int64] = []
        for column in 0..<columns { counts.append(try row.int8(column)) }
        return counts
      }
    }
  }

  /// How each part is decided that has so many ids; the others are tried on whatever comes up.
  func accesses(
    _ sets: [SearchSet], _ counts: [Int64], isToCount: Bool
  ) -> [Int: SearchAccess] {
    let listedMax =
      isToCount
      ? SearchAccessBounds.listedToCountMax
      : isByKey ? SearchAccessBounds.listedByKeyMax : SearchAccessBounds.listedMax
    let sized = zip(sets, counts)
    if let least = sized.min(by: { $0.1 < $1.1 }), least.1 <= listedMax {
      return [least.0.part: .listed]
    }
    guard isByKey, !isToCount else { return [:] }
    let held = sized.filter { $0.1 <= SearchAccessBounds.heldMax }
    return Dictionary(held.map { ($0.0.part, .held) }) { first, _ in first }
  }
}

extension SearchClause {
  /// Whether an index of keyed fields finds those that satisfy it.
  fileprivate var isIndexed: Bool {
    guard case .pair = target else { return false }
    switch test {
    case .number(let comparison, _): return comparison != .unequal
    case .text(let comparison, _): return comparison == .equal
    case .among(_, let isNegated): return !isNegated
    case .isPresent: return true
    case .time, .like, .matches, .isMissing: return false
    }
  }
}

extension SearchCompiler {
  /// A select of the ids that satisfy one of the clauses.
  func addIDs(_ clauses: [SearchClause], to sql: inout ComposedStatement) {
    var isFirst = true
    for clause in clauses {
      guard case .pair(let place, let key) = clause.target else { continue }
      let pairs = schema.pairs[place]
      for branch in pairs.branches {
        if !isFirst { sql.add(" union all ") }
        isFirst = false
        sql.add(pairs.presence(clause) == nil ? "select " : "select distinct ")
        sql.add("pair", pairs.owner)
        sql.add(" from ")
        addRows(clause, of: pairs, key, branch, to: &sql)
      }
      guard isLent(clause) else { continue }
      sql.add(" union all ")
      addLentIDs(clause, to: &sql)
    }
  }

  /// Decides a part by its ids.
  func addSet(
    _ part: SearchCondition, _ access: SearchAccess, to sql: inout ComposedStatement
  ) {
    var clauses: [SearchClause] = []
    switch part {
    case .clause(let clause): clauses = [clause]
    case .any(let parts):
      clauses = parts.compactMap { if case .clause(let clause) = $0 { clause } else { nil } }
    default: return sql.add("false")
    }
    switch access {
    case .listed:
      // As an array it is read once, whatever the server estimates.
      sql.add(schema.alias, "id")
      sql.add(" = any(array(")
      addIDs(clauses, to: &sql)
      sql.add("))")
    case .held:
      addHeld(clauses, to: &sql)
    }
  }
}
