internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail experiments create`.
struct ExperimentsCreate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Create an experiment.")
  static var document: Document? { Document(Experiment.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The experiment's name.")
  var name: String

  @Option(help: "The project, by its id or its slug.")
  var project: String

  @Option(help: "A description, for people.")
  var description: String?

  @Option(help: "A JSON object of your own.")
  var config: String?

  @Option(name: .customLong("tag"), help: "A tag, KEY=VALUE; may be given several times.")
  var tags: [PairArgument] = []

  func run(_ context: CommandContext) async throws {
    var request = CreateExperimentRequest()
    request.projectID = try await projectID(project, context)
    request.name = name
    request.description = description ?? ""
    request.configJSON = config ?? ""
    request.tags = tags.map { Tag(key: $0.key, value: $0.value) }
    let answer = try await context.call(
      TrackingMethods.createExperiment, request, for: CreateExperimentResponse.self)
    try show(needed(answer.experiment, "experiment"), [], context)
  }
}

/// The command `needletail experiments show`.
struct ExperimentsShow: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show an experiment with its tags.")
  static var document: Document? {
    Document(Experiment.self, in: "experiment", of: ["experiment", "tags"])
  }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The experiment's id, or its name.")
  var experiment: String

  @Flag(help: "Also when it was deleted and is not yet gone for good.")
  var deleted = false

  func run(_ context: CommandContext) async throws {
    var request = GetExperimentRequest()
    request.id = try await experimentID(experiment, context)
    request.includeDeleted = deleted
    let answer = try await context.call(
      TrackingMethods.getExperiment, request, for: GetExperimentResponse.self)
    let found = try needed(answer.experiment, "experiment")
    var wanted = ListExperimentTagsRequest()
    wanted.experimentID = found.id
    wanted.includeDeleted = deleted
    let tags = try await context.list(
      TrackingMethods.listExperimentTags, wanted, \ListExperimentTagsResponse.tags, limit: .max)
    if global.output == .json {
      let pairs = try context.json(tags)["tags"] ?? .array([])
      return context.write(
        .object([.init("experiment", try context.json(found)), .init("tags", pairs)]))
    }
    try show(found, tags.tags, context)
  }
}

/// The command `needletail experiments update`.
struct ExperimentsUpdate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Change what is given of an experiment.")
  static var document: Document? { Document(Experiment.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The experiment's id, or its name.")
  var experiment: String

  @Option(help: "Another name.")
  var name: String?

  @Option(help: "Another description, for people.")
  var description: String?

  @Option(help: "Another JSON object of your own.")
  var config: String?

  @Flag(inversion: .prefixedNo, help: "Whether listings leave it out.")
  var archived: Bool?

  @Option(help: "The etag that you read; nothing changes if it is another one now.")
  var etag: String?

  func validate() throws {
    guard name != nil || description != nil || config != nil || archived != nil else {
      throw ValidationError("Nothing is given to change.")
    }
  }

  func run(_ context: CommandContext) async throws {
    var request = UpdateExperimentRequest()
    request.id = try await experimentID(experiment, context)
    request.etag = etag ?? ""
    request.name = name
    request.description = description
    request.configJSON = config
    request.archived = archived
    let answer = try await context.call(
      TrackingMethods.updateExperiment, request, for: UpdateExperimentResponse.self)
    try show(needed(answer.experiment, "experiment"), [], context)
  }
}

/// The command `needletail experiments tag`.
struct ExperimentsTag: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "tag", abstract: "Set and remove tags of an experiment.")
  static var document: Document? { Document(SetExperimentTagsResponse.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The experiment's id, or its name.")
  var experiment: String

  @Argument(help: "Tags to set, KEY=VALUE.")
  var tags: [PairArgument] = []

  @Option(name: .customLong("remove"), help: "A key to remove; may be given several times.")
  var removed: [String] = []

  func run(_ context: CommandContext) async throws {
    var request = SetExperimentTagsRequest()
    request.experimentID = try await experimentID(experiment, context)
    request.tags = tags.map { Tag(key: $0.key, value: $0.value) }
    request.deleteKeys = removed
    let answer = try await context.call(
      TrackingMethods.setExperimentTags, request, for: SetExperimentTagsResponse.self)
    if global.output == .json { try context.write(answer) }
  }
}

/// The command `needletail experiments delete`.
struct ExperimentsDelete: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Delete an experiment with its runs; it can be brought back for 30 days.")
  static var document: Document? { Document(Experiment.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The experiment's id, or its name.")
  var experiment: String

  @Option(help: "The etag that you read; nothing changes if it is another one now.")
  var etag: String?

  @Flag(help: "For good: nobody brings it back, and the next upkeep removes it.")
  var purge = false

  @OptionGroup var confirmation: Confirmation

  var intention: String {
    "Delete the experiment \(experiment) with its runs\(purge ? ", for good" : "")"
  }

  func run(_ context: CommandContext) async throws {
    var request = DeleteExperimentRequest()
    request.id = try await experimentID(experiment, context)
    request.etag = etag ?? ""
    request.purge = purge
    let answer = try await context.call(
      TrackingMethods.deleteExperiment, request, for: DeleteExperimentResponse.self)
    try show(needed(answer.experiment, "experiment"), [], context)
  }
}

/// The command `needletail experiments undelete`.
struct ExperimentsUndelete: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "undelete",
    abstract: "Bring a deleted experiment back, with the runs that went with it.")
  static var document: Document? { Document(Experiment.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The experiment's id, as `experiments list --deleted` shows it.")
  var experiment: String

  func run(_ context: CommandContext) async throws {
    var request = UndeleteExperimentRequest()
    request.id = experiment
    let answer = try await context.call(
      TrackingMethods.undeleteExperiment, request, for: UndeleteExperimentResponse.self)
    try show(needed(answer.experiment, "experiment"), [], context)
  }
}

/// A key and a value on the command line: KEY=VALUE.
struct PairArgument: ExpressibleByArgument, Sendable {
  let key: String
  let value: String

  init?(argument: String) {
    guard let split = argument.firstIndex(of: "="), split > argument.startIndex else { return nil }
    key = String(argument[..<split])
    value = String(argument[argument.index(after: split)...])
  }
}

/// Writes an experiment, with those of its tags that were asked for.
private func show(_ experiment: Experiment, _ tags: [Tag], _ context: CommandContext) throws {
  if context.global.output == .json { return try context.write(experiment) }
  var pairs = [
    ("experiment", experiment.id), ("name", experiment.name), ("project", experiment.projectID),
    ("created", short(experiment.createdAt)), ("created by", experiment.createdBy),
    ("changed", short(experiment.updatedAt)), ("etag", experiment.etag),
    ("config", experiment.configJSON),
  ]
  if !experiment.description.isEmpty { pairs.append(("description", experiment.description)) }
  if experiment.archivedAt != nil { pairs.append(("archived", short(experiment.archivedAt))) }
  if experiment.deletedAt != nil {
    pairs.append(("deleted", short(experiment.deletedAt)))
    pairs.append(("gone", short(experiment.purgeAfter)))
  }
  pairs += tags.map { ("tag \($0.key)", $0.value) }
  Console.write(fields(pairs))
}
