internal import COpenSSL

/// What the connections of one loop share: certificate, settings and ticket keys.
///
/// Each loop makes its own from Sendable values, so that loops share nothing. A renewed certificate
/// is a new context for new connections; those that are open keep theirs alive until they end.
@safe public final class TLSContext {
  /// Whether connections accept or connect.
  enum Role { case server, client }

  let raw: OpaquePointer
  let role: Role

  /// Makes a server's context.
  ///
  /// - Throws: ``TLSError`` that names what is wrong with the pair or the settings.
  public init(server identity: ServerIdentity, settings: TLSSettings) throws(TLSError) {
    unsafe raw = try TLSContext.make(
      TLS_server_method(), settings.minimumVersion, .tls13, groups: settings.groups)
    role = .server
    let protocols = try encodeProtocols(settings.applicationProtocols)
    ERR_clear_error()
    guard unsafe ntl_context_serve(raw, protocols, UInt32(protocols.count)) == 1 else {
      throw TLSContext.settingRefused("the application protocols")
    }
    unsafe SSL_CTX_set_timeout(raw, TLSSettings.ticketLifetimeSeconds)
    try use(identity)
    if let authority = settings.clientAuthorityPEM {
      try trust(authority)
      unsafe ntl_context_require_client(raw)
    }
    // A session made under another client authority is not resumed here.
    let scope = Digest.sha256((settings.clientAuthorityPEM ?? []) + Array("needletail".utf8))
    unsafe SSL_CTX_set_session_id_context(raw, scope, UInt32(scope.count))
    try setTicketKeys(settings.ticketKeys)
  }

  /// Makes a client's context.
  ///
  /// - Throws: ``TLSError`` that names what is wrong with the trust or the identity.
  public init(client settings: TLSClientSettings) throws(TLSError) {
    unsafe raw = try TLSContext.make(
      TLS_client_method(), settings.minimumVersion, settings.maximumVersion,
      groups: settings.groups)
    role = .client
    let protocols = try encodeProtocols(settings.applicationProtocols)
    ERR_clear_error()
    guard unsafe ntl_context_offer(raw, protocols, UInt32(protocols.count)) == 1 else {
      throw TLSContext.settingRefused("the application protocols")
    }
    unsafe SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nil)
    switch settings.trust {
    case .system:
      guard unsafe SSL_CTX_set_default_verify_paths(raw) == 1 else {
        throw TLSError(.authorityUnreadable, "the system's authorities cannot be read")
      }
    case .authority(let pem):
      try trust(pem)
    }
    if let identity = settings.identity { try use(identity) }
  }

  deinit { unsafe SSL_CTX_free(raw) }

  /// Replaces the secrets that seal session tickets, for connections that begin from now on.
  ///
  /// - Throws: ``TLSError`` `settingInvalid`; the former keys stay.
  public func setTicketKeys(_ keys: TicketKeys?) throws(TLSError) {
    let secrets = keys?.secrets ?? []
    let bytes = secrets.flatMap { $0 }
    precondition(bytes.count == secrets.count * MemoryLayout<ntl_ticket_key>.size)
    let result = unsafe bytes.withUnsafeBytes {
      unsafe ntl_context_set_ticket_keys(
        raw, $0.baseAddress?.assumingMemoryBound(to: ntl_ticket_key.self), secrets.count)
    }
    guard result == 1 else { throw TLSContext.settingRefused("the ticket keys") }
    unsafe SSL_CTX_set_num_tickets(raw, secrets.isEmpty ? 0 : 1)
  }

  private static func make(
    _ method: OpaquePointer?, _ minimum: TLSVersion, _ maximum: TLSVersion, groups: String
  ) throws(TLSError) -> OpaquePointer {
    ERR_clear_error()
    guard let context = unsafe SSL_CTX_new(method) else {
      throw TLSError(.libraryFailed, LibraryErrors.collect().text(or: "no TLS context"))
    }
    guard unsafe ntl_context_prepare(context, minimum.number, maximum.number, groups) == 1 else {
      unsafe SSL_CTX_free(context)
      throw settingRefused("the version or the groups \"\(groups)\"")
    }
    return unsafe context
  }

  private func use(_ identity: ServerIdentity) throws(TLSError) {
    let chain = try CertificateChain(
      pem: identity.certificateChainPEM, unreadable: .certificateUnreadable)
    let key = try PrivateKey(pem: identity.privateKeyPEM)
    guard chain.leaf.matches(key) else {
      throw TLSError(
        .keyMismatch, "the private key does not belong to the certificate of \(chain.leaf.subject)")
    }
    try chain.checkValidity()
    ERR_clear_error()
    guard unsafe ntl_context_use(raw, chain.leaf.raw, key.raw, chain.issuers) == 1 else {
      let text = LibraryErrors.collect().text(or: "its kind is not usable")
      throw TLSError(
        .certificateUnacceptable, "the certificate of \(chain.leaf.subject) is refused: \(text)")
    }
  }

  private func trust(_ authority: [UInt8]) throws(TLSError) {
    let chain = try CertificateChain(pem: authority, unreadable: .authorityUnreadable)
    guard let store = unsafe SSL_CTX_get_cert_store(raw) else {
      throw TLSError(.libraryFailed, "no certificate store")
    }
    let context = unsafe raw
    let role = role
    chain.forEach { certificate in
      unsafe X509_STORE_add_cert(store, certificate.raw)
      // Servers tell clients whose certificates they take.
      if role == .server { unsafe SSL_CTX_add_client_CA(context, certificate.raw) }
    }
    // A client may trust one server's own certificate, without its issuer.
    if role == .client { unsafe X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN)) }
    ERR_clear_error()
  }

  private static func settingRefused(_ what: String) -> TLSError {
    TLSError(
      .settingInvalid,
      "OpenSSL refuses \(what): \(LibraryErrors.collect().text(or: "no reason given"))")
  }
}

/// The wire form of an ALPN list: each name behind its length.
private func encodeProtocols(_ protocols: [String]) throws(TLSError) -> [UInt8] {
  var bytes: [UInt8] = []
  for name in protocols {
    guard (1...255).contains(name.utf8.count) else {
      throw TLSError(.settingInvalid, "the application protocol \"\(name)\" is not 1 to 255 bytes")
    }
    bytes.append(UInt8(name.utf8.count))
    bytes += name.utf8
  }
  guard bytes.count <= 256 else {
    throw TLSError(.settingInvalid, "the application protocols take more than 256 bytes")
  }
  return bytes
}

extension TLSVersion {
  /// The number that stands for it on the wire.
  fileprivate var number: Int32 { self == .tls13 ? TLS1_3_VERSION : TLS1_2_VERSION }
}
