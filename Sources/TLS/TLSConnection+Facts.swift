internal import COpenSSL
internal import Glibc

/// Who a peer is, by its certificate.
public struct PeerCertificate: Sendable, Equatable {
  /// The subject in one line ("CN = name").
  public let subject: String
  /// The alternative names, as "DNS:name", "IP:address", "URI:identifier" or "email:address".
  public let alternativeNames: [String]
  /// SHA-256 of the certificate's DER form, 32 bytes.
  public let fingerprint: [UInt8]
}

/// A session that a later connection can resume without a full handshake, freed with the value.
@safe public struct TLSSession: ~Copyable {
  let raw: OpaquePointer

  init(adopting raw: OpaquePointer) { unsafe self.raw = raw }
  deinit { unsafe SSL_SESSION_free(raw) }
}

extension TLSConnection {
  /// The version of TLS that was agreed on; nil before the handshake is done.
  public var version: TLSVersion? {
    guard isEstablished else { return nil }
    return unsafe TLSVersion(rawValue: String(cString: SSL_get_version(raw)))
  }

  /// The name of the cipher suite ("TLS_AES_256_GCM_SHA384"); nil before the handshake is done.
  public var cipherSuite: String? {
    guard isEstablished, let cipher = unsafe SSL_get_current_cipher(raw) else { return nil }
    return unsafe SSL_CIPHER_get_name(cipher).map { unsafe String(cString: $0) }
  }

  /// The application protocol (ALPN) that was agreed on.
  public var applicationProtocol: String? {
    var start: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    unsafe SSL_get0_alpn_selected(raw, &start, &count)
    guard count > 0 else { return nil }
    return unsafe String(
      decoding: UnsafeBufferPointer(start: start, count: Int(count)), as: UTF8.self)
  }

  /// The peer's verified certificate; nil when it gave none.
  public var peerCertificate: PeerCertificate? {
    guard isEstablished, let raw = unsafe SSL_get1_peer_certificate(raw) else { return nil }
    let certificate = unsafe Certificate(adopting: raw)
    return PeerCertificate(
      subject: certificate.subject, alternativeNames: certificate.alternativeNames,
      fingerprint: certificate.fingerprint)
  }

  /// Whether the handshake resumed an earlier session.
  public var isResumed: Bool { unsafe SSL_session_reused(raw) == 1 }

  /// Whether the handshake is done.
  public var isEstablished: Bool { unsafe SSL_is_init_finished(raw) == 1 }

  /// How many key updates the peer has sent; each costs a derivation, so they are limited by time.
  public var keyUpdateCount: Int { unsafe Int(facts.pointee.key_updates) }

  /// Reads nothing behind more key updates than `count` from the beginning on: the connection then
  /// looks as if the peer had closed it.
  public mutating func endInput(afterKeyUpdates count: Int) {
    unsafe facts.pointee.key_updates_max = UInt32(clamping: count)
  }

  /// The name of the last alert sent to the peer, close_notify apart.
  public var alertSent: String? {
    unsafe facts.pointee.has_alert_sent == 1 ? alertName(facts.pointee.alert_sent) : nil
  }

  /// The name of the last alert that the peer sent, close_notify apart.
  public var alertReceived: String? {
    unsafe facts.pointee.has_alert_received == 1 ? alertName(facts.pointee.alert_received) : nil
  }

  /// A copy of the session of a client's connection, for ``resume(_:)`` on a later one.
  ///
  /// A server of TLS 1.3 sends it behind the handshake: it is there after the first read.
  public var session: TLSSession? {
    // A copy: OpenSSL forbids to resume the session of a connection that was cut off, which is
    // when a client most wants to.
    guard let current = unsafe SSL_get_session(raw), unsafe SSL_SESSION_is_resumable(current) == 1,
      let copy = unsafe SSL_SESSION_dup(current)
    else { return nil }
    return unsafe TLSSession(adopting: copy)
  }

  /// Changes the keys of both directions, as a peer may ask at any time (TLS 1.3).
  public mutating func requestKeyUpdate() throws(TLSError) {
    ERR_clear_error()
    guard unsafe SSL_key_update(raw, SSL_KEY_UPDATE_REQUESTED) == 1 else {
      throw TLSError(.libraryFailed, LibraryErrors.collect().text(or: "no key update"))
    }
  }

  func handshakeError(_ step: ntl_step) -> TLSError {
    let code = errno
    let errors = LibraryErrors.collect()
    if let alert = alertReceived {
      return TLSError(.peerRefused, "the peer refused the handshake with the alert \(alert)")
    }
    if step == NTL_TRUNCATED || step == NTL_CLOSED {
      return TLSError(.closedInHandshake, "the peer closed the connection in the handshake")
    }
    let text = errors.text(or: systemErrorText(code))
    switch errors.handshakeReason {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      let reason = unsafe String(
        cString: X509_verify_cert_error_string(SSL_get_verify_result(raw)))
      return TLSError(.peerUnverified, "the peer's certificate is not accepted: \(reason)")
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return TLSError(.peerUnverified, "the peer gave no certificate, and one is required")
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return TLSError(.protocolNotOffered, "the peer does not offer the application protocol")
    case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_WRONG_SSL_VERSION, SSL_R_VERSION_TOO_LOW:
      return TLSError(.versionUnsupported, "the peer offers no version of TLS that is allowed")
    case nil where errors.codes.isEmpty:
      return TLSError(.systemCallFailed, "the socket failed in the handshake: \(text)")
    default:
      return TLSError(.protocolViolation, "the handshake failed: \(text)")
    }
  }

  func transferError() -> TLSError {
    let code = errno
    let errors = LibraryErrors.collect()
    if let alert = alertReceived {
      return TLSError(.peerRefused, "the peer ended the connection with the alert \(alert)")
    }
    guard !errors.codes.isEmpty else {
      return TLSError(.systemCallFailed, "the socket failed: \(systemErrorText(code))")
    }
    return TLSError(.protocolViolation, "the stream is broken: \(errors.text(or: "TLS error"))")
  }
}

private func alertName(_ code: UInt8) -> String {
  // Younger than OpenSSL's own table.
  if Int32(code) == TLS13_AD_CERTIFICATE_REQUIRED { return "certificate required" }
  let name = unsafe String(cString: SSL_alert_desc_string_long(Int32(code)))
  return name == "unknown" ? "\(code)" : name
}
