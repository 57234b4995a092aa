internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail seed`.
struct Seed: ClientCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a sample organization to look around in.",
    discussion: """
      Needs a key of a platform administrator, as `needletail up` makes it, and a server whose \
      setting environment is development. Its people get random passwords, shown once and stored \
      nowhere but as hashes.
      """)
  static let document: Document? = Document(
    fields: ["slug", "made", "organizationId", "apiKey", "people"])

  @OptionGroup var global: GlobalOptions

  @Flag(help: "Do it although the key's person has other organizations here.")
  var yes = false

  func run(_ context: CommandContext) async throws {
    try await checkEnvironment(context)
    let identity = IdentityClient(context.connection)
    let options = global.callOptions
    let own = try await identity.whoAmI(WhoAmIRequest(), options: options).organizationID
    let organizations = try await identity.listOrganizations(
      ListOrganizationsRequest(), options: options
    ).organizations
    if let there = organizations.first(where: { $0.slug == Sample.slug }) {
      return try tellThere(there.id, context)
    }
    let others = organizations.filter { $0.id != own }.map(\.slug)
    guard others.isEmpty || yes else {
      throw CommandFailure(
        .conflict, reason: "ORGANIZATIONS_THERE",
        "There are other organizations here (\(others.joined(separator: ", "))): say --yes if a "
          + "sample beside them is meant.")
    }
    var request = CreateOrganizationRequest()
    (request.name, request.slug) = (Sample.name, Sample.slug)
    request.billingEmail = Sample.people[0].email
    let made: CreateOrganizationResponse
    do throws(ClientError) {
      made = try await identity.createOrganization(request, options: options)
    } catch {
      guard error.reason == "SLUG_TAKEN" else { throw error }
      return try tellThere(nil, context)
    }
    try await fill(made, context)
  }

  /// Only a server that says what it is for is filled with samples.
  private func checkEnvironment(_ context: CommandContext) async throws {
    let health = try await ServerClient(context.connection).health(
      HealthRequest(), options: global.callOptions)
    guard health.environment == "development" else {
      throw CommandFailure(
        .conflict, reason: "NOT_DEVELOPMENT",
        "This server is not for development, as its setting environment says: it gets no samples.")
    }
  }

  private func fill(_ made: CreateOrganizationResponse, _ context: CommandContext) async throws {
    var endpoint = context.resolved.endpoint
    endpoint.apiKey = made.secret
    let connection = try Connection(to: endpoint)
    let identity = IdentityClient(connection)
    do {
      let sample = Sample(connection, endpoint, global.callOptions)
      let people = try await sample.bringPeople()
      try await sample.makeProjects(people)
      await connection.close()
      try tell(made, people, context)
    } catch {
      // A half-made one would be in the way of the next attempt; what stopped this one is told.
      _ = try? await identity.deleteOrganization(
        DeleteOrganizationRequest(slug: Sample.slug), options: global.callOptions)
      await connection.close()
      throw error
    }
  }

  // MARK: Telling

  private func tellThere(_ id: String?, _ context: CommandContext) throws {
    if global.output == .json {
      let found: [JSONValue.Member] = [
        .init("slug", .string(Sample.slug)), .init("made", .bool(false)),
        .init("organizationId", id.map { .string($0) } ?? .null),
      ]
      return context.write(JSONValue.object(found))
    }
    Console.line("The sample organization \(Sample.slug) is there already; nothing was changed.")
  }

  private func tell(
    _ made: CreateOrganizationResponse, _ people: [SamplePerson], _ context: CommandContext
  ) throws {
    let organization = try needed(made.organization, "organization")
    if global.output == .json {
      let document: [JSONValue.Member] = [
        .init("slug", .string(organization.slug)), .init("made", .bool(true)),
        .init("organizationId", .string(organization.id)), .init("apiKey", .string(made.secret)),
        .init(
          "people",
          .array(
            people.map { person in
              .object([
                .init("email", .string(person.email)), .init("role", .string(word(person.role))),
                .init("userId", .string(person.userID)),
                .init("password", .string(person.password)),
                .init("invitationToken", .string(person.token)),
              ])
            })
        ),
      ]
      return context.write(JSONValue.object(document))
    }
    Console.line("Made the sample organization \(organization.name).")
    Console.line("")
    Console.write(
      fields([
        ("organization", organization.id), ("slug", organization.slug), ("your key", made.secret),
      ]))
    Console.line("")
    var table = Table([("EMAIL", .left), ("ROLE", .left), ("PASSWORD", .left)])
    for person in people {
      table.add([
        person.email, word(person.role),
        person.hasJoined ? person.password : "has an account; invited with \(person.token)",
      ])
    }
    Console.write(table.text)
    Console.line("")
    Console.line("Key and passwords are shown this once.")
  }
}
