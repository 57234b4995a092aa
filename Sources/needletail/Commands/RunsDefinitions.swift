internal import ArgumentParser
internal import Client
internal import Messages

extension ListMetricDefinitionsRequest: PageRequest {}
extension ListMetricDefinitionsResponse: PageResponse {}

/// The command `needletail runs define`.
struct RunsDefine: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "define",
    abstract: "Say which way metrics of a run are better, and how they are shown.",
    discussion: "What was defined for the pattern before is replaced whole.")
  static var document: Document? { Document(DefineMetricsResponse.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Argument(help: "A metric's key, or the beginning of keys with a * behind it, such as 'val/*'.")
  var pattern: String

  @Option(help: "minimize: less is better; maximize: more is.")
  var goal: GoalArgument?

  @Option(help: "Which number stands for the metric: last, min, max, mean, best or none.")
  var summary: SummaryArgument?

  @Option(help: "The key of the metric that is the x axis, such as epoch.")
  var stepMetric: String?

  @Flag(help: "Leave the metric out of what shows all.")
  var hidden = false

  func run(_ context: CommandContext) async throws {
    var definition = MetricDefinition()
    definition.pattern = pattern
    definition.goal = goal?.goal ?? .unspecified
    definition.summary = summary?.kind ?? .unspecified
    definition.stepMetric = stepMetric ?? ""
    definition.isHidden = hidden
    var request = DefineMetricsRequest()
    request.runID = try await runID(run, context)
    request.definitions = [definition]
    let answer = try await context.call(
      TrackingMethods.defineMetrics, request, for: DefineMetricsResponse.self)
    if global.output == .json { try context.write(answer) }
  }
}

/// The command `needletail runs undefine`.
struct RunsUndefine: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "undefine", abstract: "Remove definitions of a run's metrics; the points stay.")
  static var document: Document? { Document(DefineMetricsResponse.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Argument(help: "The patterns, as runs definitions tells them.")
  var patterns: [String]

  @OptionGroup var confirmation: Confirmation

  var intention: String { "Remove the definitions \(patterns.joined(separator: ", "))" }

  func run(_ context: CommandContext) async throws {
    var request = DefineMetricsRequest()
    request.runID = try await runID(run, context)
    request.deletePatterns = patterns
    let answer = try await context.call(
      TrackingMethods.defineMetrics, request, for: DefineMetricsResponse.self)
    if global.output == .json { try context.write(answer) }
  }
}

/// The command `needletail runs definitions`.
struct RunsDefinitions: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "definitions", abstract: "List what metrics of a run are defined to be.")
  static var document: Document? { Document(listOf: MetricDefinition.self, in: "definitions") }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = ListMetricDefinitionsRequest()
    request.runID = try await runID(run, context)
    let all = try await context.list(
      TrackingMethods.listMetricDefinitions, request,
      \ListMetricDefinitionsResponse.definitions, limit: most.limit)
    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("METRICS", .left), ("GOAL", .left), ("SUMMARY", .left), ("X AXIS", .left),
      ("SHOWN", .left),
    ])
    for definition in all.definitions {
      table.add([
        definition.pattern, GoalArgument.word(definition.goal),
        SummaryArgument.word(definition.summary),
        definition.stepMetric.isEmpty ? "step" : definition.stepMetric,
        definition.isHidden ? "no" : "yes",
      ])
    }
    Console.write(table.text)
  }
}

/// Which way a metric is better, on the command line.
enum GoalArgument: String, ExpressibleByArgument, CaseIterable, Sendable {
  case minimize, maximize

  var goal: MetricGoal { self == .minimize ? .minimize : .maximize }

  static func word(_ goal: MetricGoal) -> String {
    allCases.first { $0.goal == goal }?.rawValue ?? ""
  }
}

/// Which number stands for a metric, on the command line.
enum SummaryArgument: String, ExpressibleByArgument, CaseIterable, Sendable {
  case last, min, max, mean, best, none

  var kind: MetricSummaryKind {
    switch self {
    case .last: .last
    case .min: .min
    case .max: .max
    case .mean: .mean
    case .best: .best
    case .none: .none
    }
  }

  static func word(_ kind: MetricSummaryKind) -> String {
    allCases.first { $0.kind == kind }?.rawValue ?? ""
  }
}
