internal import Messages
internal import RPC

/// The bounds of what metrics of a run are defined to be.
enum DefinitionBounds {
  static let patternCharacters = 1...250
  /// Definitions of one run; every listing of its metrics reads them all.
  static let max = 1_000
  /// Definitions to keep, and patterns to delete, of one request.
  static let perRequestMax = 1_000
  static let page = 100
  static let pageMax = 1_000
}

/// What the metrics of a run are defined to be, looked up by key.
struct MetricDefinitions {
  private var exact: [ExactText: MetricDefinition] = [:]
  /// By the bytes before the *, the longest first.
  private var prefixes: [(bytes: [UInt8], definition: MetricDefinition)] = []

  init(_ all: [MetricDefinition]) {
    for definition in all {
      let bytes = Array(definition.pattern.utf8)
      if bytes.last == UInt8(ascii: "*") {
        prefixes.append((bytes.dropLast(), definition))
      } else {
        exact[ExactText(definition.pattern)] = definition
      }
    }
    prefixes.sort { $0.bytes.count > $1.bytes.count }
  }

  /// The one that is for a metric: by its whole key, or else by the longest beginning of it.
  subscript(key: String) -> MetricDefinition? {
    exact[ExactText(key)] ?? prefixes.first { key.utf8.starts(with: $0.bytes) }?.definition
  }
}

extension MetricSummary {
  /// Says what the metric is defined to be, and with that which value is the best.
  mutating func define(by definitions: MetricDefinitions) {
    guard let found = definitions[key] else { return }
    definition = found
    switch found.goal {
    case .minimize:
      guard !minValue.isNaN else { return }
      bestValue = minValue
      bestStep = minStep
    case .maximize:
      guard !maxValue.isNaN else { return }
      bestValue = maxValue
      bestStep = maxStep
    default: return
    }
  }
}

/// Definitions as the database stores them, in columns.
struct DefinitionColumns {
  private(set) var patterns: [String] = []
  private(set) var goals: [String] = []
  private(set) var summaries: [String] = []
  private(set) var stepMetrics: [String] = []
  /// 1 for a metric that is hidden, else 0.
  private(set) var hidings: [Int64] = []

  private init() {}

  /// The columns as they were read, all of one length.
  init(
    patterns: [String], goals: [String], summaries: [String], stepMetrics: [String],
    hidings: [Int64]
  ) {
    self.patterns = patterns
    self.goals = goals
    self.summaries = summaries
    self.stepMetrics = stepMetrics
    self.hidings = hidings
  }

  /// Reads the definitions of a request, and notes every bad one.
  init(_ asked: [MetricDefinition], _ validator: inout Validator) {
    if asked.count > DefinitionBounds.perRequestMax {
      validator.refuse(
        "definitions", "must be at most \(DefinitionBounds.perRequestMax), are \(asked.count)")
      return
    }
    var seen: Set<ExactText> = []
    for (index, definition) in asked.enumerated() {
      let field = "definitions[\(index)]"
      validator.check(definition, field)
      if !seen.insert(ExactText(definition.pattern)).inserted {
        validator.refuse("\(field).pattern", "must not come twice")
      }
      patterns.append(definition.pattern)
      goals.append(definition.goal.word ?? "")
      summaries.append(definition.summary.word ?? "")
      stepMetrics.append(definition.stepMetric)
      hidings.append(definition.isHidden ? 1 : 0)
    }
  }

  /// What each says, by its pattern: what differs in it differs in the text.
  var described: Description {
    var all = Description()
    for index in patterns.indices {
      var text = "goal \(goals[index]), summary \(summaries[index])"
      if hidings[index] == 1 { text += ", hidden" }
      if !stepMetrics[index].isEmpty { text += ", by \(stepMetrics[index])" }
      all.append(patterns[index], text)
    }
    return all
  }

  /// Those of some patterns.
  func only(_ kept: [String]) -> DefinitionColumns {
    let kept = Set(kept.map { ExactText($0) })
    var some = DefinitionColumns()
    for index in patterns.indices where kept.contains(ExactText(patterns[index])) {
      some.patterns.append(patterns[index])
      some.goals.append(goals[index])
      some.summaries.append(summaries[index])
      some.stepMetrics.append(stepMetrics[index])
      some.hidings.append(hidings[index])
    }
    return some
  }
}

extension Validator {
  fileprivate mutating func check(_ definition: MetricDefinition, _ field: String) {
    name("\(field).pattern", definition.pattern, characters: DefinitionBounds.patternCharacters)
    if definition.goal.word == nil {
      refuse("\(field).goal", "must be MINIMIZE, MAXIMIZE or unspecified")
    }
    if definition.summary.word == nil {
      refuse("\(field).summary", "must be LAST, MIN, MAX, MEAN, BEST, NONE or unspecified")
    }
    if definition.summary == .best, definition.goal == .unspecified {
      refuse("\(field).goal", "must be MINIMIZE or MAXIMIZE where the summary is BEST")
    }
    if !definition.stepMetric.isEmpty {
      name("\(field).step_metric", definition.stepMetric, characters: MetricBounds.keyCharacters)
    }
  }

  /// Reads patterns whose definitions are to go, none of which is defined as well.
  mutating func deletePatterns(_ patterns: [String], besides defined: DefinitionColumns) {
    if patterns.count > DefinitionBounds.perRequestMax {
      refuse(
        "delete_patterns",
        "must be at most \(DefinitionBounds.perRequestMax), are \(patterns.count)")
      return
    }
    if patterns.isEmpty, defined.patterns.isEmpty {
      refuse("definitions", "must define or delete at least one")
    }
    var seen = Set(defined.patterns.map { ExactText($0) })
    for (index, pattern) in patterns.enumerated() {
      name("delete_patterns[\(index)]", pattern, characters: DefinitionBounds.patternCharacters)
      if !seen.insert(ExactText(pattern)).inserted {
        refuse("delete_patterns[\(index)]", "must not come twice, nor be defined as well")
      }
    }
  }
}

extension MetricGoal {
  /// The goals with how the database stores them.
  private static let words: [(MetricGoal, String)] = [
    (.unspecified, "none"), (.minimize, "minimize"), (.maximize, "maximize"),
  ]

  /// As the database stores it; nil for what is no goal.
  var word: String? { MetricGoal.words.first { $0.0 == self }?.1 }

  init(word: String) {
    self = MetricGoal.words.first { $0.1 == word }?.0 ?? .unspecified
  }
}

extension MetricSummaryKind {
  /// The kinds with how the database stores them.
  private static let words: [(MetricSummaryKind, String)] = [
    (.unspecified, "default"), (.last, "last"), (.min, "min"), (.max, "max"), (.mean, "mean"),
    (.best, "best"), (.none, "none"),
  ]

  /// As the database stores it; nil for what is no kind.
  var word: String? { MetricSummaryKind.words.first { $0.0 == self }?.1 }

  init(word: String) {
    self = MetricSummaryKind.words.first { $0.1 == word }?.0 ?? .unspecified
  }
}
