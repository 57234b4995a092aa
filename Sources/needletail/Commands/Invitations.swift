internal import ArgumentParser
internal import EventLoop
internal import Messages

/// The command `needletail members invite`.
struct MembersInvite: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "invite",
    abstract: "Invite somebody; the token that they accept with is shown once.",
    discussion: """
      No mail is sent: pass the token on. An open invitation of the same address ends. Whoever is \
      invited runs `needletail accept`.
      """)
  static var document: Document? {
    Document(Invitation.self, in: "invitation", of: fieldNames(of: InviteMemberResponse.self))
  }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The address of who is invited.")
  var email: String

  @Option(help: "admin, developer or viewer; at most your own.")
  var role: RoleArgument

  @Option(
    name: .customLong("expires-in"), help: "How long it can be accepted: 12h, 30d; else 7 days.")
  var expiresIn: TimeArgument?

  func run(_ context: CommandContext) async throws {
    var request = InviteMemberRequest()
    request.email = email
    request.role = role.role
    let seconds = expiresIn.map { ($0.duration / .seconds(1)).rounded(.up) } ?? 0
    request.expiresInSeconds = UInt32(clamping: Int64(seconds))
    let made = try await context.call(
      IdentityMethods.inviteMember, request, for: InviteMemberResponse.self)
    if global.output == .json { return try context.write(made) }
    let invitation = try needed(made.invitation, "invitation")
    Console.write(
      fields([
        ("invitation", invitation.id), ("email", invitation.email),
        ("role", word(invitation.role)), ("until", short(invitation.expiresAt)),
        ("token", made.token), ("", "It is shown this once: pass it on, and to nobody else."),
      ]))
  }
}

/// The command `needletail members invitations`.
struct MembersInvitations: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "invitations", abstract: "List invitations that wait, newest first.")
  static var document: Document? { Document(listOf: Invitation.self, in: "invitations") }

  @OptionGroup var global: GlobalOptions

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    let all = try await context.list(
      IdentityMethods.listInvitations, ListInvitationsRequest(),
      \ListInvitationsResponse.invitations, limit: most.limit)

    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("ID", .left), ("EMAIL", .left), ("ROLE", .left), ("INVITED BY", .left), ("STATE", .left),
    ])
    let now = WallClock.microseconds()
    for invitation in all.invitations {
      let isOver = invitation.expiresAt.map { $0.microseconds <= now } ?? false
      table.add([
        invitation.id, firstLine(invitation.email), word(invitation.role), invitation.invitedBy,
        "\(isOver ? "expired" : "open until") \(short(invitation.expiresAt))",
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail members uninvite`.
struct MembersUninvite: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "uninvite", abstract: "Take an invitation back.")
  static var document: Document? { Document(DeleteInvitationResponse.self) }

  @OptionGroup var global: GlobalOptions
  @OptionGroup var confirmation: Confirmation

  @Argument(help: "The invitation's id.")
  var invitation: String

  var intention: String { "Take the invitation \(invitation) back" }

  func run(_ context: CommandContext) async throws {
    let answer = try await context.call(
      IdentityMethods.deleteInvitation, DeleteInvitationRequest(id: invitation),
      for: DeleteInvitationResponse.self)
    if global.output == .json { return try context.write(answer) }
    Console.line("took \(invitation) back")
  }
}

/// The command `needletail accept`.
struct Accept: ClientCommand {
  static let configuration = CommandConfiguration(
    abstract: "Accept an invitation.",
    discussion: """
      The token and the password are asked for, or are the first two lines of standard input. Who \
      has an account gives its password; anybody else chooses one, of 12 bytes at least. With \
      --with-key, a key of the invited person takes the password's place.
      """)
  static var document: Document? {
    Document(Member.self, in: "member", of: fieldNames(of: AcceptInvitationResponse.self))
  }

  @OptionGroup var global: GlobalOptions

  @Flag(help: "Accept as the person of the API key; no password is asked for.")
  var withKey = false

  @Option(help: "What to call you, where you are new; else your address.")
  var name: String?

  var isAnonymous: Bool { !withKey }

  func run(_ context: CommandContext) async throws {
    let secrets = try SecretInput()
    var request = AcceptInvitationRequest()
    request.token = try await secrets.read("Token")
    if !withKey { request.password = try await secrets.read("Password") }
    request.displayName = name ?? ""
    let answer = try await context.call(
      IdentityMethods.acceptInvitation, request, for: AcceptInvitationResponse.self)
    if global.output == .json { return try context.write(answer) }
    let member = try needed(answer.member, "member")
    Console.write(
      fields([
        ("organization", answer.organizationID), ("slug", answer.organizationSlug),
        ("user", member.user?.id ?? ""), ("name", member.user?.displayName ?? ""),
        ("role", word(member.role)),
      ]))
  }
}
