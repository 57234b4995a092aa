public import TLS

/// A server, and who the client is to it.
public struct Endpoint: Sendable {
  /// Name or address; the server's certificate must bear it.
  public var host: String
  /// Default 7443.
  public var port: UInt16
  /// The secret that authenticates connections.
  ///
  /// Never logged. White space around it is not part of it. Empty for a connection that may log in
  /// and little else.
  public var apiKey: String
  /// Whose certificates are trusted.
  public var trust: TLSClientSettings.Trust
  /// The certificate for servers that demand one.
  public var identity: ClientIdentity?
  /// What the client calls itself in the server's log: "needletail-swift/0.1.0".
  public var clientName: String
  /// Bytes that this side buffers a stream; default 1 MiB.
  public var streamWindowBytes: UInt64

  /// The port of a server that names none.
  public static let portDefault: UInt16 = 7443
  /// What a program that says nothing calls itself.
  public static let clientNameDefault = "needletail-swift/0.1.0 linux"
  /// ``streamWindowBytes`` unless set.
  public static let streamWindowBytesDefault: UInt64 = 1 << 20

  /// Makes an endpoint with the defaults of the protocol.
  public init(host: String, port: UInt16, apiKey: String, trust: TLSClientSettings.Trust) {
    self.host = host
    self.port = port
    self.apiKey = apiKey.trimmedKey ?? ""
    self.trust = trust
    clientName = Endpoint.clientNameDefault
    streamWindowBytes = Endpoint.streamWindowBytesDefault
  }

  /// For messages: "host:7443" or "[::1]:7443".
  public var address: String { host.utf8.contains(0x3A) ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// What the sessions of one loop share; make it on that loop.
  ///
  /// - Throws: ``ClientError`` of kind `settings` for certificates that cannot be used.
  public func makeContext() throws(ClientError) -> TLSContext {
    var settings = TLSClientSettings(trust: trust, applicationProtocols: ["needletail/1"])
    settings.identity = identity
    do throws(TLSError) {
      return try TLSContext(client: settings)
    } catch {
      throw .settings("The certificates cannot be used: \(error).")
    }
  }

  /// Reads `needletail://host:7443`; the scheme and the port may be left out.
  ///
  /// - Throws: ``ClientError`` of kind `settings`.
  public static func parse(url: String) throws(ClientError) -> (host: String, port: UInt16) {
    let invalid = ClientError.settings(
      "\"\(url)\" is not a server's address; write needletail://host:7443")
    var rest = url[...]
    let scheme = "needletail://"
    if rest.hasPrefix(scheme) { rest = rest.dropFirst(scheme.count) }
    if rest.hasSuffix("/") { rest = rest.dropLast() }
    let host: Substring
    if rest.hasPrefix("[") {
      guard let end = rest.firstIndex(of: "]") else { throw invalid }
      host = rest[rest.index(after: rest.startIndex)..<end]
      rest = rest[rest.index(after: end)...]
    } else if rest.filter({ $0 == ":" }).count > 1 {
      host = rest
      rest = ""
    } else {
      let end = rest.firstIndex(of: ":") ?? rest.endIndex
      host = rest[..<end]
      rest = rest[end...]
    }
    let forbidden: Set<Character> = ["/", "@", "?", "#", " ", "[", "]"]
    guard !host.isEmpty, !host.contains(where: forbidden.contains) else { throw invalid }
    guard !rest.isEmpty else { return (String(host), portDefault) }
    guard rest.hasPrefix(":"), let port = UInt16(rest.dropFirst()), port > 0 else { throw invalid }
    return (String(host), port)
  }
}

extension String {
  /// A key as it was meant, without the white space that a paste brings along; nil for none.
  package var trimmedKey: String? {
    var rest = self[...]
    while rest.last?.isWhitespace == true { rest.removeLast() }
    rest = rest.drop(while: \.isWhitespace)
    return rest.isEmpty ? nil : String(rest)
  }
}
