internal import Client
internal import Messages

/// Whether an argument has the form of an id; a name of that form is taken for one.
func hasFormOfID(_ argument: String) -> Bool {
  argument.utf8.count == 36 && argument.split(separator: "-").map(\.count) == [8, 4, 4, 4, 12]
}

/// Finds the project that an argument means: an id, or the slug of a project that is not deleted.
func projectID(_ argument: String, _ context: CommandContext) async throws -> String {
  if hasFormOfID(argument) { return argument }
  var request = GetProjectRequest()
  request.id = argument
  let answer = try await context.call(
    IdentityMethods.getProject, request, for: GetProjectResponse.self)
  return answer.project?.id ?? argument
}

/// The project that an option names; empty where it names none.
func projectID(_ option: String?, _ context: CommandContext) async throws -> String {
  guard let option else { return "" }
  return try await projectID(option, context)
}

/// Finds the experiment that an argument means: an id, or the name of one that is not deleted.
///
/// Case is ignored. Names are unique in a project only.
func experimentID(
  _ argument: String, in projectID: String = "", _ context: CommandContext
) async throws -> String {
  if hasFormOfID(argument) { return argument }
  var request = ListExperimentsRequest()
  request.projectID = projectID
  request.name = argument
  request.includeArchived = true
  request.pageSize = 2
  let found = try await context.call(
    TrackingMethods.listExperiments, request, for: ListExperimentsResponse.self
  ).experiments
  return try only(found, "experiment", argument, "give its id, or --project").id
}

/// The one that was found by its name.
private func only<Found>(
  _ found: [Found], _ kind: String, _ name: String, _ advice: String
) throws(CommandFailure) -> Found {
  guard let first = found.first else {
    throw CommandFailure(
      .notFound, reason: "\(kind.uppercased())_NOT_FOUND", "There is no \(kind) called \(name).")
  }
  guard found.count == 1 else {
    let article = kind == "experiment" ? "an" : "a"
    throw CommandFailure(
      .usage, reason: "\(kind.uppercased())_AMBIGUOUS",
      "Several projects have \(article) \(kind) called \(name): \(advice).")
  }
  return first
}

/// The experiments that an option names, in its order.
func experimentIDs(
  _ arguments: [String], in projectID: String = "", _ context: CommandContext
) async throws -> [String] {
  var ids: [String] = []
  for argument in arguments {
    ids.append(try await experimentID(argument, in: projectID, context))
  }
  return ids
}

/// Finds the model that an argument means: an id, or the name of one that is not deleted.
///
/// Names are unique in a project only.
func modelID(_ argument: String, _ context: CommandContext) async throws -> String {
  if hasFormOfID(argument) { return argument }
  var request = ListModelsRequest()
  request.filter = "name = '\(argument.replacing("'", with: "''"))'"
  request.pageSize = 2
  let found = try await context.call(
    RegistryMethods.listModels, request, for: ListModelsResponse.self
  ).models
  return try only(found, "model", argument, "give its id").id
}

/// Where runs are looked for: the project and the experiment that options name, if they name any.
func place(
  _ project: String?, _ experiment: String?, _ context: CommandContext
) async throws -> (projectID: String, experimentIDs: [String]) {
  let projectID = try await projectID(project, context)
  guard let experiment else { return (projectID, []) }
  return (projectID, [try await experimentID(experiment, in: projectID, context)])
}
