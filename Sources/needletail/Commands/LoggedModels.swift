internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail logged-models`.
struct LoggedModelsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logged-models",
    abstract: "Look at models that code logged within experiments, and delete them.",
    subcommands: [
      LoggedModelsList.self, LoggedModelsShow.self, LoggedModelsDelete.self,
      LoggedModelsUndelete.self,
    ])
}

extension SearchLoggedModelsRequest: PageRequest {}
extension SearchLoggedModelsResponse: PageResponse {}

/// The command `needletail logged-models list`.
struct LoggedModelsList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List logged models, newest first unless sorted.")
  static var document: Document? { Document(listOf: LoggedModel.self, in: "models") }

  @OptionGroup var global: GlobalOptions

  @Option(help: "Only those of this experiment, by its id or its name; again for another.")
  var experiment: [String] = []

  @Option(help: "Only those of this project, by its id or its slug.")
  var project: String?

  @Option(
    help:
      "Only those that it finds: \"metrics.acc > 0.9 AND tags.team = 'a'\" (Docs/search.md).")
  var filter: String?

  @Option(help: "Sort by this field, such as \"metrics.acc DESC\"; again for among equals.")
  var orderBy: [String] = []

  @Option(
    name: .customLong("dataset"),
    help: ArgumentHelp(
      "Only metrics on this dataset count, for the filter and the order.", valueName: "name"))
  var dataset: String?

  @Flag(help: "Those that were deleted, or their experiments, and are not yet gone for good.")
  var deleted = false

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = SearchLoggedModelsRequest()
    if let project { request.projectID = try await projectID(project, context) }
    request.experimentIDs = try await experimentIDs(
      experiment, in: request.projectID, context)
    request.filter = filter ?? ""
    let measured = dataset.map { name in
      var dataset = LoggedModelDataset()
      dataset.name = name
      return dataset
    }
    request.datasets = measured.map { [$0] } ?? []
    request.orderBy = orderBy.map { text in
      var order = LoggedModelOrder()
      order.field = text
      // Of an attribute a dataset says nothing.
      if text.hasPrefix("metric") { order.dataset = measured }
      return order
    }
    request.view = deleted ? .deleted : .live
    let all = try await context.list(
      TrackingMethods.searchLoggedModels, request, \SearchLoggedModelsResponse.models,
      limit: most.limit)
    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("ID", .left), ("NAME", .left), ("STATUS", .left), ("CREATED", .left), ("TYPE", .left),
    ])
    for model in all.models {
      table.add([
        model.id, model.name, word(model.status), short(model.createdAt), model.modelType,
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail logged-models show`.
struct LoggedModelsShow: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show a logged model with its tags, parameters and metrics.")
  static var document: Document? { Document(LoggedModel.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The model's id.")
  var model: String

  @Flag(help: "Also where it was deleted and is not yet gone for good.")
  var deleted = false

  func run(_ context: CommandContext) async throws {
    var request = GetLoggedModelRequest()
    request.id = model
    request.includeDeleted = deleted
    let answer = try await context.call(
      TrackingMethods.getLoggedModel, request, for: GetLoggedModelResponse.self)
    try show(needed(answer.model, "logged model"), context)
  }
}

/// The command `needletail logged-models delete`.
struct LoggedModelsDelete: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Delete a logged model; it can be brought back for 30 days.")
  static var document: Document? { Document(LoggedModel.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The model's id.")
  var model: String

  @Option(help: "The etag that you read; nothing changes if it is another one now.")
  var etag: String?

  @OptionGroup var confirmation: Confirmation

  var intention: String { "Delete the logged model \(model)" }

  func run(_ context: CommandContext) async throws {
    var request = DeleteLoggedModelRequest()
    request.id = model
    request.etag = etag ?? ""
    let answer = try await context.call(
      TrackingMethods.deleteLoggedModel, request, for: DeleteLoggedModelResponse.self)
    try show(needed(answer.model, "logged model"), context)
  }
}

/// The command `needletail logged-models undelete`.
struct LoggedModelsUndelete: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "undelete", abstract: "Bring a deleted logged model back.")
  static var document: Document? { Document(LoggedModel.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The model's id, as `logged-models list --deleted` shows it.")
  var model: String

  func run(_ context: CommandContext) async throws {
    var request = UndeleteLoggedModelRequest()
    request.id = model
    let answer = try await context.call(
      TrackingMethods.undeleteLoggedModel, request, for: UndeleteLoggedModelResponse.self)
    try show(needed(answer.model, "logged model"), context)
  }
}

/// Writes a logged model with what belongs to it.
private func show(_ model: LoggedModel, _ context: CommandContext) throws {
  if context.global.output == .json { return try context.write(model) }
  var pairs = [
    ("model", model.id), ("name", model.name), ("status", word(model.status)),
    ("experiment", model.experimentID), ("created", short(model.createdAt)),
    ("created by", model.createdBy), ("changed", short(model.updatedAt)), ("etag", model.etag),
  ]
  for (name, text) in [
    ("message", model.statusMessage), ("type", model.modelType), ("run", model.sourceRunID),
  ] where !text.isEmpty {
    pairs.append((name, text))
  }
  if model.deletedAt != nil {
    pairs.append(("deleted", short(model.deletedAt)))
    pairs.append(("gone", short(model.purgeAfter)))
  }
  pairs += model.tags.map { ("tag \($0.key)", $0.value) }
  pairs += model.parameters.map { ("parameter \($0.key)", $0.value) }
  pairs += model.metrics.map { metric in
    let dataset = [metric.datasetName, metric.datasetDigest].filter { !$0.isEmpty }
    let place = dataset.isEmpty ? "" : " on \(dataset.joined(separator: " "))"
    return ("metric \(metric.key)", "\(metric.value) at step \(metric.step)\(place)")
  }
  if model.hasMoreMetrics {
    pairs.append(("metrics", "more: `call ListLoggedModelMetrics` tells them"))
  }
  Console.write(fields(pairs))
}

/// A status as people write it.
private func word(_ status: LoggedModelStatus) -> String {
  switch status {
  case .pending: "pending"
  case .ready: "ready"
  case .failed: "failed"
  default: "unknown"
  }
}
