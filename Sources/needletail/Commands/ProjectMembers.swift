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

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The project's id, or its slug.")
  var project: String

  @Option(help: "How many to list at most.")
  var limit = 50

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit must be above 0.") }
  }

  func run(_ context: CommandContext) async throws {
    var request = ListProjectMembersRequest()
    request.projectID = try await projectID(project, context)
    var all = ListProjectMembersResponse()
    repeat {
      request.pageSize = UInt32(min(limit - all.members.count, 1_000))
      let page = try await context.call(
        IdentityMethods.listProjectMembers, request, for: ListProjectMembersResponse.self)
      all.members += page.members
      request.pageToken = page.nextPageToken
    } while !request.pageToken.isEmpty && all.members.count < limit

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
struct ProjectMembersRemove: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Take a member out of a project.")

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The project's id, or its slug.")
  var project: String

  @Argument(help: "The id of the user or service account.")
  var user: String

  @Flag(help: "Yes, take them out.")
  var yes = false

  func validate() throws {
    guard yes else {
      throw ValidationError("This takes the member's role in the project; say --yes to do it.")
    }
  }

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
