internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail projects`.
struct Projects: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look at projects, and change them and who belongs to them.",
    subcommands: [
      ProjectsCreate.self, ProjectsList.self, ProjectsShow.self, ProjectsUpdate.self,
      ProjectsDelete.self, ProjectsUndelete.self, ProjectMembers.self,
    ])
}

/// The command `needletail projects list`.
struct ProjectsList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the projects that you see, newest first.")
  static var document: Document? { Document(listOf: Project.self, in: "projects") }

  @OptionGroup var global: GlobalOptions

  @Flag(help: "Those that were deleted and that you can bring back, instead.")
  var deleted = false

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = ListProjectsRequest()
    request.deleted = deleted
    let all = try await context.list(
      IdentityMethods.listProjects, request, \ListProjectsResponse.projects, limit: most.limit)

    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("ID", .left), ("SLUG", .left), ("NAME", .left), ("VISIBILITY", .left),
      (deleted ? "GONE" : "CREATED", .left),
    ])
    for project in all.projects {
      table.add([
        project.id, project.slug, firstLine(project.name), word(project.visibility),
        short(deleted ? project.purgeAfter : project.createdAt),
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail projects show`.
struct ProjectsShow: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a project.")
  static var document: Document? { Document(Project.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The project's id, or its slug.")
  var project: String

  func run(_ context: CommandContext) async throws {
    var request = GetProjectRequest()
    request.id = project
    let answer = try await context.call(
      IdentityMethods.getProject, request, for: GetProjectResponse.self)
    try show(answer.project, context)
  }
}

/// Writes a project in the format that was asked for.
func show(_ answer: Project?, _ context: CommandContext) throws {
  guard let project = answer else {
    throw CommandFailure(.other, reason: "PROJECT_MISSING", "The server's answer holds no project.")
  }
  if context.global.output == .json { return try context.write(project) }
  var pairs = [
    ("project", project.id), ("slug", project.slug), ("name", project.name),
    ("visibility", word(project.visibility)), ("created", short(project.createdAt)),
    ("created by", project.createdBy), ("changed", short(project.updatedAt)),
    ("etag", project.etag), ("settings", project.settingsJSON),
  ]
  if !project.description.isEmpty { pairs.append(("description", project.description)) }
  if project.deletedAt != nil {
    pairs.append(("deleted", short(project.deletedAt)))
    pairs.append(("gone", short(project.purgeAfter)))
  }
  Console.write(fields(pairs))
}

/// "organization" for VISIBILITY_ORGANIZATION.
func word(_ visibility: Visibility) -> String {
  visibility.name.replacing("VISIBILITY_", with: "").lowercased()
}

/// Who sees a project, on the command line.
struct VisibilityArgument: ExpressibleByArgument, Sendable {
  let visibility: Visibility

  init?(argument: String) {
    let found = Visibility.known.first {
      $0 != .unspecified && word($0) == argument.lowercased()
    }
    guard let found else { return nil }
    visibility = found
  }

  static var allValueStrings: [String] {
    Visibility.known.filter { $0 != .unspecified }.map(word)
  }
}
