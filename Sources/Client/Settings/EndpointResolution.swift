internal import TLS

/// Puts an endpoint together from its sources.
struct EndpointResolution {
  static let variableNames = [
    "NEEDLETAIL_URL", "NEEDLETAIL_API_KEY", "NEEDLETAIL_CA_FILE", "NEEDLETAIL_CERTIFICATE_FILE",
    "NEEDLETAIL_KEY_FILE", "NEEDLETAIL_CONNECTION_FILE", "NEEDLETAIL_PROFILE",
    "XDG_CONFIG_HOME", "HOME",
  ]

  /// What one source says.
  private struct Source {
    var settings = EndpointSettings()
    var organizationID: String?
    var projectID: String?
  }

  private let arguments: EndpointSettings
  private let environment: SettingsEnvironment

  init(_ arguments: EndpointSettings, _ environment: SettingsEnvironment) {
    self.arguments = arguments
    self.environment = environment
  }

  func resolve() throws(ClientError) -> ResolvedEndpoint {
    let sources = try sources()
    func first(_ path: KeyPath<EndpointSettings, String?>) -> String? {
      sources.lazy.compactMap { $0.settings[keyPath: path] }.first
    }
    guard let url = first(\.url) else {
      throw .settings(
        "No server is known: give --url or --connection-file, set NEEDLETAIL_URL, or store a "
          + "profile.")
    }
    guard let apiKey = arguments.isAnonymous ? "" : first(\.apiKey) else {
      throw .settings("No API key is known: give --api-key-file or set NEEDLETAIL_API_KEY.")
    }
    let (host, port) = try Endpoint.parse(url: url)
    var trust = TLSClientSettings.Trust.system
    if let caFile = first(\.caFile) { trust = .authority(pem: try contents(of: caFile)) }
    var endpoint = Endpoint(host: host, port: port, apiKey: apiKey, trust: trust)
    if let certificateFile = first(\.certificateFile) {
      guard let keyFile = first(\.keyFile) else {
        throw .settings("A client's certificate needs its key: set NEEDLETAIL_KEY_FILE.")
      }
      endpoint.identity = ClientIdentity(
        certificateChainPEM: try contents(of: certificateFile),
        privateKeyPEM: try contents(of: keyFile))
    }
    return ResolvedEndpoint(
      endpoint: endpoint,
      organizationID: sources.lazy.compactMap(\.organizationID).first ?? "",
      projectID: sources.lazy.compactMap(\.projectID).first ?? "")
  }

  /// All sources, the strongest first.
  private func sources() throws(ClientError) -> [Source] {
    var sources = [Source(settings: arguments)]
    if let path = arguments.connectionFile { sources.append(try connectionFile(path)) }
    if let name = arguments.profile { sources.append(try profile(name, isNeeded: true)) }
    sources.append(variables())
    if let path = environment["NEEDLETAIL_CONNECTION_FILE"], arguments.connectionFile == nil {
      sources.append(try connectionFile(path))
    }
    if arguments.profile == nil {
      let name = environment["NEEDLETAIL_PROFILE"]
      sources.append(try profile(name ?? "default", isNeeded: name != nil))
    }
    // The last resort is not even read where another source names a server: the two would mix.
    if sources.allSatisfy({ $0.settings.url == nil }), let path = try lastConnectionFile() {
      sources.append(try connectionFile(path))
    }
    return sources
  }

  private func variables() -> Source {
    var settings = EndpointSettings()
    settings.url = environment["NEEDLETAIL_URL"]
    settings.apiKey = environment["NEEDLETAIL_API_KEY"]
    settings.caFile = environment["NEEDLETAIL_CA_FILE"]
    settings.certificateFile = environment["NEEDLETAIL_CERTIFICATE_FILE"]
    settings.keyFile = environment["NEEDLETAIL_KEY_FILE"]
    return Source(settings: settings)
  }

  // MARK: Files

  private func connectionFile(_ path: String) throws(ClientError) -> Source {
    try source(try json(path), path)
  }

  private func profile(_ name: String, isNeeded: Bool) throws(ClientError) -> Source {
    let folder =
      environment["XDG_CONFIG_HOME"] ?? environment["HOME"].map { "\($0)/.config" } ?? ""
    let path = "\(folder)/needletail/profiles.json"
    guard !folder.isEmpty, try readWholeFile(path, bytesMax: settingsFileBytesMax) != nil else {
      if !isNeeded { return Source() }
      throw .settings("The profile \(name) is asked for, but there is no \(path).")
    }
    let profiles = try json(path)
    guard let content = profiles[name] else {
      if !isNeeded { return Source() }
      throw .settings("\(path) holds no profile \(name).")
    }
    return try source(content, "\(path), profile \(name)")
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
    var source = Source()
    source.settings.apiKey = try text("api_key")
    source.settings.caFile = try text("ca_file")
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
