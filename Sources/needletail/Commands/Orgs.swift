internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail orgs`.
struct Orgs: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look after organizations: the key's own, and those that its person belongs to.",
    subcommands: [
      OrgsShow.self, OrgsUpdate.self, OrgsList.self, OrgsCreate.self, OrgsDelete.self,
      OrgsUndelete.self,
    ])
}

/// The command `needletail orgs show`.
struct OrgsShow: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show the organization, its plan and its bounds.")
  static var document: Document? { Document(Organization.self) }

  @OptionGroup var global: GlobalOptions

  func run(_ context: CommandContext) async throws {
    let answer = try await context.call(
      IdentityMethods.getOrganization, GetOrganizationRequest(),
      for: GetOrganizationResponse.self)
    try show(try needed(answer.organization, "organization"), context)
  }
}

/// The command `needletail orgs update`.
struct OrgsUpdate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Change the organization: only what is given.")
  static var document: Document? { Document(Organization.self) }

  @OptionGroup var global: GlobalOptions

  @Option(help: "Its name, for people.")
  var name: String?

  @Option(help: "Its slug: lower-case letters, digits and dashes.")
  var slug: String?

  @Option(help: "Where invoices go.")
  var billingEmail: String?

  @Option(help: "Its settings: a JSON object, or @FILE that holds one.")
  var settings: String?

  @Option(help: "Only if it is still as it was with this etag.")
  var etag: String?

  func validate() throws {
    guard name != nil || slug != nil || billingEmail != nil || settings != nil else {
      throw ValidationError("Give --name, --slug, --billing-email or --settings.")
    }
  }

  func run(_ context: CommandContext) async throws {
    var request = UpdateOrganizationRequest()
    request.etag = etag ?? ""
    request.name = name
    request.slug = slug
    request.billingEmail = billingEmail
    request.settingsJSON = try settings.map(settingsText)
    let answer = try await context.call(
      IdentityMethods.updateOrganization, request, for: UpdateOrganizationResponse.self)
    try show(try needed(answer.organization, "organization"), context)
  }
}

/// The largest file of settings, in bytes; the server takes less.
private let settingsFileMax = 1 << 20

/// Settings as they were given, or what the file holds that "@FILE" names.
func settingsText(_ argument: String) throws -> String {
  guard argument.hasPrefix("@") else { return argument }
  let bytes = try readNeededFile(String(argument.dropFirst()), bytesMax: settingsFileMax)
  return String(decoding: bytes, as: UTF8.self)
}

func show(_ organization: Organization, _ context: CommandContext) throws {
  if context.global.output == .json { return try context.write(organization) }
  Console.write(fields(pairs(organization)))
}

/// An organization's fields, for people.
func pairs(_ organization: Organization) -> [(String, String)] {
  let bound = { (most: Int64) in most == 0 ? "no bound" : "at most \(most)" }
  return [
    ("organization", organization.id), ("name", organization.name),
    ("slug", organization.slug), ("billing email", organization.billingEmail),
    ("plan", organization.plan), ("status", word(organization.status)),
    ("members", bound(organization.maxUsers)), ("models", bound(organization.maxModels)),
    ("created", short(organization.createdAt)), ("settings", organization.settingsJSON),
    ("etag", organization.etag),
  ]
}

private func word(_ status: SubscriptionStatus) -> String {
  status.name.replacing("SUBSCRIPTION_STATUS_", with: "").lowercased()
}
