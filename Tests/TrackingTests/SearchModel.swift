import Postgres
import TestSupport

@testable import RPC
@testable import Tracking

/// A run as the model of searches has it.
struct ModelRun {
  var id: UUID
  var name: String
  var status: String
  /// Microseconds since 1970.
  var startedAt: Int64?
  var completedAt: Int64?
  var metrics: [String: Double] = [:]
  var parameters: [String: String] = [:]
  var tags: [String: String] = [:]

  /// A field as an order sees it.
  func value(_ target: SearchTarget) -> SearchValue {
    switch target {
    case .pair(let place, let bytes):
      let key = String(decoding: bytes, as: UTF8.self)
      if place == 0 { return metrics[key].map(SearchValue.number) ?? .missing }
      return (place == 1 ? parameters : tags)[key].map(SearchValue.text) ?? .missing
    case .attribute(let place):
      switch RunSearch.schema.attributes[place].names[0] {
      case "run_id": return .uuid(id)
      case "run_name": return .text(name)
      case "status": return .text(status)
      case "start_time": return startedAt.map(SearchValue.time) ?? .missing
      case "end_time": return completedAt.map(SearchValue.time) ?? .missing
      case "duration_ms":
        guard let startedAt, let completedAt else { return .missing }
        return .integer((completedAt - startedAt) / 1_000)
      default: preconditionFailure("a field that the model does not have")
      }
    }
  }

  /// Whether a condition holds, by the words of the documentation.
  func satisfies(_ condition: SearchCondition) -> Bool {
    switch condition {
    case .all(let parts): parts.allSatisfy(satisfies)
    case .any(let parts): parts.contains(where: satisfies)
    case .not(let inner): !satisfies(inner)
    case .clause(let clause): satisfies(clause)
    }
  }

  private func satisfies(_ clause: SearchClause) -> Bool {
    let value = value(clause.target)
    switch (clause.test, value) {
    case (.isMissing, _): return value == .missing
    case (.isPresent, _): return value != .missing
    case (_, .missing): return false
    case (.number(let comparison, let number), .number(let own)):
      return comparison.holds(own, number)
    case (.number(let comparison, let number), .integer(let own)):
      return comparison.holds(Double(own), number)
    case (.time(let comparison, let milliseconds), .time(let own)):
      return comparison.holds(own / 1_000, milliseconds)
    default: break
    }
    let isWord = clause.target == .attribute(2)
    let own =
      switch value {
      case .text(let text): text
      case .uuid(let id): id.description
      default: preconditionFailure("a text is compared with a number")
      }
    switch clause.test {
    case .text(let comparison, let text):
      return (own == text) == (comparison == .equal)
    case .among(let texts, let isNegated): return texts.contains(own) != isNegated
    case .like(let pattern, let ignoresCase, let isNegated):
      let shown = isWord ? own.uppercased() : own
      let matches =
        ignoresCase
        ? isLike(shown.lowercased(), pattern.lowercased()) : isLike(shown, pattern)
      return matches != isNegated
    case .matches: preconditionFailure("the model reads no regular expressions")
    default: preconditionFailure("a number is compared with a text")
    }
  }
}

extension SearchComparison {
  fileprivate func holds<Value: Comparable>(_ left: Value, _ right: Value) -> Bool {
    switch self {
    case .equal: left == right
    case .unequal: left != right
    case .less: left < right
    case .lessOrEqual: left <= right
    case .greater: left > right
    case .greaterOrEqual: left >= right
    }
  }
}

/// SQL's LIKE, by its definition.
private func isLike(_ text: String, _ pattern: String) -> Bool {
  func matches(_ text: ArraySlice<UnicodeScalar>, _ pattern: ArraySlice<UnicodeScalar>) -> Bool {
    guard let first = pattern.first else { return text.isEmpty }
    let rest = pattern.dropFirst()
    switch first {
    case "%":
      return (0...text.count).contains { matches(text.dropFirst($0), rest) }
    case "_": return !text.isEmpty && matches(text.dropFirst(), rest)
    case "\\":
      return text.first == rest.first && matches(text.dropFirst(), rest.dropFirst())
    default: return text.first == first && matches(text.dropFirst(), rest)
    }
  }
  return matches(Array(text.unicodeScalars)[...], Array(pattern.unicodeScalars)[...])
}

/// The order of a search by its definition: with a value, NaN, without; newest first among equals
/// unless the order ends with ASC.
func precedes(_ left: ModelRun, _ right: ModelRun, _ order: [SearchOrder]) -> Bool {
  for field in order {
    let (a, b) = (left.value(field.target), right.value(field.target))
    if a.rank != b.rank { return a.rank < b.rank }
    guard a.rank == 0 else { continue }
    if isLess(a, b) { return !field.isDescending }
    if isLess(b, a) { return field.isDescending }
  }
  return (order.last?.isDescending ?? true) ? right.id < left.id : left.id < right.id
}

private func isLess(_ left: SearchValue, _ right: SearchValue) -> Bool {
  switch (left, right) {
  case (.number(let a), .number(let b)): a < b
  case (.integer(let a), .integer(let b)): a < b
  case (.time(let a), .time(let b)): a < b
  case (.uuid(let a), .uuid(let b)): a < b
  case (.text(let a), .text(let b)):
    // Of long texts an order sees the beginning.
    SearchPairs.head(of: a).utf8.lexicographicallyPrecedes(SearchPairs.head(of: b).utf8)
  default: false
  }
}

/// Draws runs, filters and orders.
struct SearchDraws {
  var random: SplitMix
  static let start: Int64 = 1_700_000_000_000_000
  private static let texts = [
    "", "a", "A", "ab", "Adam", "adam", "0.1", "0.01", "it's", "100%", "a_b", "a\\b", "\"q\"",
    "é", "'; drop table runs; --", "$1", String(repeating: "x", count: 220),
    String(repeating: "x", count: 219) + "y",
  ]
  private static let keys = ["k", "l", "a b", "mlflow.user", "it's"]
  private static let numbers: [Double] = [
    0, -0.0, 0.5, 0.25, -1, 1e300, .nan, .infinity, -.infinity,
  ]
  private static let literals = ["0", "0.5", "-1", "0.25", "1e300", "-1e308", "3"]
  private static let patterns = [
    "%", "a%", "%b", "_", "A_a%", "100\\%", "%\\\\%", "", "x%y", "%''%", "ADAM", "%a%b%",
  ]

  mutating func run(_ id: UUID) -> ModelRun {
    let status =
      ["scheduled", "running", "completed", "failed", "cancelled"]
      .randomElement(using: &random) ?? "running"
    var run = ModelRun(
      id: id, name: "run " + (["a", "B", "é", "it's"].randomElement(using: &random) ?? ""),
      status: status)
    if status != "scheduled" {
      run.startedAt = Self.start + Int64.random(in: 0..<5_000, using: &random)
    }
    if status != "scheduled", status != "running" {
      run.completedAt =
        (run.startedAt ?? Self.start) + Int64.random(in: 0..<9_000, using: &random)
    }
    for key in Self.keys {
      if !random.isOnce(in: 3) { run.metrics[key] = Self.numbers.randomElement(using: &random) }
      if !random.isOnce(in: 3) { run.parameters[key] = Self.texts.randomElement(using: &random) }
      if !random.isOnce(in: 3) { run.tags[key] = Self.texts.randomElement(using: &random) }
    }
    return run
  }

  mutating func filter(depth: Int, _ runs: [ModelRun]) -> String {
    if depth == 0 || random.isOnce(in: 3) { return clause(runs) }
    switch Int.random(in: 0..<3, using: &random) {
    case 0: return "NOT (\(filter(depth: depth - 1, runs)))"
    case 1: return "(\(filter(depth: depth - 1, runs)) OR \(filter(depth: depth - 1, runs)))"
    default: return "\(filter(depth: depth - 1, runs)) AND \(filter(depth: depth - 1, runs))"
    }
  }

  mutating func key() -> String {
    "`\(Self.keys.randomElement(using: &random) ?? "k")`"
  }

  private mutating func quoted(_ texts: [String]) -> String {
    let text = texts.randomElement(using: &random) ?? ""
    let parts = text.split(separator: "'", omittingEmptySubsequences: false)
    return "'" + parts.joined(separator: "''") + "'"
  }

  private mutating func clause(_ runs: [ModelRun]) -> String {
    let comparison = SearchComparison.allCases.randomElement(using: &random)?.rawValue ?? "="
    let time = Self.start / 1_000 + Int64.random(in: -1..<15, using: &random)
    switch Int.random(in: 0..<9, using: &random) {
    case 0, 1:
      let literal = Self.literals.randomElement(using: &random) ?? "0"
      return "metrics.\(key()) \(comparison) \(literal)"
    case 2: return "params.\(key()) \(textTest(Self.texts))"
    case 3: return "tags.\(key()) \(textTest(Self.texts))"
    case 4:
      let entity = ["metrics", "params", "tags"].randomElement(using: &random) ?? "tags"
      return "\(entity).\(key()) IS \(random.isOnce(in: 2) ? "NOT " : "")NULL"
    case 5: return "\(random.isOnce(in: 2) ? "start_time" : "end_time") \(comparison) \(time)"
    case 6: return "duration_ms \(comparison) \(Int.random(in: 0..<9, using: &random))"
    case 7:
      let statuses = ["FINISHED", "running", "KILLED", "Scheduled", "FAILED"]
      return "status \(random.isOnce(in: 2) ? "=" : "!=") \(quoted(statuses))"
    default:
      return random.isOnce(in: 2)
        ? "run_name \(textTest(["run a", "run it's", "x"]))"
        : "run_id \(textTest(runs.prefix(5).map(\.id.description) + ["none"]))"
    }
  }

  private mutating func textTest(_ texts: [String]) -> String {
    switch Int.random(in: 0..<6, using: &random) {
    case 0, 1: return "= \(quoted(texts))"
    case 2: return "!= \(quoted(texts))"
    case 3:
      return "\(random.isOnce(in: 2) ? "NOT " : "")IN (\(quoted(texts)), \(quoted(texts)))"
    default:
      let pattern = Self.patterns.randomElement(using: &random) ?? "%"
      return "\(random.isOnce(in: 3) ? "NOT " : "")\(random.isOnce(in: 2) ? "I" : "")LIKE "
        + "'\(pattern)'"
    }
  }

  mutating func order() -> [String] {
    var fields: [String] = []
    for _ in 0..<Int.random(in: 0..<4, using: &random) {
      let field =
        [
          "metrics.\(key())", "metrics.\(key())", "params.\(key())", "tags.\(key())", "start_time",
          "end_time", "duration_ms", "run_name", "status", "run_id",
        ].randomElement(using: &random) ?? "run_id"
      if !fields.contains(where: { $0.hasPrefix(field) }) {
        fields.append(field + (random.isOnce(in: 2) ? " DESC" : ""))
      }
    }
    return fields
  }
}
