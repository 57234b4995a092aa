internal import ArgumentParser
internal import ControlPlane
internal import EventLoop
internal import Messages

/// The command `needletail keys`.
struct KeysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "Look after API keys.",
    subcommands: [
      KeysCreate.self, KeysList.self, KeysShow.self, KeysUpdate.self, KeysRevoke.self,
      KeysRotate.self, Recover.self,
    ])

  struct Recover: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make another key for the first administrator, on the database's own machine.",
      discussion: """
        The database must be running: the private one of the data folder runs with `up`. The key \
        is shown once, and kept in the data folder, where the next `up` finds it; older keys go \
        on working.
        """)
    @OptionGroup var place: DataFolderOption

    func run() async throws {
      print(
        try await Up.recoverKey(dataFolder: place.dataFolder, databaseURL: place.chosenURL))
    }
  }
}

extension TimeArgument {
  /// The point in time that is so far ahead, by this machine's clock.
  fileprivate var fromNow: Timestamp {
    Timestamp(microseconds: WallClock.microseconds() + Int64(duration / .microseconds(1)))
  }
}

/// The command `needletail keys create`.
struct KeysCreate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Make a key; its secret is shown once.")
  static var document: Document? {
    Document(ApiKey.self, in: "apiKey", of: fieldNames(of: CreateApiKeyResponse.self))
  }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "What it is for.")
  var name: String

  @Option(help: "How long it works: 12h, 90d; else for ever.")
  var expiresIn: TimeArgument?

  @Option(
    name: .customLong("scope"),
    help: "What it permits: run.get, run.* or *; may be repeated, and one is needed.")
  var scopes: [String] = []

  @Option(
    name: .customLong("from"),
    help: "Addresses that it is taken from: 10.0.0.0/8, 2001:db8::/32; may be repeated.")
  var ranges: [String] = []

  @Option(help: "Whom it acts for, by id; administrators make keys for others.")
  var user: String?

  func validate() throws {
    guard !scopes.isEmpty else {
      throw ValidationError("A key without --scope would permit nothing; give one or more.")
    }
  }

  func run(_ context: CommandContext) async throws {
    var request = CreateApiKeyRequest()
    request.name = name
    request.userID = user ?? ""
    request.scopes = scopes
    request.allowedCidrs = ranges
    request.expiresAt = expiresIn?.fromNow
    let made = try await context.call(
      IdentityMethods.createApiKey, request, for: CreateApiKeyResponse.self)
    if global.output == .json { return try context.write(made) }
    Console.write(fields(pairs(made.apiKey) + secret(made.secret)))
  }
}

/// The command `needletail keys list`.
struct KeysList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List keys, newest first: one's own, or all for administrators.")
  static var document: Document? { Document(listOf: ApiKey.self, in: "apiKeys") }

  @OptionGroup var global: GlobalOptions

  @Option(help: "Only those of this user, by id.")
  var user: String?

  @Flag(help: "Also those that were revoked or have expired.")
  var all = false

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = ListApiKeysRequest()
    request.userID = user ?? ""
    request.includeUnusable = all
    let listed = try await context.list(
      IdentityMethods.listApiKeys, request, \ListApiKeysResponse.apiKeys, limit: most.limit)

    if global.output == .json { return try context.write(listed) }
    var table = Table([
      ("ID", .left), ("KEY", .left), ("NAME", .left), ("SCOPES", .left), ("LAST USED", .left),
      ("STATE", .left),
    ])
    for key in listed.apiKeys {
      table.add([
        key.id, key.prefix, firstLine(key.name), firstLine(key.scopes.joined(separator: " ")),
        short(key.lastUsedAt), state(key),
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail keys show`.
struct KeysShow: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a key, without its secret.")
  static var document: Document? { Document(ApiKey.self, in: "apiKey", of: []) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "Its id.")
  var key: String

  func run(_ context: CommandContext) async throws {
    var request = GetApiKeyRequest()
    request.id = key
    let found = try await context.call(
      IdentityMethods.getApiKey, request, for: GetApiKeyResponse.self)
    if global.output == .json { return try context.write(found) }
    Console.write(fields(pairs(found.apiKey)))
  }
}

/// The command `needletail keys update`.
struct KeysUpdate: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Change a key; what is not given stays.")
  static var document: Document? { Document(ApiKey.self, in: "apiKey", of: []) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "Its id.")
  var key: String

  @Option(help: "What it is for.")
  var name: String?

  @Option(help: "How long it works from now: 12h, 90d; no longer than it does already.")
  var expiresIn: TimeArgument?

  @Option(name: .customLong("scope"), help: "Instead of its scopes; may be repeated.")
  var scopes: [String] = []

  @Option(name: .customLong("from"), help: "Instead of its address ranges; may be repeated.")
  var ranges: [String] = []

  @Flag(help: "Take it from anywhere.")
  var fromAnywhere = false

  @Option(help: "Only if this is still its etag.")
  var etag: String?

  func validate() throws {
    guard ranges.isEmpty || !fromAnywhere else {
      throw ValidationError("--from and --from-anywhere exclude one another.")
    }
  }

  func run(_ context: CommandContext) async throws {
    var request = UpdateApiKeyRequest()
    request.id = key
    request.etag = etag ?? ""
    request.name = name
    if !scopes.isEmpty { request.scopes = Scopes(values: scopes) }
    if !ranges.isEmpty || fromAnywhere { request.allowedCidrs = AddressRanges(values: ranges) }
    request.expiresAt = expiresIn?.fromNow
    let changed = try await context.call(
      IdentityMethods.updateApiKey, request, for: UpdateApiKeyResponse.self)
    if global.output == .json { return try context.write(changed) }
    Console.write(fields(pairs(changed.apiKey)))
  }
}

/// The command `needletail keys revoke`.
struct KeysRevoke: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "End a key for good, and its open connections within a second.")
  static var document: Document? { Document(ApiKey.self, in: "apiKey", of: []) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "Its id.")
  var key: String

  @OptionGroup var confirmation: Confirmation

  var intention: String { "Revoke the key \(key), which never works again" }

  func run(_ context: CommandContext) async throws {
    var request = RevokeApiKeyRequest()
    request.id = key
    let revoked = try await context.call(
      IdentityMethods.revokeApiKey, request, for: RevokeApiKeyResponse.self)
    if global.output == .json { return try context.write(revoked) }
    Console.write(fields(pairs(revoked.apiKey)))
  }
}

/// The command `needletail keys rotate`.
struct KeysRotate: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate",
    abstract: "Make a key that replaces another, which goes on for a while.")
  static var document: Document? {
    Document(ApiKey.self, in: "apiKey", of: fieldNames(of: RotateApiKeyResponse.self))
  }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The id of the old one.")
  var key: String

  @Option(help: "How long the old one goes on: 30m, 24h, 7d.")
  var overlap: TimeArgument?

  @Flag(help: "End the old one at once, for good.")
  var now = false

  @OptionGroup var confirmation: Confirmation

  var intention: String {
    now ? "Replace the key \(key), which ends at once" : "Replace the key \(key), which then ends"
  }

  func validate() throws {
    guard (overlap == nil) == now else {
      throw ValidationError("Say how long the old key goes on: either --overlap 24h or --now.")
    }
  }

  func run(_ context: CommandContext) async throws {
    var request = RotateApiKeyRequest()
    request.id = key
    // A part of a second must not become none, which ends the old key at once.
    let seconds = overlap.map { ($0.duration / .seconds(1)).rounded(.up) } ?? 0
    request.overlapSeconds = UInt32(clamping: Int64(seconds))
    let made = try await context.call(
      IdentityMethods.rotateApiKey, request, for: RotateApiKeyResponse.self)
    if global.output == .json { return try context.write(made) }
    let replaced = made.replaced.map { [("replaces", $0.id), ("which", state($0))] } ?? []
    Console.write(fields(pairs(made.apiKey) + replaced + secret(made.secret)))
  }
}

private func pairs(_ key: ApiKey?) -> [(String, String)] {
  guard let key else { return [] }
  return [
    ("id", key.id), ("name", key.name), ("key", key.prefix), ("user", key.userID),
    ("scopes", key.scopes.joined(separator: " ")),
    ("from", key.allowedCidrs.isEmpty ? "anywhere" : key.allowedCidrs.joined(separator: " ")),
    ("state", state(key)), ("last used", key.lastUsedAt == nil ? "never" : short(key.lastUsedAt)),
    ("created", short(key.createdAt)), ("created by", key.createdBy),
    ("from a login", key.isFromLogin ? "yes" : "no"), ("etag", key.etag),
  ]
}

private func secret(_ text: String) -> [(String, String)] {
  [("secret", text), ("", "It is shown this once: keep it where no one else can read it.")]
}

private func state(_ key: ApiKey) -> String {
  if key.revokedAt != nil { return "revoked \(short(key.revokedAt))" }
  guard let expiresAt = key.expiresAt else { return "active" }
  let isOver = expiresAt.microseconds <= WallClock.microseconds()
  return "\(isOver ? "expired" : "active until") \(short(expiresAt))"
}
