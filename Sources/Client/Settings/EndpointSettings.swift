internal import TLS

/// What is said about an endpoint in one place; the rest is looked for elsewhere.
public struct EndpointSettings: Sendable, Equatable {
  /// `needletail://host:7443`.
  public var url: String?
  /// The secret itself.
  public var apiKey: String?
  /// PEM of the authorities to trust; the system's where nothing is said.
  public var caFile: String?
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

  subscript(name: String) -> String? {
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
}

extension Endpoint {
  /// Finds out where the server is and who the caller is.
  ///
  /// Each setting is taken from the first place that has it: the arguments, with the connection
  /// file or the profile that they name; the environment (`NEEDLETAIL_URL`, `NEEDLETAIL_API_KEY`,
  /// `NEEDLETAIL_CA_FILE`, `NEEDLETAIL_CERTIFICATE_FILE`, `NEEDLETAIL_KEY_FILE`); the file that
  /// `NEEDLETAIL_CONNECTION_FILE` names; the profile `NEEDLETAIL_PROFILE`, else `default`, in
  /// `~/.config/needletail/profiles.json`; the connection file that `Scripts/run` wrote last in
  /// this project.
  ///
  /// - Throws: ``ClientError`` of kind `settings` that names the setting and its source.
  public static func resolve(
    _ arguments: EndpointSettings, in environment: SettingsEnvironment
  ) throws(ClientError) -> ResolvedEndpoint {
    try EndpointResolution(arguments, environment).resolve()
  }
}
