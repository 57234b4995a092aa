internal import ArgumentParser
internal import Client
internal import Messages

extension ListRunInputsRequest: PageRequest {}
extension ListRunInputsResponse: PageResponse {}
extension ListRunModelsRequest: PageRequest {}
extension ListRunModelsResponse: PageResponse {}

/// The command `needletail runs inputs`.
struct RunsInputs: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "inputs", abstract: "List the datasets that a run read, the newest link first.")
  static var document: Document? { Document(listOf: RunInput.self, in: "inputs") }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = ListRunInputsRequest()
    request.runID = try await runID(run, context)
    let all = try await context.list(
      TrackingMethods.listRunInputs, request, \ListRunInputsResponse.inputs, limit: most.limit)
    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("DATASET", .left), ("DIGEST", .left), ("CONTEXT", .left), ("SOURCE", .left),
      ("LINKED", .left),
    ])
    for input in all.inputs {
      table.add([
        input.dataset?.name ?? "", input.dataset?.digest ?? "", input.context,
        firstLine(input.dataset?.source ?? ""), short(input.createdAt),
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail runs models`.
struct RunsModels: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "List the models that a run began from or made, the newest link first.")
  static var document: Document? { Document(listOf: RunModel.self, in: "models") }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Option(help: "Only those that it began from (input) or made (output).")
  var role: ModelRoleArgument?

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = ListRunModelsRequest()
    request.runID = try await runID(run, context)
    if let role { request.role = role.role }
    let all = try await context.list(
      TrackingMethods.listRunModels, request, \ListRunModelsResponse.models, limit: most.limit)
    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("MODEL", .left), ("ROLE", .left), ("STEP", .right), ("ARTIFACT", .left), ("LINKED", .left),
    ])
    for model in all.models {
      table.add([
        model.name, ModelRoleArgument.word(model.role), String(model.step), model.artifactPath,
        short(model.createdAt),
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail runs log-input`.
struct RunsLogInput: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "log-input", abstract: "Link a run to a dataset that it read.")
  static var document: Document? { Document(LogInputsResponse.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Argument(help: "The dataset's name.")
  var name: String

  @Argument(help: "The digest of its content.")
  var digest: String

  @Option(help: "What the run used it for, such as training.")
  var context = ""

  @Option(help: "Where it came from, such as a URI.")
  var source = ""

  @Option(help: "The kind of its source, such as s3.")
  var sourceType = ""

  @Option(name: .customLong("tag"), help: "A tag of the link, KEY=VALUE; again for more.")
  var tags: [PairArgument] = []

  func run(_ context: CommandContext) async throws {
    var dataset = InputDataset()
    dataset.name = name
    dataset.digest = digest
    dataset.source = source
    dataset.sourceType = sourceType
    var input = NewRunInput()
    input.dataset = dataset
    input.context = self.context
    input.tags = tags.map { Tag(key: $0.key, value: $0.value) }
    var request = LogInputsRequest()
    request.runID = try await runID(run, context)
    request.inputs = [input]
    let answer = try await context.call(
      TrackingMethods.logInputs, request, for: LogInputsResponse.self)
    if global.output == .json { try context.write(answer) }
  }
}

/// The command `needletail runs log-model`.
struct RunsLogModel: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "log-model", abstract: "Link a run to a model that it made or began from.")
  static var document: Document? { Document(LogModelsResponse.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Argument(help: "The model's name.")
  var name: String

  @Option(help: "output: the run made it; input: it began from it.")
  var role = ModelRoleArgument.output

  @Option(help: "Where it is among the run's artifacts.")
  var artifact = ""

  @Option(help: "The step at which it was taken or made.")
  var step: Int64 = 0

  func run(_ context: CommandContext) async throws {
    var model = NewRunModel()
    model.role = role.role
    model.name = name
    model.artifactPath = artifact
    model.step = step
    var request = LogModelsRequest()
    request.runID = try await runID(run, context)
    request.models = [model]
    let answer = try await context.call(
      TrackingMethods.logModels, request, for: LogModelsResponse.self)
    if global.output == .json { try context.write(answer) }
  }
}

/// What a model is to a run, on the command line.
enum ModelRoleArgument: String, ExpressibleByArgument, CaseIterable, Sendable {
  case input, output

  var role: ModelRole { self == .input ? .input : .output }

  static func word(_ role: ModelRole) -> String {
    switch role {
    case .input: "input"
    case .output: "output"
    default: role.name
    }
  }
}

/// How many links of each kind `runs show` tells of; the rest is in their listings.
private let shownLinksMax: UInt32 = 10

/// What is worth a line of a run's links.
func linkPairs(
  of run: String, deleted: Bool, _ context: CommandContext
) async throws -> [(String, String)] {
  var inputs = ListRunInputsRequest()
  inputs.runID = run
  inputs.pageSize = shownLinksMax
  inputs.includeDeleted = deleted
  let found = try await context.call(
    TrackingMethods.listRunInputs, inputs, for: ListRunInputsResponse.self)
  var models = ListRunModelsRequest()
  models.runID = run
  models.pageSize = shownLinksMax
  models.includeDeleted = deleted
  let made = try await context.call(
    TrackingMethods.listRunModels, models, for: ListRunModelsResponse.self)
  return found.inputs.map { input in
    let name = "\(input.dataset?.name ?? "") \(input.dataset?.digest ?? "")"
    return ("dataset", input.context.isEmpty ? name : "\(name) (\(input.context))")
  }
    + made.models.map { model in
      ("\(ModelRoleArgument.word(model.role)) model", "\(model.name) at step \(model.step)")
    }
}
