internal import COpenSSL
internal import Glibc

/// An X.509 certificate, freed with the value.
@safe struct Certificate: ~Copyable {
  let raw: OpaquePointer

  init(adopting raw: OpaquePointer) { unsafe self.raw = raw }
  deinit { unsafe X509_free(raw) }

  /// The subject in one line ("CN = name, O = organization").
  var subject: String {
    guard let text = unsafe ntl_subject(raw) else { return "" }
    defer { unsafe ntl_free(text) }
    return unsafe String(cString: text)
  }

  /// The alternative names, as "DNS:name" or "IP:address".
  var alternativeNames: [String] {
    guard let text = unsafe ntl_alternative_names(raw) else { return [] }
    defer { unsafe ntl_free(text) }
    return unsafe String(cString: text).split(separator: "\n").map(String.init)
  }

  /// The end of its validity, as text of the form "2027-01-31 12:00:00Z".
  var endText: String { unsafe timeText(X509_get0_notAfter(raw)) }

  /// The beginning of its validity, as text.
  var beginText: String { unsafe timeText(X509_get0_notBefore(raw)) }

  /// A second handle of the same certificate.
  func shared() -> Certificate {
    unsafe X509_up_ref(raw)
    return unsafe Certificate(adopting: raw)
  }

  /// Whether its end is less than so many seconds away.
  func expires(withinSeconds seconds: Int) -> Bool {
    var limit = time(nil) + seconds
    return unsafe X509_cmp_time(X509_get0_notAfter(raw), &limit) <= 0
  }

  /// Whether it begins in the future; five minutes are granted to clocks that differ.
  var isNotYetValid: Bool {
    var limit = time(nil) + 300
    return unsafe X509_cmp_time(X509_get0_notBefore(raw), &limit) > 0
  }

  /// Whether it speaks for a host name or an address.
  func covers(_ name: PeerName) -> Bool {
    switch name {
    case .host(let host): unsafe X509_check_host(raw, host, host.utf8.count, 0, nil) == 1
    case .address(let address): unsafe X509_check_ip_asc(raw, address, 0) == 1
    }
  }

  /// Whether it was signed by another certificate's key.
  func isSigned(by issuer: borrowing Certificate) -> Bool {
    guard let key = unsafe X509_get0_pubkey(issuer.raw) else { return false }
    let result = unsafe X509_verify(raw, key)
    ERR_clear_error()
    return result == 1
  }

  /// Whether a private key belongs to it.
  func matches(_ key: borrowing PrivateKey) -> Bool {
    let result = unsafe X509_check_private_key(raw, key.raw)
    ERR_clear_error()
    return result == 1
  }

  /// SHA-256 of its DER form.
  var fingerprint: [UInt8] {
    var digest = [UInt8](repeating: 0, count: Digest.byteCount)
    unsafe X509_digest(raw, EVP_sha256(), &digest, nil)
    return digest
  }

  /// Its PEM form.
  var pem: [UInt8] {
    guard let bio = unsafe BIO_new(BIO_s_mem()) else { return [] }
    defer { unsafe BIO_free(bio) }
    unsafe PEM_write_bio_X509(bio, raw)
    return unsafe contents(of: bio)
  }

  private func timeText(_ time: UnsafePointer<ASN1_TIME>?) -> String {
    guard let text = unsafe ntl_time_text(time) else { return "" }
    defer { unsafe ntl_free(text) }
    return unsafe String(cString: text)
  }
}

/// A private key, freed (and wiped) with the value.
@safe struct PrivateKey: ~Copyable {
  let raw: OpaquePointer

  init(adopting raw: OpaquePointer) { unsafe self.raw = raw }
  deinit { unsafe EVP_PKEY_free(raw) }

  /// Reads an unencrypted PEM key.
  init(pem: [UInt8]) throws(TLSError) {
    ERR_clear_error()
    let key = unsafe withMemoryBIO(pem) { unsafe ntl_read_private_key($0) }
    let errors = LibraryErrors.collect()
    if let key = unsafe key {
      unsafe raw = key
      return
    }
    guard !errors.codes.contains(where: { ntl_is_encrypted_key_error($0) == 1 }) else {
      throw TLSError(
        .keyEncrypted, "the private key is protected by a pass phrase; it must be stored without")
    }
    throw TLSError(
      .keyUnreadable, "the private key cannot be read: \(errors.text(or: "it is not PEM"))")
  }

  /// Makes a new ECDSA P-256 key.
  static func makeP256() throws(TLSError) -> PrivateKey {
    ERR_clear_error()
    guard let key = unsafe ntl_new_p256_key() else {
      throw TLSError(.libraryFailed, LibraryErrors.collect().text(or: "no key could be made"))
    }
    return unsafe PrivateKey(adopting: key)
  }

  /// Its PEM form (PKCS #8), not encrypted.
  var pem: [UInt8] {
    guard let bio = unsafe BIO_new(BIO_s_secmem()) else { return [] }
    defer { unsafe BIO_free(bio) }
    unsafe PEM_write_bio_PrivateKey(bio, raw, nil, nil, 0, nil, nil)
    return unsafe contents(of: bio)
  }
}

/// A chain of certificates, leaf first, freed with the value.
@safe struct CertificateChain: ~Copyable {
  /// OpenSSL's stack of the certificates behind the leaf.
  let issuers: OpaquePointer
  /// The first certificate.
  let leaf: Certificate

  /// Reads PEM certificates, leaf first; text between them is passed over.
  init(pem: [UInt8], unreadable reason: TLSError.Reason) throws(TLSError) {
    ERR_clear_error()
    guard let issuers = unsafe ntl_chain_new() else {
      throw TLSError(.libraryFailed, "no memory for a certificate chain")
    }
    var leaf: OpaquePointer?
    unsafe withMemoryBIO(pem) { bio in
      while let next = unsafe PEM_read_bio_X509(bio, nil, nil, nil) {
        if unsafe leaf == nil {
          unsafe leaf = next
        } else {
          unsafe ntl_chain_push(issuers, next)
          unsafe X509_free(next)
        }
      }
    }
    let errors = LibraryErrors.collect()
    guard let leaf = unsafe leaf, errors.codes.last.map({ ntl_is_end_of_pem($0) == 1 }) ?? true
    else {
      unsafe ntl_chain_free(issuers)
      if let leaf = unsafe leaf { unsafe X509_free(leaf) }
      let what = reason == .authorityUnreadable ? "authority's certificates" : "certificate chain"
      throw TLSError(
        reason, "the \(what) cannot be read: \(errors.text(or: "there is no PEM certificate"))")
    }
    unsafe self.issuers = issuers
    self.leaf = unsafe Certificate(adopting: leaf)
  }

  deinit { unsafe ntl_chain_free(issuers) }

  /// Calls a closure with each certificate, leaf first.
  func forEach<E>(_ body: (borrowing Certificate) throws(E) -> Void) throws(E) {
    try body(leaf)
    for index in 0..<(unsafe OPENSSL_sk_num(issuers)) {
      guard let raw = unsafe OPENSSL_sk_value(issuers, index) else { continue }
      let certificate = unsafe Certificate(adopting: OpaquePointer(raw))
      unsafe X509_up_ref(certificate.raw)
      try body(certificate)
    }
  }

  /// Refuses a chain with a certificate that is not valid now.
  func checkValidity() throws(TLSError) {
    try forEach { (certificate) throws(TLSError) in
      guard !certificate.expires(withinSeconds: 0) else {
        throw TLSError(
          .certificateExpired,
          "the certificate of \(certificate.subject) expired on \(certificate.endText)")
      }
      guard !certificate.isNotYetValid else {
        throw TLSError(
          .certificateNotYetValid,
          "the certificate of \(certificate.subject) is valid from \(certificate.beginText) only")
      }
    }
  }
}

/// Lends bytes to OpenSSL as a BIO for the time of a call.
func withMemoryBIO<R>(_ bytes: [UInt8], _ body: (OpaquePointer?) -> R) -> R {
  unsafe bytes.withUnsafeBytes { buffer in
    let bio = unsafe ntl_memory_bio(buffer.baseAddress, buffer.count)
    defer { unsafe BIO_free(bio) }
    return unsafe body(bio)
  }
}

/// A copy of what was written to a memory BIO.
func contents(of bio: OpaquePointer) -> [UInt8] {
  var start: UnsafePointer<UInt8>?
  let count = unsafe ntl_bio_contents(bio, &start)
  return unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
}
