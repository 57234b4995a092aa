internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail service-accounts`.
struct ServiceAccounts: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look at and change the members that are programs.",
    subcommands: [
      ServiceAccountsCreate.self, ServiceAccountsList.self, ServiceAccountsShow.self,
      ServiceAccountsUpdate.self, ServiceAccountsDelete.self,
    ])
}

/// The command `needletail service-accounts create`.
struct ServiceAccountsCreate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Create a service account; it has no key yet.")
  static var document: Document? { Document(ServiceAccount.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "Its name, for people.")
  var name: String

  @Option(help: "What it may do: admin, developer or viewer; at most your own role.")
  var role: RoleArgument

  func run(_ context: CommandContext) async throws {
    var request = CreateServiceAccountRequest()
    request.displayName = name
    request.role = role.role
    let answer = try await context.call(
      IdentityMethods.createServiceAccount, request, for: CreateServiceAccountResponse.self)
    try show(answer.serviceAccount, context)
  }
}

/// The command `needletail service-accounts list`.
struct ServiceAccountsList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List service accounts, newest first.")
  static var document: Document? { Document(listOf: ServiceAccount.self, in: "serviceAccounts") }

  @OptionGroup var global: GlobalOptions

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    let request = ListServiceAccountsRequest()
    let all = try await context.list(
      IdentityMethods.listServiceAccounts, request, \ListServiceAccountsResponse.serviceAccounts,
      limit: most.limit)

    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("ID", .left), ("NAME", .left), ("ROLE", .left), ("STATE", .left), ("CREATED", .left),
    ])
    for account in all.serviceAccounts {
      table.add([
        account.id, firstLine(account.displayName), word(account.role), state(account.isActive),
        short(account.createdAt),
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail service-accounts show`.
struct ServiceAccountsShow: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show one service account.")
  static var document: Document? { Document(ServiceAccount.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "Its id.")
  var account: String

  func run(_ context: CommandContext) async throws {
    var request = GetServiceAccountRequest()
    request.id = account
    let answer = try await context.call(
      IdentityMethods.getServiceAccount, request, for: GetServiceAccountResponse.self)
    try show(answer.serviceAccount, context)
  }
}

/// The command `needletail service-accounts update`.
struct ServiceAccountsUpdate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Change a service account: only what is given.")
  static var document: Document? { Document(ServiceAccount.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "Its id.")
  var account: String

  @Option(help: "Its name, for people.")
  var name: String?

  @Option(help: "What it may do: admin, developer or viewer; at most your own role.")
  var role: RoleArgument?

  @Flag(inversion: .prefixedNo, help: "Whether its keys are taken.")
  var active: Bool?

  @Option(help: "Only if it is still as it was with this etag.")
  var etag: String?

  func validate() throws {
    guard name != nil || role != nil || active != nil else {
      throw ValidationError("Give --name, --role, --active or --no-active.")
    }
  }

  func run(_ context: CommandContext) async throws {
    var request = UpdateServiceAccountRequest()
    request.id = account
    request.etag = etag ?? ""
    request.displayName = name
    request.role = role?.role
    request.isActive = active
    let answer = try await context.call(
      IdentityMethods.updateServiceAccount, request, for: UpdateServiceAccountResponse.self)
    try show(answer.serviceAccount, context)
  }
}

/// The command `needletail service-accounts delete`.
struct ServiceAccountsDelete: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Delete a service account and revoke its keys.")
  static var document: Document? { Document(DeleteServiceAccountResponse.self) }

  @OptionGroup var global: GlobalOptions

  @OptionGroup var confirmation: Confirmation

  @Argument(help: "Its id.")
  var account: String

  var intention: String { "Delete the service account \(account) and revoke its keys" }

  func run(_ context: CommandContext) async throws {
    var request = DeleteServiceAccountRequest()
    request.id = account
    let answer = try await context.call(
      IdentityMethods.deleteServiceAccount, request, for: DeleteServiceAccountResponse.self)
    if global.output == .json { return try context.write(answer) }
    Console.line("deleted \(account)")
  }
}

private func show(_ answer: ServiceAccount?, _ context: CommandContext) throws {
  let account = try needed(answer, "service account")
  if context.global.output == .json { return try context.write(account) }
  Console.write(
    fields([
      ("service account", account.id), ("name", account.displayName),
      ("role", word(account.role)), ("state", state(account.isActive)),
      ("created by", account.createdBy.isEmpty ? "–" : account.createdBy),
      ("created", short(account.createdAt)), ("updated", short(account.updatedAt)),
      ("etag", account.etag),
    ]))
}
