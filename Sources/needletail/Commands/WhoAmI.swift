internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail whoami`.
struct WhoAmI: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "whoami", abstract: "Show who the API key belongs to and what it may do.")

  @OptionGroup var global: GlobalOptions

  func run(_ context: CommandContext) async throws {
    let me = try await context.call(
      IdentityMethods.whoAmI, WhoAmIRequest(), for: WhoAmIResponse.self)
    if global.output == .json { return try context.write(me) }
    var pairs = [
      ("organization", "\(me.organizationName) (\(me.organizationSlug))"),
      ("", me.organizationID),
      ("user", me.email.isEmpty ? me.displayName : "\(me.displayName) <\(me.email)>"),
      ("", me.userID),
      ("role", me.role),
      ("api key", me.apiKeyPrefix),
      ("expires", me.apiKeyExpiresAt == nil ? "never" : short(me.apiKeyExpiresAt)),
      ("permissions", me.permissions.joined(separator: " ")),
    ]
    for (index, project) in me.projects.enumerated() {
      pairs.append((index == 0 ? "projects" : "", "\(project.slug)  \(project.id)"))
    }
    Console.write(fields(pairs))
  }
}
