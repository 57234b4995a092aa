internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail projects members`.
struct ProjectMembers: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "members", abstract: "Look at who belongs to a project, and change it.",
    subcommands: [ProjectMembersList.self, ProjectMembersSet.self, ProjectMembersRemove.self])
}

/// The command `needletail projects members list`.
struct ProjectMembersList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the members of a project, newest first.")
  static var document: Document? { Document(listOf: ProjectMember.self, in: "members") }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The project's id, or its slug.")
  var project: String

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = ListProjectMembersRequest()
    request.projectID = try await projectID(project, context)
    let all = try await context.list(
      IdentityMethods.listProjectMembers, request, \ListProjectMembersResponse.members,
      limit: most.limit)

    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("USER", .left), ("NAME", .left), ("E-MAIL", .left), ("ROLE", .left), ("ADDED", .left),
    ])
    for member in all.members {
      table.add([
        member.userID, firstLine(member.displayName), member.email, word(member.role),
        short(member.createdAt),
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail projects members set`.
struct ProjectMembersSet: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "set",
    abstract: "Add a member of the organization to a project, or give one another role in it.")
  static var document: Document? { Document(ProjectMember.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The project's id, or its slug.")
  var project: String

  @Argument(help: "The id of the user or service account.")
  var user: String

  @Option(help: "What they may do in it: owner, contributor or viewer.")
  var role: ProjectRoleArgument

  func run(_ context: CommandContext) async throws {
    var request = SetProjectMemberRequest()
    request.projectID = try await projectID(project, context)
    request.userID = user
    request.role = role.role
    let answer = try await context.call(
      IdentityMethods.setProjectMember, request, for: SetProjectMemberResponse.self)
    guard let member = answer.member else {
      throw CommandFailure(.other, reason: "MEMBER_MISSING", "The server's answer holds no member.")
    }
    if global.output == .json { return try context.write(member) }
    Console.write(
      fields([
        ("user", member.userID), ("name", member.displayName), ("e-mail", member.email),
        ("role", word(member.role)), ("added", short(member.createdAt)),
        ("added by", member.addedBy),
      ]))
  }
}

/// The command `needletail projects members remove`.
struct ProjectMembersRemove: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Take a member out of a project.")
  static var document: Document? { Document(RemoveProjectMemberResponse.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The project's id, or its slug.")
  var project: String

  @Argument(help: "The id of the user or service account.")
  var user: String

  @OptionGroup var confirmation: Confirmation

  var intention: String { "Take \(user) out of the project \(project)" }

  func run(_ context: CommandContext) async throws {
    var request = RemoveProjectMemberRequest()
    request.projectID = try await projectID(project, context)
    request.userID = user
    let answer = try await context.call(
      IdentityMethods.removeProjectMember, request, for: RemoveProjectMemberResponse.self)
    if global.output == .json { return try context.write(answer) }
    Console.line("removed \(user)")
  }
}

/// "contributor" for PROJECT_ROLE_CONTRIBUTOR.
func word(_ role: ProjectRole) -> String {
  role.name.replacing("PROJECT_ROLE_", with: "").lowercased()
}

/// A role in a project, on the command line.
struct ProjectRoleArgument: ExpressibleByArgument, Sendable {
  let role: ProjectRole

  init?(argument: String) {
    let found = ProjectRole.known.first {
      $0 != .unspecified && word($0) == argument.lowercased()
    }
    guard let found else { return nil }
    role = found
  }

  static var allValueStrings: [String] {
    ProjectRole.known.filter { $0 != .unspecified }.map(word)
  }
}
