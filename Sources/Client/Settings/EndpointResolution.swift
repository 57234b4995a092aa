internal import TLS

/// Puts an endpoint together from its sources.
struct EndpointResolution {
  static let variableNames = [
    "NEEDLETAIL_URL", "NEEDLETAIL_API_KEY", "NEEDLETAIL_CA_FILE", "NEEDLETAIL_CERTIFICATE_FILE",
    "NEEDLETAIL_KEY_FILE", "NEEDLETAIL_CONNECTION_FILE", "NEEDLETAIL_PROFILE", "NEEDLETAIL_CONFIG",
    "XDG_CONFIG_HOME", "HOME",
  ]

  /// What one source says.
  private struct Source {
    var settings = EndpointSettings()
    var organizationID: String?
    var projectID: String?
    /// The name of the profile that this is.
    var profile: String?
    /// Where it is said, for people; by setting where each has a name of its own.
    var origin = ""
    var names: [KeyPath<EndpointSettings, String?>: String] = [:]

    func origin(of path: KeyPath<EndpointSettings, String?>) -> String { names[path] ?? origin }
  }

  private let arguments: EndpointSettings
  private let environment: SettingsEnvironment

  init(_ arguments: EndpointSettings, _ environment: SettingsEnvironment) {
    self.arguments = arguments
    self.environment = environment
  }

  func resolve() throws(ClientError) -> ResolvedEndpoint {
    try resolve(try sources())
  }

  private func resolve(_ sources: [Source]) throws(ClientError) -> ResolvedEndpoint {
    func first(_ path: KeyPath<EndpointSettings, String?>) -> (value: String, source: Source)? {
      for source in sources {
        if let value = source.settings[keyPath: path] { return (value, source) }
      }
      return nil
    }
    guard let url = first(\.url) else {
      throw .settings(
        "No server is known: run `needletail login --url HOST`, or give --url or "
          + "--connection-file, or set NEEDLETAIL_URL.")
    }
    let apiKey = arguments.isAnonymous ? nil : first(\.apiKey)
    guard apiKey != nil || arguments.isAnonymous else {
      throw .settings(
        "No API key is known: run `needletail login`, or give --api-key-file, or set "
          + "NEEDLETAIL_API_KEY.")
    }
    let (host, port) = try Endpoint.parse(url: url.value)
    let (trust, trustOrigin) = try trust(of: sources)
    var endpoint = Endpoint(host: host, port: port, apiKey: apiKey?.value ?? "", trust: trust)
    if let certificateFile = first(\.certificateFile) {
      guard let keyFile = first(\.keyFile) else {
        throw .settings("A client's certificate needs its key: set NEEDLETAIL_KEY_FILE.")
      }
      endpoint.identity = ClientIdentity(
        certificateChainPEM: try contents(of: certificateFile.value),
        privateKeyPEM: try contents(of: keyFile.value))
    }
    return ResolvedEndpoint(
      endpoint: endpoint,
      organizationID: sources.lazy.compactMap(\.organizationID).first ?? "",
      projectID: sources.lazy.compactMap(\.projectID).first ?? "",
      profile: sources.lazy.compactMap(\.profile).first ?? "",
      origins: ResolvedEndpoint.Origins(
        server: url.source.origin(of: \.url), apiKey: apiKey?.source.origin(of: \.apiKey) ?? "",
        trust: trustOrigin))
  }

  private func trust(
    of sources: [Source]
  ) throws(ClientError) -> (TLSClientSettings.Trust, origin: String) {
    for source in sources {
      if let file = source.settings.caFile {
        return (.authority(pem: try contents(of: file)), source.origin(of: \.caFile))
      }
      if let pem = source.settings.caPEM {
        return (.authority(pem: Array(pem.utf8)), source.origin(of: \.caPEM))
      }
    }
    return (.system, "")
  }

  /// What one stored place says, and nothing else.
  func resolve(stored content: JSONValue, origin: String) throws(ClientError) -> ResolvedEndpoint {
    try resolve([try source(content, origin)])
  }

  /// All sources, the strongest first: at most one of them is stored.
  private func sources() throws(ClientError) -> [Source] {
    guard arguments.connectionFile == nil || arguments.profile == nil else {
      throw .settings("A connection file and a profile exclude one another: give one of them.")
    }
    let given = givenArguments()
    let variables = variables()
    if let path = arguments.connectionFile {
      return [given, try connectionFile(path), variables]
    }
    if let name = arguments.profile { return [given, try namedProfile(name), variables] }
    if let path = environment["NEEDLETAIL_CONNECTION_FILE"] {
      return [given, variables, try connectionFile(path)]
    }
    if let name = environment["NEEDLETAIL_PROFILE"] {
      return [given, variables, try namedProfile(name)]
    }
    return [given, variables] + (try unnamed(unless: given.settings.url ?? variables.settings.url))
  }

  /// The stored place that is meant when nobody names one; none where `url` is another server.
  private func unnamed(unless url: String?) throws(ClientError) -> [Source] {
    var found: Source?
    if let file = ProfileFile(in: environment), let profiles = try file.read(),
      let name = profiles.current, let content = profiles[name]
    {
      found = try profile(name, content, file)
    } else if url == nil, let path = try lastConnectionFile() {
      found = try connectionFile(path)
    }
    guard let found else { return [] }
    guard let url else { return [found] }
    guard let own = found.settings.url, try Endpoint.parse(url: own) == Endpoint.parse(url: url)
    else { return [] }
    return [found]
  }

  private func givenArguments() -> Source {
    var source = Source(settings: arguments, origin: "arguments")
    source.settings.apiKey = arguments.apiKey?.trimmedKey
    source.names = [\.url: "--url", \.apiKey: "--api-key-file", \.caFile: "--ca-file"]
    return source
  }

  private func variables() -> Source {
    var source = Source(origin: "the environment")
    let paths: [(WritableKeyPath<EndpointSettings, String?>, String)] = [
      (\.url, "NEEDLETAIL_URL"), (\.apiKey, "NEEDLETAIL_API_KEY"), (\.caFile, "NEEDLETAIL_CA_FILE"),
      (\.certificateFile, "NEEDLETAIL_CERTIFICATE_FILE"), (\.keyFile, "NEEDLETAIL_KEY_FILE"),
    ]
    for (path, name) in paths {
      source.settings[keyPath: path] = environment[name]
      source.names[path] = name
    }
    source.settings.apiKey = source.settings.apiKey?.trimmedKey
    return source
  }

  // MARK: Files

  private func connectionFile(_ path: String) throws(ClientError) -> Source {
    try source(try json(path), path)
  }

  private func namedProfile(_ name: String) throws(ClientError) -> Source {
    guard let file = ProfileFile(in: environment) else {
      throw .settings(
        "The profile \(name) is asked for, but neither HOME nor NEEDLETAIL_CONFIG is set.")
    }
    guard let profiles = try file.read() else {
      throw .settings("The profile \(name) is asked for, but there is no \(file.path).")
    }
    guard let content = profiles[name] else {
      let known = profiles.names.isEmpty ? "none" : profiles.names.joined(separator: ", ")
      throw .settings("\(file.path) holds no profile \(name); there are: \(known).")
    }
    return try profile(name, content, file)
  }

  private func profile(
    _ name: String, _ content: JSONValue, _ file: ProfileFile
  ) throws(ClientError) -> Source {
    var source = try source(content, "\(file.path), profile \(name)")
    source.profile = name
    return source
  }

  /// What `Scripts/run` left in the current folder's project: the first folder upwards with a
  /// `.needletail`.
  private func lastConnectionFile() throws(ClientError) -> String? {
    var folder = environment.currentFolder
    while true {
      let pointer = "\(folder)/.needletail/last-connection-file"
      if let path = try readWholeFile(pointer, bytesMax: settingsFileBytesMax).map(firstLine),
        !path.isEmpty,
        try readWholeFile(path, bytesMax: settingsFileBytesMax) != nil
      {
        return path
      }
      let own = "\(folder)/.needletail/connection.json"
      if try readWholeFile(own, bytesMax: settingsFileBytesMax) != nil { return own }
      guard let end = folder.lastIndex(of: "/"), folder != "/" else { return nil }
      folder = String(folder[..<end])
    }
  }

  private func firstLine(_ bytes: [UInt8]) -> String {
    String(decoding: bytes.prefix { $0 != 0x0A && $0 != 0x0D }, as: UTF8.self)
  }

  private func json(_ path: String) throws(ClientError) -> JSONValue {
    let bytes = try contents(of: path)
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue.parse(bytes)
    } catch {
      throw .settings("\(path) is not JSON: \(error).")
    }
    guard case .object = value else { throw .settings("\(path) does not hold a JSON object.") }
    return value
  }

  private func contents(of path: String) throws(ClientError) -> [UInt8] {
    guard let bytes = try readWholeFile(path, bytesMax: settingsFileBytesMax) else {
      throw .settings("There is no file \(path).")
    }
    return bytes
  }

  private func source(_ object: JSONValue, _ origin: String) throws(ClientError) -> Source {
    func text(_ key: String) throws(ClientError) -> String? {
      switch object[key] {
      case nil, .null: return nil
      case .string(let text): return text.isEmpty ? nil : text
      default: throw .settings("\(origin): \(key) must be a string.")
      }
    }
    var source = Source(origin: origin)
    source.settings.apiKey = try text("api_key")?.trimmedKey
    source.settings.caFile = try text("ca_file")
    source.settings.caPEM = try text("ca_pem")
    source.settings.certificateFile = try text("certificate_file")
    source.settings.keyFile = try text("key_file")
    source.organizationID = try text("organization_id")
    source.projectID = try text("project_id")
    if let address = try text("address") {
      let isBare = address.filter({ $0 == ":" }).count > 1 && !address.hasPrefix("[")
      source.settings.url =
        "\(isBare ? "[\(address)]" : address):\(try port(of: object, origin))"
    }
    return source
  }

  private func port(of object: JSONValue, _ origin: String) throws(ClientError) -> UInt16 {
    switch object["port"] {
    case nil, .null: return Endpoint.portDefault
    case .number(let digits):
      guard let port = UInt16(digits), port > 0 else { break }
      return port
    default: break
    }
    throw .settings("\(origin): port must be a number from 1 to 65535.")
  }
}
