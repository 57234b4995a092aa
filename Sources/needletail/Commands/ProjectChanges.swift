internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail projects create`.
struct ProjectsCreate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Create a project, whose owner you are.")
  static var document: Document? { Document(Project.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The project's name.")
  var name: String

  @Option(help: "Lower-case letters, digits and dashes; made of the name unless given.")
  var slug: String?

  @Option(help: "A description, for people.")
  var description: String?

  @Option(help: "Who sees it beside its members: private, organization or public.")
  var visibility: VisibilityArgument?

  @Option(help: "A JSON object of your own.")
  var settings: String?

  func run(_ context: CommandContext) async throws {
    var request = CreateProjectRequest()
    request.name = name
    request.slug = slug ?? ""
    request.description = description ?? ""
    request.visibility = visibility?.visibility ?? .unspecified
    request.settingsJSON = settings ?? ""
    let answer = try await context.call(
      IdentityMethods.createProject, request, for: CreateProjectResponse.self)
    try show(answer.project, context)
  }
}

/// The command `needletail projects update`.
struct ProjectsUpdate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Change what is given of a project.")
  static var document: Document? { Document(Project.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The project's id, or its slug.")
  var project: String

  @Option(help: "Another name.")
  var name: String?

  @Option(help: "Another slug: lower-case letters, digits and dashes.")
  var slug: String?

  @Option(help: "Another description, for people.")
  var description: String?

  @Option(help: "Who sees it beside its members: private, organization or public.")
  var visibility: VisibilityArgument?

  @Option(help: "Another JSON object of your own.")
  var settings: String?

  @Option(help: "The etag that you read; nothing changes if it is another one now.")
  var etag: String?

  func validate() throws {
    let isChange =
      name != nil || slug != nil || description != nil || visibility != nil || settings != nil
    guard isChange else { throw ValidationError("Nothing is given to change.") }
  }

  func run(_ context: CommandContext) async throws {
    var request = UpdateProjectRequest()
    request.id = try await projectID(project, context)
    request.etag = etag ?? ""
    request.name = name
    request.slug = slug
    request.description = description
    request.visibility = visibility?.visibility
    request.settingsJSON = settings
    let answer = try await context.call(
      IdentityMethods.updateProject, request, for: UpdateProjectResponse.self)
    try show(answer.project, context)
  }
}

/// The command `needletail projects delete`.
struct ProjectsDelete: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Delete a project; it can be brought back for 30 days.")
  static var document: Document? { Document(Project.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The project's id, or its slug.")
  var project: String

  @Option(help: "The etag that you read; nothing changes if it is another one now.")
  var etag: String?

  @OptionGroup var confirmation: Confirmation

  var intention: String { "Delete the project \(project) with its experiments and runs" }

  func run(_ context: CommandContext) async throws {
    var request = DeleteProjectRequest()
    request.id = try await projectID(project, context)
    request.etag = etag ?? ""
    let answer = try await context.call(
      IdentityMethods.deleteProject, request, for: DeleteProjectResponse.self)
    try show(answer.project, context)
  }
}

/// The command `needletail projects undelete`.
struct ProjectsUndelete: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "undelete", abstract: "Bring a deleted project back.")
  static var document: Document? { Document(Project.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The project's id, as `projects list --deleted` shows it.")
  var project: String

  func run(_ context: CommandContext) async throws {
    var request = UndeleteProjectRequest()
    request.id = project
    let answer = try await context.call(
      IdentityMethods.undeleteProject, request, for: UndeleteProjectResponse.self)
    try show(answer.project, context)
  }
}
