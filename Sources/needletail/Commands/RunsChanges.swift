internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail runs create`.
struct RunsCreate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Create a run, which runs from now on.")
  static var document: Document? { Document(Run.self) }

  @OptionGroup var global: GlobalOptions

  @Option(help: "The experiment, by its id or its name.")
  var experiment: String

  @Option(help: "The run's name; made of its id unless given.")
  var name: String?

  @Option(help: "A description, for people.")
  var description: String?

  @Flag(help: "Do not start it yet.")
  var scheduled = false

  @Option(help: "The run that it is nested under, by its id.")
  var parent: String?

  @Option(name: .customLong("tag"), help: "A tag, KEY=VALUE; may be given several times.")
  var tags: [PairArgument] = []

  @Option(
    name: .customLong("parameter"), help: "A parameter, KEY=VALUE; may be given several times.")
  var parameters: [PairArgument] = []

  @Option(help: "The run that it goes on from, by its id.")
  var forkOf: String?

  @Option(help: "The last step of that run that counts for this one.")
  var forkStep: Int64?

  @OptionGroup var source: SourceOptions

  func validate() throws {
    guard (forkOf == nil) == (forkStep == nil) else {
      throw ValidationError("--fork-of and --fork-step are given together.")
    }
  }

  func run(_ context: CommandContext) async throws {
    var request = CreateRunRequest()
    request.experimentID = try await experimentID(experiment, context)
    request.name = name ?? ""
    request.description = description ?? ""
    request.status = scheduled ? .scheduled : .running
    request.parentRunID = parent ?? ""
    request.tags = tags.map { Tag(key: $0.key, value: $0.value) }
    request.parameters = parameters.map { Parameter(key: $0.key, value: $0.value) }
    request.source = source.source
    if let forkOf, let forkStep { request.forkedFrom = RunFork(runID: forkOf, step: forkStep) }
    let answer = try await context.call(
      TrackingMethods.createRun, request, for: CreateRunResponse.self)
    try show(answer.run, context)
  }
}

/// Where the code of a run comes from.
struct SourceOptions: ParsableArguments {
  @Option(help: "The program that runs, such as train.py.")
  var entryPoint: String?

  @Option(help: "The commit of its working tree.")
  var gitCommit: String?

  @Option(help: "The address of its repository, without credentials.")
  var gitRepository: String?

  @Option(help: "Its branch.")
  var gitBranch: String?

  @Flag(help: "The working tree differs from the commit.")
  var gitDirty = false

  @Option(help: "A digest of the code, such as its SHA-256.")
  var codeDigest: String?

  @Option(help: "The host that it runs on.")
  var host: String?

  /// What was given; nil when nothing was.
  var source: RunSource? {
    let source = RunSource(
      entryPoint: entryPoint ?? "", gitCommit: gitCommit ?? "", gitRepository: gitRepository ?? "",
      gitBranch: gitBranch ?? "", gitDirty: gitDirty, codeDigest: codeDigest ?? "",
      host: host ?? "", processNumber: 0)
    return source == RunSource() ? nil : source
  }
}

/// The command `needletail runs update`.
struct RunsUpdate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Change what is given of a run.")
  static var document: Document? { Document(Run.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Option(help: "Another name.")
  var name: String?

  @Option(help: "Another description, for people.")
  var description: String?

  @Option(help: "Another experiment of its project to move it to, by its id or its name.")
  var experiment: String?

  @Option(help: "The run to nest it under, by its id; \"\" = under none.")
  var parent: String?

  @Flag(inversion: .prefixedNo, help: "Whether it is kept at hand.")
  var pinned: Bool?

  @Flag(inversion: .prefixedNo, help: "Whether listings leave it out.")
  var archived: Bool?

  @Flag(help: "Start it, if it is scheduled.")
  var start = false

  @Option(help: "The etag that you read; nothing changes if it is another one now.")
  var etag: String?

  func validate() throws {
    let texts = [name, description, experiment, parent]
    guard start || pinned != nil || archived != nil || texts.contains(where: { $0 != nil }) else {
      throw ValidationError("Nothing is given to change.")
    }
  }

  func run(_ context: CommandContext) async throws {
    var request = UpdateRunRequest()
    request.id = try await runID(run, context)
    request.etag = etag ?? ""
    request.name = name
    request.description = description
    if let experiment { request.experimentID = try await experimentID(experiment, context) }
    request.parentRunID = parent
    request.pinned = pinned
    request.archived = archived
    request.status = start ? .running : nil
    let answer = try await context.call(
      TrackingMethods.updateRun, request, for: UpdateRunResponse.self)
    try show(answer.run, context)
  }
}

/// The command `needletail runs finish`.
struct RunsFinish: ClientCommand {
  static let configuration = CommandConfiguration(commandName: "finish", abstract: "End a run.")
  static var document: Document? { Document(Run.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Option(help: "How it ended: completed, failed or cancelled; completed unless given.")
  var status: EndArgument?

  func run(_ context: CommandContext) async throws {
    var request = FinishRunRequest()
    request.id = try await runID(run, context)
    request.status = status?.status ?? .completed
    let answer = try await context.call(
      TrackingMethods.finishRun, request, for: FinishRunResponse.self)
    try show(answer.run, context)
  }
}

/// The command `needletail runs reopen`.
struct RunsReopen: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "reopen", abstract: "Let a run that has ended go on.")
  static var document: Document? { Document(Run.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  func run(_ context: CommandContext) async throws {
    var request = ReopenRunRequest()
    request.id = try await runID(run, context)
    let answer = try await context.call(
      TrackingMethods.reopenRun, request, for: ReopenRunResponse.self)
    try show(answer.run, context)
  }
}

/// The command `needletail runs delete`.
struct RunsDelete: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Delete a run; it can be brought back for 30 days.")
  static var document: Document? { Document(Run.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id.")
  var run: String

  @Option(help: "The etag that you read; nothing changes if it is another one now.")
  var etag: String?

  @Flag(help: "For good: nobody brings it back, and the next upkeep removes it.")
  var purge = false

  @OptionGroup var confirmation: Confirmation

  var intention: String { "Delete the run \(run)\(purge ? " for good" : "")" }

  func run(_ context: CommandContext) async throws {
    var request = DeleteRunRequest()
    request.id = run
    request.etag = etag ?? ""
    request.purge = purge
    let answer = try await context.call(
      TrackingMethods.deleteRun, request, for: DeleteRunResponse.self)
    try show(answer.run, context)
  }
}

/// The command `needletail runs undelete`.
struct RunsUndelete: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "undelete", abstract: "Bring a deleted run back.")
  static var document: Document? { Document(Run.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, as `runs list --deleted` shows it.")
  var run: String

  func run(_ context: CommandContext) async throws {
    var request = UndeleteRunRequest()
    request.id = run
    let answer = try await context.call(
      TrackingMethods.undeleteRun, request, for: UndeleteRunResponse.self)
    try show(answer.run, context)
  }
}

/// Writes what the server made of a run.
private func show(_ answer: Run?, _ context: CommandContext) throws {
  let run = try needed(answer, "run")
  if context.global.output == .json { return try context.write(run) }
  Console.write(fields(pairs(of: run)))
}
