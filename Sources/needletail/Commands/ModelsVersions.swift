internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail models versions`.
struct ModelsVersions: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "versions", abstract: "List the versions of a model, newest first unless sorted.")
  static var document: Document? { Document(listOf: ModelVersion.self, in: "versions") }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The model's id, or its name.")
  var model: String

  @Option(help: "Only those that it finds: \"stage = 'production'\" (Docs/search.md).")
  var filter: String?

  @Option(help: "Sort by this field, such as \"version_number\"; again for the next among equals.")
  var orderBy: [String] = []

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = ListModelVersionsRequest()
    request.modelID = try await modelID(model, context)
    request.filter = filter ?? ""
    request.orderBy = orderBy
    let all = try await context.list(
      RegistryMethods.listModelVersions, request, \ListModelVersionsResponse.versions,
      limit: most.limit)
    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("NUMBER", .right), ("VERSION", .left), ("STAGE", .left), ("STATUS", .left),
      ("CREATED", .left), ("ALIASES", .left), ("SOURCE", .left),
    ])
    for version in all.versions {
      table.add([
        String(version.ordinal), version.version, word(version.stage), word(version.status),
        short(version.createdAt), version.aliases.joined(separator: " "), version.source,
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail models register`.
struct ModelsRegister: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "register", abstract: "Register a version of a model.")
  static var document: Document? { Document(ModelVersion.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The model's id, or its name.")
  var model: String

  @Option(help: "Where its files are, a URI.")
  var source: String

  @Option(help: "A semantic version; without it, the next number and .0.0.")
  var semver: String?

  @Option(help: "The run that made it, by its id.")
  var run: String?

  @Option(help: "A description, for people.")
  var description: String?

  @Option(name: .customLong("tag"), help: "A tag, KEY=VALUE; may be given several times.")
  var tags: [PairArgument] = []

  func run(_ context: CommandContext) async throws {
    var request = CreateModelVersionRequest()
    request.modelID = try await modelID(model, context)
    request.source = source
    request.version = semver ?? ""
    request.sourceRun = run ?? ""
    request.description = description ?? ""
    request.tags = tags.map { ModelTag(key: $0.key, value: $0.value) }
    let answer = try await context.call(
      RegistryMethods.createModelVersion, request, for: CreateModelVersionResponse.self)
    try show(needed(answer.version, "version"), context)
  }
}

/// The command `needletail models stage`.
struct ModelsStage: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "stage", abstract: "Put a version of a model in a stage.")
  static var document: Document? { Document(TransitionModelVersionStageResponse.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The model's id, or its name.")
  var model: String

  @Argument(help: "The number of the version.")
  var number: Int64

  @Argument(help: "none, staging, production or archived.")
  var stage: StageArgument

  @Flag(help: "Archive the model's other versions in the stage.")
  var archiveExisting = false

  @Option(help: "Why.")
  var comment: String?

  func run(_ context: CommandContext) async throws {
    var request = TransitionModelVersionStageRequest()
    request.modelID = try await modelID(model, context)
    request.ordinal = number
    request.stage = stage.stage
    request.archiveExistingVersions = archiveExisting
    request.comment = comment ?? ""
    let answer = try await context.call(
      RegistryMethods.transitionModelVersionStage, request,
      for: TransitionModelVersionStageResponse.self)
    if global.output == .json { return try context.write(answer) }
    try show(needed(answer.version, "version"), context)
  }
}

/// The command `needletail models alias`.
struct ModelsAlias: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "alias", abstract: "Make an alias stand for a version of a model.")
  static var document: Document? { Document(SetModelAliasResponse.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The model's id, or its name.")
  var model: String

  @Argument(help: "The alias.")
  var alias: String

  @Argument(help: "The number of the version; none: the alias is removed.")
  var number: Int64?

  func run(_ context: CommandContext) async throws {
    guard let number else {
      var request = DeleteModelAliasRequest()
      request.modelID = try await modelID(model, context)
      request.alias = alias
      let answer = try await context.call(
        RegistryMethods.deleteModelAlias, request, for: DeleteModelAliasResponse.self)
      if global.output == .json { try context.write(answer) }
      return
    }
    var request = SetModelAliasRequest()
    request.modelID = try await modelID(model, context)
    request.alias = alias
    request.ordinal = number
    let answer = try await context.call(
      RegistryMethods.setModelAlias, request, for: SetModelAliasResponse.self)
    if global.output == .json { try context.write(answer) }
  }
}

/// A stage on the command line.
struct StageArgument: ExpressibleByArgument, Sendable {
  let stage: ModelStage

  init?(argument: String) {
    let found = ModelStage.known.first {
      $0 != .unspecified && word($0) == argument.lowercased()
    }
    guard let found else { return nil }
    stage = found
  }
}

/// "production" for MODEL_STAGE_PRODUCTION.
func word(_ stage: ModelStage) -> String {
  stage.name.replacing("MODEL_STAGE_", with: "").lowercased()
}

/// "ready" for MODEL_VERSION_STATUS_READY.
private func word(_ status: ModelVersionStatus) -> String {
  status.name.replacing("MODEL_VERSION_STATUS_", with: "").lowercased()
}

/// Writes a version.
private func show(_ version: ModelVersion, _ context: CommandContext) throws {
  if context.global.output == .json { return try context.write(version) }
  var pairs = [
    ("version", version.id), ("model", version.modelName), ("number", String(version.ordinal)),
    ("semantic", version.version), ("stage", word(version.stage)),
    ("status", word(version.status)), ("source", version.source),
    ("created", short(version.createdAt)), ("etag", version.etag),
  ]
  if !version.sourceRun.isEmpty { pairs.append(("run", version.sourceRun)) }
  if !version.description.isEmpty { pairs.append(("description", version.description)) }
  Console.write(fields(pairs))
}
