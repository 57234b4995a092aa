internal import ArgumentParser
internal import Client
internal import Messages

/// Where the key of a profile comes from.
enum KeySource {
  /// The key itself, as an option's file or a connection file holds it.
  case given(String)
  /// Somebody types it, or standard input brings it.
  case asked
  /// The server gives one for an e-mail address and a password.
  case login(PasswordLogin)

  /// The key.
  func key(for endpoint: Endpoint, _ options: CallOptions) async throws -> String {
    let address = endpoint.address
    switch self {
    case .given(let key): return key
    case .login(let login):
      let password = try await SecretInput().read("Password of \(visible(login.email))")
      return try await login.run(password, at: endpoint, options).secret
    case .asked:
      let text: String?
      if Terminal.isInteractive {
        text = Terminal.askHidden("API key for \(visible(address)): ")
      } else {
        text = String(decoding: await (try StandardInput()).rest(), as: UTF8.self)
      }
      guard let key = text?.trimmedKey else {
        throw CommandFailure(.usage, reason: "NO_KEY", "No key was given; nothing was stored.")
      }
      guard !key.contains(where: \.isWhitespace) else {
        throw CommandFailure(
          .usage, reason: "NO_KEY", "A key is one word; what was given has several.")
      }
      return key
    }
  }
}

/// The command `needletail login`.
struct LoginCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "login",
    abstract: "Check an API key and store it as a profile, which becomes the current one.",
    discussion: """
      The key is asked for, without showing it; where there is no terminal it is read from \
      standard input. With --email a password is asked for instead, and the server makes a key \
      that expires. Nothing is stored unless the server takes it. The certificates of --ca-file \
      are stored with the profile: a server's own certificate there pins that one.

      needletail login --url needletail://host:7443 --email ada@example.com
      needletail login --url needletail://host:7443 --ca-file ca.pem
      needletail login --profile staging --url staging.example.com < key.txt
      needletail login --connection-file .needletail/connection.json
      """)
  static let document = Document(fields: ["profile", "current", "path", "server", "whoami"])

  @OptionGroup var global: GlobalOptions

  @Option(help: "Your e-mail address, to log in with your password.")
  var email: String?

  @Option(help: "The organization's slug, where you belong to several.")
  var organization: String?

  @Option(help: "How long the key works: 8h, 30d; 12 hours unless given.")
  var expiresIn: TimeArgument?

  func validate() throws {
    if email == nil, organization != nil || expiresIn != nil {
      throw ValidationError("--organization and --expires-in belong to --email.")
    }
    if email != nil, global.apiKeyFile != nil {
      throw ValidationError("Give --email or --api-key-file: one of them.")
    }
  }

  func run() async throws {
    do {
      try global.written.check(Self.document)
      let environment = SettingsEnvironment.ofProcess()
      let file = try profileFile(environment)
      let stored = try file.read() ?? Profiles()
      let name = global.profile ?? environment["NEEDLETAIL_PROFILE"] ?? stored.current ?? "default"
      if let problem = Profiles.problem(withName: name) {
        throw CommandFailure(.usage, reason: "PROFILE_INVALID", problem)
      }
      var draft = try ProfileDraft(global, environment, former: stored[name])
      if let login { draft.source = .login(login) }
      let server = try draft.endpoint(with: "").endpoint
      let key = try await draft.source.key(for: server, global.callOptions)
      let found = try draft.endpoint(with: key)
      let me = try await whoAmI(at: found)
      draft.belongs(to: me)
      let content = draft.content
      try file.edit { profiles throws(ClientError) in
        profiles[name] = content
        profiles.current = name
      }
      try report(name, file, found, me)
      warn(environment)
    } catch {
      throw tell(error, global.output)
    }
  }

  private var login: PasswordLogin? {
    email.map {
      PasswordLogin(
        email: $0, organization: organization ?? "", expiresIn: expiresIn?.duration)
    }
  }

  /// Asks the server who the key is.
  private func whoAmI(at found: ResolvedEndpoint) async throws -> WhoAmIResponse {
    var endpoint = found.endpoint
    endpoint.clientName = GlobalOptions.clientName
    let connection = try Connection(to: endpoint)
    _ = try await connection.open()
    let me: WhoAmIResponse = try await connection.unary(
      IdentityMethods.whoAmI, WhoAmIRequest(), global.callOptions)
    await connection.close()
    return me
  }

  private func report(
    _ name: String, _ file: ProfileFile, _ found: ResolvedEndpoint, _ me: WhoAmIResponse
  ) throws {
    if global.output == .json {
      let told = JSONValue.object([
        .init("profile", .string(name)), .init("current", .bool(true)),
        .init("path", .string(file.path)), .init("server", .string(found.endpoint.address)),
        .init("whoami", try messageJSON(me)),
      ])
      return Console.line(global.written.chosen(of: told, Self.document).pretty)
    }
    let person = me.email.isEmpty ? me.displayName : "\(me.displayName) <\(me.email)>"
    Console.write(
      fields([
        ("profile", "\(name), the current one now"), ("server", found.endpoint.address),
        ("organization", "\(me.organizationName) (\(me.organizationSlug))"), ("user", person),
        ("role", me.role), ("api key", me.apiKeyPrefix),
        ("expires", me.apiKeyExpiresAt == nil ? "never" : short(me.apiKeyExpiresAt)),
        ("stored in", file.path),
      ]))
  }

  /// Says what will come before the profile.
  private func warn(_ environment: SettingsEnvironment) {
    let names = [
      "NEEDLETAIL_URL", "NEEDLETAIL_API_KEY", "NEEDLETAIL_CA_FILE", "NEEDLETAIL_CONNECTION_FILE",
    ]
    let set = names.filter { environment[$0] != nil }
    guard !set.isEmpty, global.output == .table else { return }
    Console.complain(
      "note: \(set.joined(separator: " and ")) in the environment comes before the current profile")
  }
}

/// A profile that is being put together.
private struct ProfileDraft {
  /// As it will be stored.
  private(set) var content: JSONValue
  var source: KeySource

  /// What the options say, else the environment, else the profile as it was; what belongs to
  /// another server than the profile's former one is left out.
  init(
    _ global: GlobalOptions, _ environment: SettingsEnvironment, former: JSONValue?
  ) throws(ClientError) {
    content = .object([])
    source = .asked
    var url = global.url
    var caFile = global.caFile
    if let path = global.connectionFile {
      try take(connectionFile: path)
    } else if let former {
      content = former
    }
    if url == nil, content["address"] == nil {
      url = environment["NEEDLETAIL_URL"]
      caFile = caFile ?? environment["NEEDLETAIL_CA_FILE"]
    }
    if let url {
      let (host, port) = try Endpoint.parse(url: url)
      let isSame = content["address"]?.text == host && content["port"] == .number("\(port)")
      if !isSame, global.connectionFile == nil { content = .object([]) }
      content.set("address", .string(host))
      content.set("port", .number("\(port)"))
    }
    guard content["address"] != nil else {
      throw wrongSetting(
        "No server is known to log in to: give --url HOST or --connection-file FILE.")
    }
    if let caFile { try pin(caFile) }
    if let key = try global.apiKeyFromFile() { source = .given(key) }
  }

  /// Takes a key, and says where it leads; empty = to the server, without one.
  mutating func endpoint(with key: String) throws(ClientError) -> ResolvedEndpoint {
    content.set("api_key", .string(key))
    return try Endpoint.resolve(
      stored: content, origin: "the profile", isAnonymous: key.isEmpty)
  }

  /// Keeps whose the key is.
  mutating func belongs(to me: WhoAmIResponse) {
    content.set("organization_id", .string(me.organizationID))
    let former = content["project_id"]?.text
    let kept = me.projects.first { $0.id == former }
    let project = kept ?? (me.projects.count == 1 ? me.projects.first : nil)
    content.set("project_id", project.map { .string($0.id) })
  }

  /// Takes what a connection file says, with the certificates and the key themselves.
  private mutating func take(connectionFile path: String) throws(ClientError) {
    let bytes = try readNeededFile(path, bytesMax: settingsFileBytesMax)
    guard let found = try? JSONValue.parse(bytes), case .object = found else {
      throw wrongSetting("\(path) does not hold a JSON object.")
    }
    for name in ["address", "port", "certificate_file", "key_file", "project_id"] {
      content.set(name, found[name])
    }
    if let file = found["ca_file"]?.text, !file.isEmpty { try pin(file) }
    if let key = found["api_key"]?.text?.trimmedKey { source = .given(key) }
  }

  /// Keeps the certificates of a file, which may be gone tomorrow.
  private mutating func pin(_ path: String) throws(ClientError) {
    let bytes = try readNeededFile(path, bytesMax: settingsFileBytesMax)
    content.set("ca_pem", .string(String(decoding: bytes, as: UTF8.self)))
    content.set("ca_file", nil)
  }
}

/// The file of the profiles.
func profileFile(_ environment: SettingsEnvironment) throws(CommandFailure) -> ProfileFile {
  guard let file = ProfileFile(in: environment) else {
    throw CommandFailure(
      .usage, reason: "SETTINGS_INVALID",
      "There is no place for profiles: set HOME or NEEDLETAIL_CONFIG.")
  }
  return file
}
