internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail whoami`.
struct WhoAmI: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "whoami",
    abstract: "Show who the API key belongs to, what it may do, and where settings came from.")
  static var document: Document? { Document(WhoAmIResponse.self, and: ["source"]) }

  @OptionGroup var global: GlobalOptions

  func run(_ context: CommandContext) async throws {
    let me = try await context.call(
      IdentityMethods.whoAmI, WhoAmIRequest(), for: WhoAmIResponse.self)
    let found = context.resolved
    if global.output == .json {
      var told = try context.json(me)
      told.set("source", source(found))
      return context.write(told)
    }
    var pairs = [
      ("organization", "\(me.organizationName) (\(me.organizationSlug))"),
      ("", me.organizationID),
      ("user", me.email.isEmpty ? me.displayName : "\(me.displayName) <\(me.email)>"),
      ("", me.userID),
      ("role", me.role),
      ("api key", me.apiKeyPrefix),
      ("", "from \(found.origins.apiKey)"),
      ("expires", me.apiKeyExpiresAt == nil ? "never" : short(me.apiKeyExpiresAt)),
    ]
    pairs += permissionLines(me.permissions)
    for (index, project) in me.projects.enumerated() {
      pairs.append((index == 0 ? "projects" : "", "\(project.slug)  \(project.id)"))
    }
    let trust = found.origins.trust
    pairs += [
      ("server", found.endpoint.address), ("", "from \(found.origins.server)"),
      ("trusts", trust.isEmpty ? "the system's authorities" : "certificates from \(trust)"),
      ("profile", found.profile.isEmpty ? "none" : found.profile),
    ]
    Console.write(fields(pairs))
  }

  /// A line for each kind of resource: "run  create delete get".
  private func permissionLines(_ permissions: [String]) -> [(String, String)] {
    var lines: [(resource: String, verbs: [String])] = []
    for permission in permissions.sorted() {
      let parts = permission.split(separator: ".", maxSplits: 1).map(String.init)
      if lines.last?.resource != parts.first { lines.append((parts.first ?? "", [])) }
      lines[lines.count - 1].verbs.append(contentsOf: parts.dropFirst())
    }
    return lines.enumerated().map { index, line in
      (index == 0 ? "permissions" : "", ([line.resource] + line.verbs).joined(separator: " "))
    }
  }

  /// Where the settings came from.
  private func source(_ found: ResolvedEndpoint) -> JSONValue {
    .object([
      .init("profile", .string(found.profile)),
      .init("server", .string(found.endpoint.address)),
      .init("serverFrom", .string(found.origins.server)),
      .init("apiKeyFrom", .string(found.origins.apiKey)),
      .init("trustFrom", .string(found.origins.trust)),
    ])
  }
}
