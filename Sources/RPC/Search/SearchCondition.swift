/// The bounds of searches.
public enum SearchBounds {
  /// Bytes of a filter.
  public static let filterBytesMax = 16 << 10
  /// Bytes of a regular expression.
  public static let expressionBytesMax = 1 << 10
  /// Comparisons in a filter.
  public static let clausesMax = 100
  /// Parentheses and NOTs inside each other.
  public static let depthMax = 32
  /// Fields that an order names.
  public static let orderFieldsMax = 8
  /// Bytes of one field of an order.
  public static let orderBytesMax = 1 << 10
}

/// What a filter demands.
///
/// It has two truth values: whatever is compared with a missing value is false, and its NOT true.
public indirect enum SearchCondition: Equatable, Sendable {
  case all([SearchCondition])
  case any([SearchCondition])
  case not(SearchCondition)
  case clause(SearchClause)

  /// What must all hold.
  var conjuncts: [SearchCondition] {
    if case .all(let parts) = self { return parts.flatMap(\.conjuncts) }
    return [self]
  }
}

/// One comparison.
public struct SearchClause: Equatable, Sendable {
  /// The field.
  public let target: SearchTarget
  /// What it is compared with, and how.
  public let test: SearchTest

  /// Joins both.
  public init(_ target: SearchTarget, _ test: SearchTest) {
    self.target = target
    self.test = test
  }
}

/// How a field is compared.
public enum SearchTest: Equatable, Sendable {
  case number(SearchComparison, Double)
  /// Milliseconds since 1970.
  case time(SearchComparison, Int64)
  /// Only `equal` and `unequal`.
  case text(SearchComparison, String)
  case like(String, ignoringCase: Bool, isNegated: Bool)
  /// A regular expression of PostgreSQL's.
  case matches(String, isNegated: Bool)
  case among([String], isNegated: Bool)
  case isMissing
  case isPresent
}

/// The operators.
public enum SearchComparison: String, Sendable, CaseIterable {
  case equal = "="
  case unequal = "!="
  case less = "<"
  case lessOrEqual = "<="
  case greater = ">"
  case greaterOrEqual = ">="

  /// As SQL writes it.
  var sql: StaticString {
    switch self {
    case .equal: " = "
    case .unequal: " <> "
    case .less: " < "
    case .lessOrEqual: " <= "
    case .greater: " > "
    case .greaterOrEqual: " >= "
    }
  }
}

/// One field of an order.
public struct SearchOrder: Equatable, Sendable {
  /// The field.
  public let target: SearchTarget
  /// Whether the greatest come first; those without a value come last all the same.
  public let isDescending: Bool
  /// Which values of a series the order goes by; nil = all.
  public let qualifier: SearchQualifier?

  /// Joins all.
  public init(_ target: SearchTarget, isDescending: Bool, _ qualifier: SearchQualifier? = nil) {
    self.target = target
    self.isDescending = isDescending
    self.qualifier = qualifier
  }
}
