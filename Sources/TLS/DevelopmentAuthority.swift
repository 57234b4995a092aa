internal import COpenSSL

/// When a certificate begins and ends, in seconds from now.
public struct CertificateValidity: Sendable {
  /// The beginning, mostly a little in the past so that clocks may differ.
  public var beginSeconds: Int
  /// The end.
  public var endSeconds: Int

  /// Makes a validity from its beginning and end, in seconds from now.
  public init(beginSeconds: Int, endSeconds: Int) {
    self.beginSeconds = beginSeconds
    self.endSeconds = endSeconds
  }

  /// From an hour ago for so many days.
  public static func days(_ count: Int) -> CertificateValidity {
    CertificateValidity(beginSeconds: -3600, endSeconds: count * 86_400)
  }
}

/// A certificate authority for one machine or team, made by the server itself.
///
/// It signs with ECDSA P-256 and SHA-256; its certificates hold what strict verifiers ask for.
@safe public struct DevelopmentAuthority: ~Copyable {
  private let certificate: Certificate
  private let key: PrivateKey

  /// Makes a new authority.
  public init(name: String, validity: CertificateValidity) throws(TLSError) {
    let key = try PrivateKey.makeP256()
    certificate = try CertificateDraft(
      name: name, validity: validity,
      extensions: [
        (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"),
        (NID_key_usage, "critical,keyCertSign,cRLSign"),
        (NID_subject_key_identifier, "hash"),
      ]
    ).signed(for: key, by: nil, with: key)
    self.key = key
  }

  /// Reads an authority that was made before; its key must belong to its certificate.
  public init(certificatePEM: [UInt8], privateKeyPEM: [UInt8]) throws(TLSError) {
    let chain = try CertificateChain(pem: certificatePEM, unreadable: .authorityUnreadable)
    let key = try PrivateKey(pem: privateKeyPEM)
    guard chain.leaf.matches(key) else {
      throw TLSError(
        .keyMismatch, "the private key does not belong to the authority \(chain.leaf.subject)")
    }
    certificate = chain.leaf.shared()
    self.key = key
  }

  /// The authority's certificate, for everybody who is to trust it.
  public var certificatePEM: [UInt8] { certificate.pem }

  /// The authority's key, for nobody else.
  public var privateKeyPEM: [UInt8] { key.pem }

  /// Whether its own certificate ends within so many seconds.
  public func expires(withinSeconds seconds: Int) -> Bool {
    certificate.expires(withinSeconds: seconds)
  }

  /// Whether it signed the first certificate of a chain.
  public func signed(_ chainPEM: [UInt8]) -> Bool {
    // An unreadable chain was signed by nobody.
    guard
      let chain = try? CertificateChain(pem: chainPEM, unreadable: .certificateUnreadable)
    else { return false }
    return chain.leaf.isSigned(by: certificate)
  }

  /// Makes a server's certificate for host names and addresses, and its key.
  public func serverIdentity(
    hosts: [String], validity: CertificateValidity
  ) throws(TLSError) -> ServerIdentity {
    guard !hosts.isEmpty else {
      throw TLSError(.settingInvalid, "a server's certificate needs at least one host")
    }
    var names: [String] = []
    for host in hosts { names.append(try alternativeName(host)) }
    return try identity(
      name: "needletail server", usage: "serverAuth", alternativeNames: names, validity: validity)
  }

  /// Makes a client's certificate, and its key.
  public func clientIdentity(
    name: String, validity: CertificateValidity
  ) throws(TLSError) -> ClientIdentity {
    try identity(name: name, usage: "clientAuth", alternativeNames: [], validity: validity)
  }

  private func identity(
    name: String, usage: String, alternativeNames: [String], validity: CertificateValidity
  ) throws(TLSError) -> ServerIdentity {
    var extensions: [(Int32, String)] = [
      (NID_basic_constraints, "critical,CA:FALSE"),
      (NID_key_usage, "critical,digitalSignature"),
      (NID_ext_key_usage, usage),
      (NID_subject_key_identifier, "hash"),
      (NID_authority_key_identifier, "keyid:always"),
    ]
    if !alternativeNames.isEmpty {
      extensions.append((NID_subject_alt_name, alternativeNames.joined(separator: ",")))
    }
    let subjectKey = try PrivateKey.makeP256()
    let leaf = try CertificateDraft(name: name, validity: validity, extensions: extensions)
      .signed(for: subjectKey, by: certificate.shared(), with: key)
    return ServerIdentity(certificateChainPEM: leaf.pem, privateKeyPEM: subjectKey.pem)
  }
}

/// What goes into a certificate before it is signed.
private struct CertificateDraft {
  var name: String
  var validity: CertificateValidity
  var extensions: [(nid: Int32, value: String)]

  /// Signs the draft by an issuer, or by itself.
  func signed(
    for subject: borrowing PrivateKey, by issuer: consuming Certificate?,
    with key: borrowing PrivateKey
  ) throws(TLSError) -> Certificate {
    ERR_clear_error()
    guard let raw = unsafe X509_new() else { throw failure() }
    let draft = unsafe Certificate(adopting: raw)
    let issuerRaw =
      switch issuer {
      case .some(let issuer): unsafe issuer.raw
      case .none: unsafe raw
      }
    guard unsafe X509_set_version(raw, 2) == 1,
      unsafe ASN1_INTEGER_set_uint64(
        X509_get_serialNumber(raw), UInt64.random(in: 1...UInt64(Int64.max))) == 1,
      unsafe X509_gmtime_adj(X509_getm_notBefore(raw), validity.beginSeconds) != nil,
      unsafe X509_gmtime_adj(X509_getm_notAfter(raw), validity.endSeconds) != nil,
      unsafe X509_NAME_add_entry_by_txt(
        X509_get_subject_name(raw), "CN", MBSTRING_UTF8, Array(name.utf8),
        Int32(name.utf8.count), -1, 0) == 1,
      unsafe X509_set_issuer_name(raw, X509_get_subject_name(issuerRaw)) == 1,
      unsafe X509_set_pubkey(raw, subject.raw) == 1
    else { throw failure() }
    for item in extensions {
      guard unsafe ntl_add_extension(raw, issuerRaw, item.nid, item.value) == 1 else {
        throw failure()
      }
    }
    guard unsafe X509_sign(raw, key.raw, EVP_sha256()) > 0 else { throw failure() }
    return draft
  }

  private func failure() -> TLSError {
    let text = LibraryErrors.collect().text(or: "no reason given")
    return TLSError(.settingInvalid, "no certificate can be made for \"\(name)\": \(text)")
  }
}

/// A host as the extension writes it; what could break out of the list is refused.
private func alternativeName(_ host: String) throws(TLSError) -> String {
  if case .address(let address) = PeerName(host) { return "IP:\(address)" }
  let isName =
    (1...253).contains(host.utf8.count)
    && host.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "*"):
        true
      default: false
      }
    }
  guard isName else {
    throw TLSError(.settingInvalid, "\"\(host)\" is not a host name or an address")
  }
  return "DNS:\(host)"
}
