internal import ArgumentParser
internal import Client

/// The command `needletail profiles`.
struct ProfilesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profiles", abstract: "Look after the servers that `needletail login` stored.",
    subcommands: [
      ProfilesList.self, ProfilesShow.self, ProfilesUse.self, ProfilesDelete.self,
    ])
}

/// A command that works on the stored profiles and asks no server.
protocol ProfileCommand: ParsableCommand {
  var written: OutputOptions { get }

  /// What `--json FIELDS` chooses from.
  static var document: Document { get }

  func run(on file: ProfileFile, _ environment: SettingsEnvironment) throws
}

extension ProfileCommand {
  static var document: Document { ProfileSummary.document }

  func run() throws {
    do {
      try written.check(Self.document)
      let environment = SettingsEnvironment.ofProcess()
      try run(on: try profileFile(environment), environment)
    } catch {
      throw tell(error, written.output)
    }
  }
}

/// A profile as it is shown: never its key.
private struct ProfileSummary {
  static let document = Document(fields: [
    "name", "current", "server", "trust", "apiKey", "organizationId", "projectId", "path",
  ])

  let name: String
  let isCurrent: Bool
  let server: String
  let trust: String
  let apiKey: String
  let organizationID: String
  let projectID: String
  let path: String

  init(_ name: String, _ profiles: Profiles, _ file: ProfileFile) {
    let content = profiles[name] ?? .object([])
    self.name = name
    isCurrent = profiles.current == name
    let port: String? = if case .number(let digits) = content["port"] { digits } else { nil }
    let host = content["address"]?.text ?? ""
    let shown = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
    server = host.isEmpty ? "" : "\(shown):\(port ?? "\(Endpoint.portDefault)")"
    trust =
      content["ca_file"]?.text ?? (content["ca_pem"] == nil ? "system" : "stored certificates")
    apiKey = shownPrefix(ofKey: content["api_key"]?.text)
    organizationID = content["organization_id"]?.text ?? ""
    projectID = content["project_id"]?.text ?? ""
    path = file.path
  }

  var json: JSONValue {
    .object([
      .init("name", .string(name)), .init("current", .bool(isCurrent)),
      .init("server", .string(server)), .init("trust", .string(trust)),
      .init("apiKey", .string(apiKey)), .init("organizationId", .string(organizationID)),
      .init("projectId", .string(projectID)), .init("path", .string(path)),
    ])
  }

  var pairs: [(String, String)] {
    [
      ("profile", isCurrent ? "\(name), the current one" : name), ("server", server),
      ("trusts", trust), ("api key", apiKey.isEmpty ? "none: run needletail login" : apiKey),
      ("organization", organizationID), ("project", projectID), ("stored in", path),
    ]
  }

  func write(_ written: OutputOptions) {
    if written.output == .json {
      return Console.line(written.chosen(of: json, Self.document).pretty)
    }
    Console.write(fields(pairs))
  }
}

/// The beginning of a key, as servers show it; never more than a quarter of what it may be.
func shownPrefix(ofKey key: String?) -> String {
  guard let key = key?.trimmedKey else { return "" }
  return key.count >= 32 ? "\(key.prefix(8))…" : "…"
}

/// The command `needletail profiles list`.
struct ProfilesList: ProfileCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the stored profiles by their names.")

  @OptionGroup var written: OutputOptions

  func run(on file: ProfileFile, _ environment: SettingsEnvironment) throws {
    let profiles = try file.read() ?? Profiles()
    let all = profiles.names.map { ProfileSummary($0, profiles, file) }
    if written.output == .json {
      let chosen = all.map { written.chosen(of: $0.json, Self.document) }
      return Console.line(JSONValue.array(chosen).pretty)
    }
    var table = Table([
      ("", .left), ("NAME", .left), ("SERVER", .left), ("KEY", .left), ("ORGANIZATION", .left),
    ])
    for profile in all {
      table.add([
        profile.isCurrent ? "*" : "", profile.name, profile.server,
        profile.apiKey.isEmpty ? "–" : profile.apiKey, profile.organizationID,
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail profiles show`.
struct ProfilesShow: ProfileCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a profile, its key by the beginning only.")

  @OptionGroup var written: OutputOptions

  @Argument(help: "Its name; the current one unless given.", completion: .profileNames)
  var name: String?

  func run(on file: ProfileFile, _ environment: SettingsEnvironment) throws {
    let profiles = try file.read() ?? Profiles()
    let name = try known(name ?? profiles.current, in: profiles, file)
    ProfileSummary(name, profiles, file).write(written)
  }
}

/// The command `needletail profiles use`.
struct ProfilesUse: ProfileCommand {
  static let configuration = CommandConfiguration(
    commandName: "use", abstract: "Make a profile the current one.")

  @OptionGroup var written: OutputOptions

  @Argument(help: "Its name.", completion: .profileNames)
  var name: String

  func run(on file: ProfileFile, _ environment: SettingsEnvironment) throws {
    // Looked at first, so that no file is made for a name that is wrong.
    _ = try known(name, in: try file.read() ?? Profiles(), file)
    let profiles = try file.edit { profiles throws(ClientError) in
      profiles.current = name
      return profiles
    }
    ProfileSummary(name, profiles, file).write(written)
  }
}

/// The command `needletail profiles delete`.
struct ProfilesDelete: ProfileCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Delete a profile with its key, which the server goes on taking.")

  @OptionGroup var written: OutputOptions
  @OptionGroup var confirmation: Confirmation

  @Argument(help: "Its name.", completion: .profileNames)
  var name: String

  func run(on file: ProfileFile, _ environment: SettingsEnvironment) throws {
    let before = try file.read() ?? Profiles()
    _ = try known(name, in: before, file)
    try confirmation.confirm("Delete the profile \(name) and its key")
    try file.edit { profiles throws(ClientError) in
      if profiles.current == name { profiles.current = nil }
      profiles[name] = nil
    }
    if written.output == .json { return ProfileSummary(name, before, file).write(written) }
    Console.line("deleted \(name); its key still works until `needletail keys revoke`")
  }
}

/// The command `needletail logout`.
struct Logout: ProfileCommand {
  static let configuration = CommandConfiguration(
    abstract: "Forget the API key of a profile, and keep its server.",
    discussion: "The server goes on taking the key; `needletail keys revoke` ends it for good.")

  @OptionGroup var written: OutputOptions

  @Option(
    help: "The profile; NEEDLETAIL_PROFILE or the current one unless given.",
    completion: .profileNames)
  var profile: String?

  func run(on file: ProfileFile, _ environment: SettingsEnvironment) throws {
    let before = try file.read() ?? Profiles()
    let wanted = profile ?? environment["NEEDLETAIL_PROFILE"] ?? before.current
    let name = try known(wanted, in: before, file)
    let profiles = try file.edit { profiles throws(ClientError) in
      profiles[name]?.set("api_key", nil)
      return profiles
    }
    if written.output == .json { return ProfileSummary(name, profiles, file).write(written) }
    let had = before[name]?["api_key"]?.text != nil
    Console.line(had ? "logged out of \(name)" : "\(name) had no key")
  }
}

extension CompletionKind {
  /// The names of the stored profiles.
  static var profileNames: CompletionKind {
    .custom { _, _, _ in
      // A shell that completes has no place for an error.
      (try? ProfileFile(in: .ofProcess())?.read())?.names ?? []
    }
  }
}

/// The name of a profile that there is.
private func known(
  _ name: String?, in profiles: Profiles, _ file: ProfileFile
) throws(CommandFailure) -> String {
  let all = profiles.names.isEmpty ? "none" : profiles.names.joined(separator: ", ")
  guard let name else {
    throw CommandFailure(
      .notFound, reason: "PROFILE_UNKNOWN", "No profile is the current one; there are: \(all).")
  }
  guard profiles[name] != nil else {
    throw CommandFailure(
      .notFound, reason: "PROFILE_UNKNOWN",
      "\(file.path) holds no profile \(name); there are: \(all).")
  }
  return name
}
