internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail members`.
struct Members: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look at and change who belongs to the organization.",
    subcommands: [
      MembersList.self, MembersShow.self, MembersSetRole.self, MembersRemove.self,
      MembersDeactivate.self, MembersReactivate.self, MembersInvite.self,
      MembersInvitations.self, MembersUninvite.self,
    ])
}

/// The command `needletail members list`.
struct MembersList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List members, those who joined last first.")
  static var document: Document? { Document(listOf: Member.self, in: "members") }

  @OptionGroup var global: GlobalOptions

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    let request = ListMembersRequest()
    let all = try await context.list(
      IdentityMethods.listMembers, request, \ListMembersResponse.members, limit: most.limit)

    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("USER", .left), ("NAME", .left), ("EMAIL", .left), ("ROLE", .left), ("STATE", .left),
      ("JOINED", .left),
    ])
    for member in all.members {
      table.add([
        member.user?.id ?? "", firstLine(member.user?.displayName ?? ""),
        member.user?.email ?? "", word(member.role), state(member.isActive),
        short(member.joinedAt),
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail members show`.
struct MembersShow: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show one member.")
  static var document: Document? { Document(Member.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The user's id.")
  var user: String

  func run(_ context: CommandContext) async throws {
    var request = GetMemberRequest()
    request.userID = user
    let answer = try await context.call(
      IdentityMethods.getMember, request, for: GetMemberResponse.self)
    try show(answer.member, context)
  }
}

/// The command `needletail members set-role`.
struct MembersSetRole: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "set-role", abstract: "Give a member another role.")
  static var document: Document? { Document(Member.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The user's id.")
  var user: String

  @Argument(help: "admin, developer or viewer; at most your own.")
  var role: RoleArgument

  @Option(help: "Only if they are still as they were with this etag.")
  var etag: String?

  func run(_ context: CommandContext) async throws {
    var request = UpdateMemberRequest()
    request.userID = user
    request.role = role.role
    request.etag = etag ?? ""
    let answer = try await context.call(
      IdentityMethods.updateMember, request, for: UpdateMemberResponse.self)
    try show(answer.member, context)
  }
}

/// The command `needletail members remove`.
struct MembersRemove: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove",
    abstract: "Take a user out of the organization and revoke their keys in it.")
  static var document: Document? { Document(RemoveMemberResponse.self) }

  @OptionGroup var global: GlobalOptions

  @OptionGroup var confirmation: Confirmation

  @Argument(help: "The user's id; your own to leave.")
  var user: String

  var intention: String { "Take \(user) out of the organization and revoke their keys" }

  func run(_ context: CommandContext) async throws {
    var request = RemoveMemberRequest()
    request.userID = user
    let answer = try await context.call(
      IdentityMethods.removeMember, request, for: RemoveMemberResponse.self)
    if global.output == .json { return try context.write(answer) }
    Console.line("removed \(user)")
  }
}

/// The command `needletail members deactivate`.
struct MembersDeactivate: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "deactivate",
    abstract: "Take none of a member's keys in this organization until they are reactivated.")
  static var document: Document? { Document(Member.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The user's id.")
  var user: String

  @OptionGroup var confirmation: Confirmation

  var intention: String { "Take no more keys of \(user)" }

  func run(_ context: CommandContext) async throws {
    var request = DeactivateMemberRequest()
    request.userID = user
    let answer = try await context.call(
      IdentityMethods.deactivateMember, request, for: DeactivateMemberResponse.self)
    try show(answer.member, context)
  }
}

/// The command `needletail members reactivate`.
struct MembersReactivate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "reactivate", abstract: "Take a member's keys again.")
  static var document: Document? { Document(Member.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The user's id.")
  var user: String

  func run(_ context: CommandContext) async throws {
    var request = ReactivateMemberRequest()
    request.userID = user
    let answer = try await context.call(
      IdentityMethods.reactivateMember, request, for: ReactivateMemberResponse.self)
    try show(answer.member, context)
  }
}

func show(_ answer: Member?, _ context: CommandContext) throws {
  let member = try needed(answer, "member")
  if context.global.output == .json { return try context.write(member) }
  let user = member.user ?? User()
  Console.write(
    fields([
      ("user", user.id), ("name", user.displayName), ("email", user.email),
      ("verified", short(user.emailVerifiedAt)), ("role", word(member.role)),
      ("state", state(member.isActive)), ("joined", short(member.joinedAt)),
      ("invited by", member.invitedBy.isEmpty ? "–" : member.invitedBy),
      ("last login", short(user.lastLoginAt)), ("etag", member.etag),
    ]))
}

/// Whether keys are taken, in a word.
func state(_ isActive: Bool) -> String { isActive ? "active" : "inactive" }
