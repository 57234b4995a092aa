internal import TLS

/// What is said about an endpoint in one place; the rest is looked for elsewhere.
public struct EndpointSettings: Sendable, Equatable {
  /// `needletail://host:7443`.
  public var url: String?
  /// The secret itself.
  public var apiKey: String?
  /// PEM of the authorities to trust; the system's where nothing is said.
  public var caFile: String?
  /// The PEM itself, where it is not in a file; a server's own certificate pins that one.
  public var caPEM: String?
  /// PEM of the client's own certificate, for servers that ask for one.
  public var certificateFile: String?
  /// PEM of its private key.
  public var keyFile: String?
  /// A file that `needletail up --connection-file` wrote.
  public var connectionFile: String?
  /// The name of a stored profile.
  public var profile: String?
  /// Whether no key is wanted, from anywhere: to log in, or to accept an invitation.
  public var isAnonymous = false

  /// Says nothing.
  public init() {}
}

/// The parts of the environment that settings come from.
public struct SettingsEnvironment: Sendable {
  /// Environment variables by name.
  public var variables: [String: String]
  /// Where the search for `.needletail` begins; absolute.
  public var currentFolder: String

  /// Makes an environment, for instance for a test.
  public init(variables: [String: String], currentFolder: String) {
    self.variables = variables
    self.currentFolder = currentFolder
  }

  /// The process's own.
  public static func ofProcess() -> SettingsEnvironment {
    var variables: [String: String] = [:]
    for name in EndpointResolution.variableNames {
      variables[name] = environmentVariable(name)
    }
    return SettingsEnvironment(variables: variables, currentFolder: currentFolderPath())
  }

  /// A variable that says something.
  package subscript(name: String) -> String? {
    // An empty variable says nothing, as an absent one.
    variables[name].flatMap { $0.isEmpty ? nil : $0 }
  }
}

/// An endpoint with what its sources say of the account behind it.
public struct ResolvedEndpoint: Sendable {
  /// Where to connect.
  public var endpoint: Endpoint
  /// UUID, from a connection file or profile; empty when unknown.
  public var organizationID: String
  /// UUID of the project that is meant when none is named; empty when unknown.
  public var projectID: String
  /// The stored profile that was used; empty for none.
  public var profile: String
  /// Where each setting came from, for people: `--url`, `NEEDLETAIL_API_KEY`, a file.
  public var origins: Origins

  /// Where each setting came from.
  public struct Origins: Sendable, Equatable {
    /// The server's address.
    public var server: String
    /// The API key.
    public var apiKey: String
    /// Whose certificates are trusted; empty for the system's.
    public var trust: String
  }
}

extension Endpoint {
  /// Finds out where the server is and who the caller is.
  ///
  /// Settings are said in three places: the arguments, the environment (`NEEDLETAIL_URL`,
  /// `NEEDLETAIL_API_KEY`, `NEEDLETAIL_CA_FILE`, `NEEDLETAIL_CERTIFICATE_FILE`,
  /// `NEEDLETAIL_KEY_FILE`), and one stored place. That is the connection file or the profile that
  /// the arguments name, which then comes before the environment; else, after it, the file
  /// `NEEDLETAIL_CONNECTION_FILE`, else the profile `NEEDLETAIL_PROFILE`, else the current profile,
  /// else the connection file that `Scripts/run` wrote last in this project. A place that nobody
  /// named says nothing about another server than its own, so that its key never goes there.
  ///
  /// - Throws: ``ClientError`` of kind `settings` that names the setting and its source.
  public static func resolve(
    _ arguments: EndpointSettings, in environment: SettingsEnvironment
  ) throws(ClientError) -> ResolvedEndpoint {
    try EndpointResolution(arguments, environment).resolve()
  }

  /// What a profile, or a connection file, says by itself.
  ///
  /// - Throws: ``ClientError`` of kind `settings` that names `origin`.
  package static func resolve(
    stored content: JSONValue, origin: String, isAnonymous: Bool = false
  ) throws(ClientError) -> ResolvedEndpoint {
    var arguments = EndpointSettings()
    arguments.isAnonymous = isAnonymous
    return try EndpointResolution(
      arguments, SettingsEnvironment(variables: [:], currentFolder: "/")
    ).resolve(stored: content, origin: origin)
  }
}
