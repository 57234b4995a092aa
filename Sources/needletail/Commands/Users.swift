internal import ArgumentParser
internal import ControlPlane
internal import Client
internal import Messages

/// The command `needletail users`.
struct Users: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look at and change the key's person: yourself.",
    subcommands: [
      UsersShow.self, UsersUpdate.self, UsersPassword.self, UsersDelete.self, UsersUndelete.self,
      UsersVerify.self, UsersResetPassword.self,
    ])
}

/// The command `needletail users show`.
struct UsersShow: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show yourself as nobody else sees you.")
  static var document: Document? {
    Document(User.self, in: "user", of: fieldNames(of: GetUserResponse.self))
  }

  @OptionGroup var global: GlobalOptions

  func run(_ context: CommandContext) async throws {
    let answer = try await context.call(
      IdentityMethods.getUser, GetUserRequest(), for: GetUserResponse.self)
    if global.output == .json { return try context.write(answer) }
    Console.write(
      fields(
        pairs(try needed(answer.user, "user")) + [
          ("password", answer.hasPassword ? "yes" : "none"), ("settings", answer.settingsJSON),
          ("etag", answer.etag),
        ]))
  }
}

/// The command `needletail users update`.
struct UsersUpdate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Change yourself: only what is given.",
    discussion: """
      Another e-mail address needs the current password, where you have one: it is asked for, \
      hidden, or read as a line of standard input.
      """)

  static var document: Document? {
    Document(User.self, in: "user", of: fieldNames(of: UpdateUserResponse.self))
  }

  @OptionGroup var global: GlobalOptions

  @Option(help: "Another e-mail address, which is then not verified.")
  var email: String?

  @Option(help: "What you are called.")
  var displayName: String?

  @Option(help: "Your first name.")
  var firstName: String?

  @Option(help: "Your last name.")
  var lastName: String?

  @Option(help: "Where a picture of you is: https://…; empty = none.")
  var avatarUrl: String?

  @Option(help: "Your settings: a JSON object, or @FILE that holds one.")
  var settings: String?

  @Option(help: "Only if you are still as you were with this etag.")
  var etag: String?

  func validate() throws {
    let given = [email, displayName, firstName, lastName, avatarUrl, settings]
    guard given.contains(where: { $0 != nil }) else {
      throw ValidationError(
        "Give --email, --display-name, --first-name, --last-name, --avatar-url or --settings.")
    }
  }

  func run(_ context: CommandContext) async throws {
    var request = UpdateUserRequest()
    request.etag = etag ?? ""
    request.email = email
    request.displayName = displayName
    request.firstName = firstName
    request.lastName = lastName
    request.avatarURL = avatarUrl
    request.settingsJSON = try settings.map(settingsText)
    if email != nil {
      request.currentPassword = try await currentPassword(context, try SecretInput())
    }
    let answer = try await context.call(
      IdentityMethods.updateUser, request, for: UpdateUserResponse.self)
    if global.output == .json { return try context.write(answer) }
    Console.write(
      fields(
        pairs(try needed(answer.user, "user")) + [
          ("settings", answer.settingsJSON), ("etag", answer.etag),
        ]))
  }
}

/// The command `needletail users password`.
struct UsersPassword: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "password",
    abstract: "Give yourself another password and end what your logins opened.",
    discussion: """
      The current password, where there is one, and the new one are asked for, hidden, or read as \
      a line each of standard input.
      """)
  static var document: Document? { Document(ChangePasswordResponse.self) }

  @OptionGroup var global: GlobalOptions

  func run(_ context: CommandContext) async throws {
    var request = ChangePasswordRequest()
    let secrets = try SecretInput()
    request.currentPassword = try await currentPassword(context, secrets)
    request.newPassword = try await secrets.readNew("New password")
    let answer = try await context.call(
      IdentityMethods.changePassword, request, for: ChangePasswordResponse.self)
    if global.output == .json { return try context.write(answer) }
    Console.line("the password is changed; keys of logins that were ended: \(answer.revokedKeys)")
  }
}

/// The command `needletail users delete`.
struct UsersDelete: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Delete yourself in every organization; `undelete` brings you back for 30 days.")
  static var document: Document? { Document(DeleteUserResponse.self) }

  @OptionGroup var global: GlobalOptions
  @OptionGroup var confirmation: Confirmation

  @Option(help: "Your own e-mail address, so that nobody deletes somebody else.")
  var email: String

  var intention: String { "Delete yourself, \(email), in every organization" }

  func run(_ context: CommandContext) async throws {
    var request = DeleteUserRequest()
    request.email = email
    request.currentPassword = try await currentPassword(context, try SecretInput())
    let answer = try await context.call(
      IdentityMethods.deleteUser, request, for: DeleteUserResponse.self)
    if global.output == .json { return try context.write(answer) }
    Console.line("deleted; to come back until \(short(answer.purgeAfter)): users undelete")
  }
}

/// The command `needletail users undelete`.
struct UsersUndelete: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "undelete",
    abstract: "Come back after `delete`, with memberships and keys as they were.",
    discussion: """
      Needs no API key. The password is asked for, hidden, or read as a line of standard input.
      """)
  static var document: Document? {
    Document(User.self, in: "user", of: fieldNames(of: UndeleteUserResponse.self))
  }

  @OptionGroup var global: GlobalOptions

  @Option(help: "Your e-mail address, as it was.")
  var email: String

  var isAnonymous: Bool { true }

  func run(_ context: CommandContext) async throws {
    var request = UndeleteUserRequest()
    request.email = email
    request.password = try await SecretInput().read("Password")
    let answer = try await context.call(
      IdentityMethods.undeleteUser, request, for: UndeleteUserResponse.self)
    if global.output == .json { return try context.write(answer) }
    Console.write(fields(pairs(try needed(answer.user, "user"))))
  }
}

/// The command `needletail users verify`.
struct UsersVerify: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Note that an e-mail address is its person's, on the database's own machine.",
    discussion: """
      Needletail sends no mail: whoever runs it finds out, and says so here. The database must be \
      running: the private one of the data folder runs with `up`.
      """)

  @OptionGroup var place: DataFolderOption

  @Argument(help: "The address, in any case.")
  var email: String

  func run() async throws {
    let id = try await Accounts.verify(
      email, dataFolder: place.dataFolder, databaseURL: place.chosenURL)
    Console.line("verified \(email), user \(id)")
  }
}

/// The command `needletail users reset-password`.
struct UsersResetPassword: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reset-password",
    abstract: "Give somebody a random password, on the database's own machine.",
    discussion: """
      For who has lost theirs. It is shown once: pass it on, and let them choose their own with \
      `needletail users password`. What their logins opened ends within a second; keys that they \
      made themselves go on, unless --all-keys ends them, too: say so where somebody else may \
      have had the account. The database must be running: the private one of the data folder runs \
      with `up`.
      """)

  @OptionGroup var place: DataFolderOption
  @OptionGroup var confirmation: Confirmation

  @Flag(help: "End every key of theirs, in all organizations.")
  var allKeys = false

  @Argument(help: "Their address, in any case.")
  var email: String

  func run() async throws {
    do {
      let what = allKeys ? "all their keys" : "their logins"
      try confirmation.confirm("Give \(email) another password and end \(what)")
    } catch {
      throw tell(error, .table)
    }
    let done = try await Accounts.resetPassword(
      email, endsAllKeys: allKeys, dataFolder: place.dataFolder, databaseURL: place.chosenURL)
    Console.write(
      fields([
        ("user", done.userID), ("password", done.password),
        ("", "It is shown this once: pass it on where no one else can read it."),
        ("ended keys", "\(done.endedKeys)"),
      ]))
  }
}

/// The password of the caller, asked for where they have one.
private func currentPassword(
  _ context: CommandContext, _ secrets: SecretInput
) async throws -> String {
  let user = try await context.call(
    IdentityMethods.getUser, GetUserRequest(), for: GetUserResponse.self)
  return user.hasPassword ? try await secrets.read("Current password") : ""
}

private func pairs(_ user: User) -> [(String, String)] {
  [
    ("user", user.id), ("name", user.displayName), ("email", user.email),
    ("verified", short(user.emailVerifiedAt)), ("first name", user.firstName),
    ("last name", user.lastName), ("avatar", user.avatarURL),
    ("last login", short(user.lastLoginAt)), ("created", short(user.createdAt)),
  ]
}
