internal import Postgres

/// Which rows of a table of keyed fields a select reads.
///
/// Values that change all the time are not in the index of values before they have settled. A page
/// in their order is one of those that have, which the index has in order, merged with one of the
/// others, which are few.
enum SearchBranch {
  /// Every row, by its own key.
  case all
  /// Those that the index of values has.
  case settled
  /// Those that it does not have.
  case unsettled
}

extension SearchPairs {
  /// What has to be read to find all values of a key.
  var branches: [SearchBranch] { settled == nil ? [.all] : [.settled, .unsettled] }

  /// The column that is compared.
  func value(_ branch: SearchBranch) -> StaticString {
    branch == .settled ? settled ?? value : value
  }

  /// The column that is sorted.
  func sorted(_ branch: SearchBranch) -> StaticString {
    branch == .settled ? settled ?? sorted : sorted
  }
}

extension SearchCompiler {
  /// Adds ` and …` for the rows of a branch.
  func addBranch(
    _ branch: SearchBranch, of pairs: SearchPairs, _ alias: StaticString,
    to sql: inout ComposedStatement
  ) {
    guard let settled = pairs.settled, branch != .all else { return }
    sql.add(" and ")
    sql.add(alias, settled)
    sql.add(branch == .settled ? " is not null" : " is null")
  }
}

extension Search {
  /// What a part of a page has to be merged of.
  func branches(rank: Int) -> [SearchBranch] {
    guard rank < 2, let first = order.first, case .pair(let place, _) = first.target else {
      return [.all]
    }
    return schema.pairs[place].branches
  }

  /// The same search, of the rows of a branch alone where it is ordered by a keyed field.
  func branched(_ branch: SearchBranch) -> Search {
    var search = self
    search.branch = branch
    return search
  }

  /// Adds the selects that `addPart` writes, one a branch, as one whose rows are all of theirs.
  func addMerged(
    _ branches: [SearchBranch], to sql: inout ComposedStatement,
    _ addPart: (Search, inout ComposedStatement) -> Void
  ) {
    for (index, branch) in branches.enumerated() {
      sql.add(index == 0 ? "((" : " union all (")
      addPart(branched(branch), &sql)
      sql.add(")")
    }
    sql.add(") as found")
  }
}
