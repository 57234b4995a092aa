internal import ArgumentParser
internal import Client
internal import Messages

/// Whose files a command is about: a run's unless an option says otherwise.
struct ArtifactOwnerOptions: ParsableArguments {
  @Option(help: "The files of a logged model, by its id, in the place of RUN.")
  var loggedModel: String?

  @Option(help: "The files of a trace, in the place of RUN; with --project.")
  var trace: String?

  @Option(help: "The project that the trace is in, by its id or its slug.")
  var project: String?

  func validate() throws {
    if loggedModel != nil, trace != nil {
      throw ValidationError("--logged-model and --trace exclude one another.")
    }
    if (trace == nil) != (project == nil) {
      throw ValidationError("--trace and --project belong together.")
    }
  }

  /// Takes the arguments of a command apart: RUN, where no option is in its place, and the others.
  func split(_ arguments: [String]) -> (run: String?, others: [String]) {
    if loggedModel != nil || trace != nil { return (nil, arguments) }
    return (arguments.first, Array(arguments.dropFirst()))
  }

  /// Checks how many arguments there are behind RUN.
  func check(_ arguments: [String], _ count: ClosedRange<Int>, _ usage: String) throws {
    let (run, others) = split(arguments)
    if run == nil, loggedModel == nil, trace == nil {
      throw ValidationError("Give the run's id, or latest; or --logged-model, or --trace.")
    }
    guard count.contains(others.count) else { throw ValidationError("Give \(usage).") }
  }

  func owner(_ run: String?, _ context: CommandContext) async throws -> ArtifactOwner {
    var owner = ArtifactOwner()
    if let run { owner.runID = try await runID(run, context) }
    owner.loggedModelID = loggedModel ?? ""
    owner.traceID = trace ?? ""
    if let project { owner.projectID = try await projectID(project, context) }
    return owner
  }
}

/// What files are of: one of a run, a logged model, and a trace of a project.
struct ArtifactOwner {
  var runID = ""
  var loggedModelID = ""
  var traceID = ""
  var projectID = ""

  /// Says it in a request.
  func name<Request: ArtifactRequest>(in request: inout Request) {
    request.runID = runID
    request.loggedModelID = loggedModelID
    request.traceID = traceID
    request.projectID = projectID
  }
}

/// A request about files.
protocol ArtifactRequest {
  var runID: String { get set }
  var loggedModelID: String { get set }
  var traceID: String { get set }
  var projectID: String { get set }
}

extension ListArtifactsRequest: ArtifactRequest {}
extension UploadArtifactRequest: ArtifactRequest {}
extension DownloadArtifactRequest: ArtifactRequest {}
extension DeleteArtifactRequest: ArtifactRequest {}
