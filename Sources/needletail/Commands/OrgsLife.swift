internal import ArgumentParser
internal import Messages

/// The command `needletail orgs list`.
struct OrgsList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the organizations that the key's person belongs to.")
  static var document: Document? {
    Document(listOf: OrganizationSummary.self, in: "organizations")
  }

  @OptionGroup var global: GlobalOptions

  func run(_ context: CommandContext) async throws {
    let answer = try await context.call(
      IdentityMethods.listOrganizations, ListOrganizationsRequest(),
      for: ListOrganizationsResponse.self)
    if global.output == .json { return try context.write(answer) }
    var table = Table([("ID", .left), ("SLUG", .left), ("NAME", .left), ("ROLE", .left)])
    for organization in answer.organizations {
      table.add([
        organization.id, organization.slug, firstLine(organization.name), organization.role,
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail orgs create`.
struct OrgsCreate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Make an organization that you administer; your key in it is shown once.",
    discussion: """
      Only platform administrators may, unless the server's setting organization-creation lets \
      everybody.
      """)
  static var document: Document? {
    Document(
      Organization.self, in: "organization", of: fieldNames(of: CreateOrganizationResponse.self))
  }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "Its name, for people.")
  var name: String

  @Option(help: "Its slug: lower-case letters, digits and dashes; nobody else's.")
  var slug: String

  @Option(help: "Where invoices go; else your own address.")
  var billingEmail: String?

  @Option(help: "Its settings: a JSON object, or @FILE that holds one.")
  var settings: String?

  func run(_ context: CommandContext) async throws {
    var request = CreateOrganizationRequest()
    request.name = name
    request.slug = slug
    request.billingEmail = billingEmail ?? ""
    request.settingsJSON = try settings.map(settingsText) ?? ""
    let made = try await context.call(
      IdentityMethods.createOrganization, request, for: CreateOrganizationResponse.self)
    if global.output == .json { return try context.write(made) }
    Console.write(
      fields(
        pairs(try needed(made.organization, "organization")) + [
          ("key", made.apiKeyID), ("secret", made.secret),
          ("", "It is shown this once: keep it where no one else can read it."),
        ]))
  }
}

/// The command `needletail orgs delete`.
struct OrgsDelete: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Delete the key's organization and stop all its keys.",
    discussion: """
      One of its administrators who has a password brings it back for 30 days, with `needletail \
      orgs undelete`.
      """)
  static var document: Document? { Document(DeleteOrganizationResponse.self) }

  @OptionGroup var global: GlobalOptions
  @OptionGroup var confirmation: Confirmation

  @Argument(help: "Its slug, so that no other is meant.")
  var slug: String

  var intention: String { "Delete the organization \(slug) and stop all its keys" }

  func run(_ context: CommandContext) async throws {
    let answer = try await context.call(
      IdentityMethods.deleteOrganization, DeleteOrganizationRequest(slug: slug),
      for: DeleteOrganizationResponse.self)
    if global.output == .json { return try context.write(answer) }
    Console.line("deleted \(slug); it is gone for good on \(short(answer.purgeAfter))")
  }
}

/// The command `needletail orgs undelete`.
struct OrgsUndelete: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "undelete",
    abstract: "Bring a deleted organization back, as one of its administrators.",
    discussion: """
      No API key is used: those of the organization are not taken. The password is asked for, or \
      is the first line of standard input.
      """)
  static var document: Document? { Document(Organization.self) }

  @OptionGroup var global: GlobalOptions
  var isAnonymous: Bool { true }

  @Argument(help: "Its slug.")
  var slug: String

  @Option(help: "The address of the administrator.")
  var email: String

  func run(_ context: CommandContext) async throws {
    var request = UndeleteOrganizationRequest()
    request.slug = slug
    request.email = email
    request.password = try await SecretInput().read("Password")
    let answer = try await context.call(
      IdentityMethods.undeleteOrganization, request, for: UndeleteOrganizationResponse.self)
    try show(try needed(answer.organization, "organization"), context)
  }
}
