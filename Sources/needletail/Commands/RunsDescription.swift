internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail runs tag`.
struct RunsTag: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "tag", abstract: "Set and remove tags of a run.")
  static var document: Document? { Document(SetRunTagsResponse.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Argument(help: "Tags to set, KEY=VALUE.")
  var tags: [PairArgument] = []

  @Option(name: .customLong("remove"), help: "A key to remove; may be given several times.")
  var removed: [String] = []

  func run(_ context: CommandContext) async throws {
    var request = SetRunTagsRequest()
    request.runID = try await runID(run, context)
    request.tags = tags.map { Tag(key: $0.key, value: $0.value) }
    request.deleteKeys = removed
    let answer = try await context.call(
      TrackingMethods.setRunTags, request, for: SetRunTagsResponse.self)
    if global.output == .json { try context.write(answer) }
  }
}

/// The command `needletail runs tags`.
struct RunsTags: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "tags", abstract: "List the tags of a run, by key.")
  static var document: Document? { Document(listOf: Tag.self, in: "tags") }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Option(help: "How many to list at most.")
  var limit = 1_000

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit must be above 0.") }
  }

  func run(_ context: CommandContext) async throws {
    var request = ListRunTagsRequest()
    request.runID = try await runID(run, context)
    let all = try await context.list(
      TrackingMethods.listRunTags, request, \ListRunTagsResponse.tags, limit: limit)
    if global.output == .json { return try context.write(all) }
    writePairs("TAG", all.tags.map { ($0.key, $0.value) })
  }
}

/// The command `needletail runs set`.
struct RunsSet: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "set", abstract: "Write parameters of a run that has not ended.")
  static var document: Document? { Document(LogParametersResponse.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Argument(help: "Parameters, KEY=VALUE.")
  var parameters: [PairArgument]

  @Flag(help: "Replace other values; what they were, history keeps.")
  var overwrite = false

  func run(_ context: CommandContext) async throws {
    var request = LogParametersRequest()
    request.runID = try await runID(run, context)
    request.parameters = parameters.map { Parameter(key: $0.key, value: $0.value) }
    request.overwrite = overwrite
    let answer = try await context.call(
      TrackingMethods.logParameters, request, for: LogParametersResponse.self)
    if global.output == .json { try context.write(answer) }
  }
}

/// The command `needletail runs parameters`.
struct RunsParameters: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "parameters", abstract: "List the parameters of a run, by key.")
  static var document: Document? { Document(listOf: Parameter.self, in: "parameters") }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Option(help: "How many to list at most.")
  var limit = 1_000

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit must be above 0.") }
  }

  func run(_ context: CommandContext) async throws {
    var request = ListRunParametersRequest()
    request.runID = try await runID(run, context)
    let all = try await context.list(
      TrackingMethods.listRunParameters, request, \ListRunParametersResponse.parameters,
      limit: limit)
    if global.output == .json { return try context.write(all) }
    writePairs("PARAMETER", all.parameters.map { ($0.key, $0.value) })
  }
}

/// The command `needletail runs parameter-history`.
struct RunsParameterHistory: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "parameter-history",
    abstract: "List what a parameter was before it was overwritten, newest first.")
  static var document: Document? { Document(listOf: ParameterVersion.self, in: "versions") }

  /// The most that a server gives in one page.
  private static let pageSizeMax = 100

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Argument(help: "The parameter's key.")
  var key: String

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = ListParameterHistoryRequest()
    request.runID = try await runID(run, context)
    request.key = key
    var all = ListParameterHistoryResponse()
    repeat {
      request.pageSize = UInt32(min(most.limit - all.versions.count, Self.pageSizeMax))
      let page = try await context.call(
        TrackingMethods.listParameterHistory, request, for: ListParameterHistoryResponse.self)
      all.versions += page.versions
      all.nextPageToken = page.nextPageToken
      request.pageToken = page.nextPageToken
    } while !request.pageToken.isEmpty && all.versions.count < most.limit
    if global.output == .json { return try context.write(all) }
    var table = Table([("REPLACED", .left), ("BY", .left), ("VALUE", .left)])
    for version in all.versions {
      table.add([short(version.replacedAt), version.replacedBy, firstLine(version.value)])
    }
    Console.write(table.text)
  }
}

/// Pairs in two columns, a line each.
func writePairs(_ title: String, _ pairs: [(key: String, value: String)]) {
  var table = Table([(title, .left), ("VALUE", .left)])
  for pair in pairs { table.add([pair.key, firstLine(pair.value)]) }
  Console.write(table.text)
}
