internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail models`.
struct Models: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look at registered models and their versions, and change them.",
    subcommands: [
      ModelsList.self, ModelsShow.self, ModelsCreate.self, ModelsVersions.self,
      ModelsRegister.self, ModelsStage.self, ModelsAlias.self, ModelsDelete.self,
      ModelsUndelete.self,
    ])
}

extension ListModelsRequest: PageRequest {}
extension ListModelsResponse: PageResponse {}
extension ListModelVersionsRequest: PageRequest {}
extension ListModelVersionsResponse: PageResponse {}

/// The command `needletail models list`.
struct ModelsList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List models, newest first unless sorted.")
  static var document: Document? { Document(listOf: Model.self, in: "models") }

  @OptionGroup var global: GlobalOptions

  @Option(help: "Only those of this project, by its id or its slug.")
  var project: String?

  @Option(help: "Only those that it finds: \"name LIKE 'fraud%'\" (Docs/search.md).")
  var filter: String?

  @Option(help: "Sort by this field, such as \"name DESC\"; again for the next among equals.")
  var orderBy: [String] = []

  @Flag(help: "Those that were deleted and can still be brought back.")
  var deleted = false

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = ListModelsRequest()
    if let project { request.projectID = try await projectID(project, context) }
    request.filter = filter ?? ""
    request.orderBy = orderBy
    request.deleted = deleted
    let all = try await context.list(
      RegistryMethods.listModels, request, \ListModelsResponse.models, limit: most.limit)
    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("ID", .left), ("NAME", .left), ("VERSIONS", .right), ("CHANGED", .left),
      ("ALIASES", .left),
    ])
    for model in all.models {
      table.add([
        model.id, model.name, String(model.lastOrdinal), short(model.updatedAt),
        model.aliases.map { "\($0.alias)=\($0.ordinal)" }.joined(separator: " "),
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail models show`.
struct ModelsShow: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a model with its tags, aliases and latest versions.")
  static var document: Document? { Document(Model.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The model's id, or its name.")
  var model: String

  func run(_ context: CommandContext) async throws {
    var request = GetModelRequest()
    request.id = try await modelID(model, context)
    let answer = try await context.call(
      RegistryMethods.getModel, request, for: GetModelResponse.self)
    try show(needed(answer.model, "model"), context)
  }
}

/// The command `needletail models create`.
struct ModelsCreate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Create a model.")
  static var document: Document? { Document(Model.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The model's name.")
  var name: String

  @Option(help: "The project, by its id or its slug.")
  var project: String

  @Option(help: "A description, for people.")
  var description: String?

  @Option(name: .customLong("tag"), help: "A tag, KEY=VALUE; may be given several times.")
  var tags: [PairArgument] = []

  func run(_ context: CommandContext) async throws {
    var request = CreateModelRequest()
    request.projectID = try await projectID(project, context)
    request.name = name
    request.description = description ?? ""
    request.tags = tags.map { ModelTag(key: $0.key, value: $0.value) }
    let answer = try await context.call(
      RegistryMethods.createModel, request, for: CreateModelResponse.self)
    try show(needed(answer.model, "model"), context)
  }
}

/// The command `needletail models delete`.
struct ModelsDelete: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Delete a model with its versions; it can be brought back for 30 days.")
  static var document: Document? { Document(Model.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The model's id, or its name.")
  var model: String

  @Option(help: "The etag that you read; nothing changes if it is another one now.")
  var etag: String?

  @OptionGroup var confirmation: Confirmation

  var intention: String { "Delete the model \(model) with its versions" }

  func run(_ context: CommandContext) async throws {
    var request = DeleteModelRequest()
    request.id = try await modelID(model, context)
    request.etag = etag ?? ""
    let answer = try await context.call(
      RegistryMethods.deleteModel, request, for: DeleteModelResponse.self)
    try show(needed(answer.model, "model"), context)
  }
}

/// The command `needletail models undelete`.
struct ModelsUndelete: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "undelete", abstract: "Bring a deleted model back, with what it had.")
  static var document: Document? { Document(Model.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The model's id, as `models list --deleted` shows it.")
  var model: String

  func run(_ context: CommandContext) async throws {
    var request = UndeleteModelRequest()
    request.id = model
    let answer = try await context.call(
      RegistryMethods.undeleteModel, request, for: UndeleteModelResponse.self)
    try show(needed(answer.model, "model"), context)
  }
}

/// Writes a model with what belongs to it.
private func show(_ model: Model, _ context: CommandContext) throws {
  if context.global.output == .json { return try context.write(model) }
  var pairs = [
    ("model", model.id), ("name", model.name), ("project", model.projectID),
    ("created", short(model.createdAt)), ("created by", model.createdBy),
    ("changed", short(model.updatedAt)), ("etag", model.etag),
    ("versions", String(model.lastOrdinal)), ("metadata", model.metadataJSON),
  ]
  for (name, text) in [
    ("description", model.description), ("type", model.modelType),
    ("framework", model.framework), ("task", model.taskType),
  ] where !text.isEmpty {
    pairs.append((name, text))
  }
  if model.deletedAt != nil {
    pairs.append(("deleted", short(model.deletedAt)))
    pairs.append(("gone", short(model.purgeAfter)))
  }
  pairs += model.tags.map { ("tag \($0.key)", $0.value) }
  pairs += model.aliases.map { ("alias \($0.alias)", String($0.ordinal)) }
  pairs += model.latestVersions.map { (word($0.stage), "\($0.ordinal) (\($0.version))") }
  Console.write(fields(pairs))
}
