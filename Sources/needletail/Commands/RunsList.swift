internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail runs`.
struct Runs: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look at runs and their metrics, and change them.",
    subcommands: [
      RunsList.self, RunsShow.self, RunsWatch.self, RunsCreate.self, RunsUpdate.self,
      RunsFinish.self, RunsReopen.self, RunsTag.self, RunsTags.self, RunsSet.self,
      RunsParameters.self, RunsParameterHistory.self, RunsInputs.self, RunsModels.self,
      RunsLogInput.self, RunsLogModel.self, RunsCompare.self, RunsPlot.self, RunsExport.self,
      RunsDefine.self, RunsDefinitions.self, RunsUndefine.self, RunsDelete.self, RunsUndelete.self,
    ])
}

/// The command `needletail runs list`.
struct RunsList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List runs, newest first unless sorted.")
  static var document: Document? { Document(listOf: Run.self, in: "runs") }

  @OptionGroup var global: GlobalOptions

  @Option(help: "Only those of this experiment, by its id or its name.")
  var experiment: String?

  @Option(help: "Only those of this project, by its id or its slug.")
  var project: String?

  @Option(help: "Only those that are scheduled, running, completed, failed or cancelled.")
  var status: StatusArgument?

  @Option(
    help: "Only those that it finds: \"metrics.loss < 0.5 AND tags.team = 'a'\" (Docs/search.md).")
  var filter: String?

  @Option(help: "Sort by this field, such as \"metrics.loss DESC\"; again for among equals.")
  var orderBy: [String] = []

  @Option(
    help: ArgumentHelp(
      "What to show, such as name,status,metrics.loss,params.lr,tags.team; JSON has it all.",
      valueName: "name,…"))
  var columns: String?

  @Flag(help: "Only say how many there are.")
  var count = false

  @Flag(help: "Those that are archived, too.")
  var archived = false

  @Flag(help: "Those that were deleted and are not yet gone for good.")
  var deleted = false

  @Option(help: "How many to list at most.")
  var limit = 20

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit must be above 0.") }
    guard status == nil || !isSearch else {
      throw ValidationError(
        "--status is not for searches: say it in the filter, --filter \"status = 'RUNNING'\".")
    }
    guard !count || orderBy.isEmpty else {
      throw ValidationError("--order-by is of no use with --count.")
    }
    guard !count || columns == nil else {
      throw ValidationError("--columns is of no use with --count.")
    }
    _ = try shown()
  }

  private var isSearch: Bool { filter != nil || !orderBy.isEmpty || count }

  private func shown() throws(ValidationError) -> RunColumns {
    guard let columns else { return .standard }
    do {
      return try RunColumns(columns)
    } catch {
      throw ValidationError(error.text)
    }
  }

  func run(_ context: CommandContext) async throws {
    if count { return try await tellCount(context) }
    let columns = try shown()
    if global.output == .json {
      return try context.write(isSearch ? try await searchWhole(context) : try await list(context))
    }
    let found =
      isSearch || columns.needSearch
      ? try await search(columns, context).runs
      : try await list(context).runs.map {
        FoundRun(run: $0, parameters: [], tags: [], metrics: [], inputs: [], models: [])
      }
    Console.write(columns.table(found))
  }

  private func list(_ context: CommandContext) async throws -> ListRunsResponse {
    var request = ListRunsRequest()
    let (projectID, experimentIDs) = try await place(project, experiment, context)
    request.projectID = projectID
    request.experimentID = experimentIDs.first ?? ""
    request.status = status?.status ?? .unspecified
    request.includeArchived = archived
    request.deleted = deleted
    return try await context.list(
      TrackingMethods.listRuns, request, \ListRunsResponse.runs, limit: limit)
  }

  /// What a search finds, in the form of a list.
  private func searchWhole(_ context: CommandContext) async throws -> ListRunsResponse {
    let found = try await search(.standard, context)
    var all = ListRunsResponse()
    all.runs = found.runs.compactMap(\.run)
    all.nextPageToken = found.nextPageToken
    return all
  }

  private func search(
    _ columns: RunColumns, _ context: CommandContext
  ) async throws -> SearchRunsResponse {
    var request = SearchRunsRequest()
    (request.projectID, request.experimentIDs) = try await place(project, experiment, context)
    request.filter = filter ?? status.map { "status = '\(word($0.status).uppercased())'" } ?? ""
    request.orderBy = orderBy
    request.includeArchived = archived
    request.view = deleted ? .deleted : .live
    request.metrics = included(columns.metrics)
    request.parameters = included(columns.parameters)
    request.tags = included(columns.tags)
    return try await context.list(
      TrackingMethods.searchRuns, request, \SearchRunsResponse.runs, limit: limit)
  }

  private func included(_ keys: [String]) -> SearchInclude? {
    keys.isEmpty ? nil : SearchInclude(all: false, keys: keys)
  }

  private func tellCount(_ context: CommandContext) async throws {
    var request = CountRunsRequest()
    (request.projectID, request.experimentIDs) = try await place(project, experiment, context)
    request.filter = filter ?? ""
    request.includeArchived = archived
    request.view = deleted ? .deleted : .live
    let answer = try await context.call(
      TrackingMethods.countRuns, request, for: CountRunsResponse.self)
    if global.output == .json { return try context.write(answer) }
    Console.line(String(answer.count))
  }
}

/// A run's status on the command line: the last word of its name in the .proto, in any case.
struct StatusArgument: ExpressibleByArgument, Sendable {
  let status: RunStatus

  init?(argument: String) {
    let found = RunStatus.known.first { $0 != .unspecified && word($0) == argument.lowercased() }
    guard let found else { return nil }
    status = found
  }

  static var allValueStrings: [String] {
    RunStatus.known.filter { $0 != .unspecified }.map(word)
  }
}

/// How a run ended, on the command line.
struct EndArgument: ExpressibleByArgument, Sendable {
  private static let known: [RunStatus] = [.completed, .failed, .cancelled]

  let status: RunStatus

  init?(argument: String) {
    guard let found = Self.known.first(where: { word($0) == argument.lowercased() }) else {
      return nil
    }
    status = found
  }

  static var allValueStrings: [String] { known.map(word) }
}

/// Finds the run that an argument means: an id, or `latest`.
func runID(_ argument: String, _ context: CommandContext) async throws -> String {
  guard argument == "latest" else { return argument }
  var request = ListRunsRequest()
  request.pageSize = 1
  let page = try await context.call(TrackingMethods.listRuns, request, for: ListRunsResponse.self)
  guard let run = page.runs.first else {
    throw CommandFailure(.notFound, reason: "RUN_NOT_FOUND", "There is no run yet.")
  }
  return run.id
}
