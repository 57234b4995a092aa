internal import COpenSSL
internal import Glibc

/// The folder with a development authority and the server certificate it signed.
///
/// Holds `ca.pem`, `ca.key`, `server.pem` and `server.key`; keys are readable by their owner only.
public struct DevelopmentCertificates: Sendable {
  /// The authority's certificate, which clients are given to trust.
  public let authorityFile: String
  /// The server's certificate chain.
  public let certificateFile: String
  /// The server's private key.
  public let keyFile: String
  /// The server's pair, ready for a context.
  public let identity: ServerIdentity

  /// Names and addresses that every certificate speaks for.
  public static let loopback = ["localhost", "127.0.0.1", "::1"]
  /// How long an authority is valid, in days.
  public static let authorityDays = 3650
  /// How long a server's certificate is valid, in days; some verifiers refuse more than 398.
  public static let serverDays = 397
  /// A certificate that ends sooner is made anew, in days.
  public static let renewalDays = 30

  /// Makes what is missing in a folder: the authority, and a server certificate for the loopback
  /// addresses and the given hosts.
  ///
  /// A valid authority is kept. The server's certificate is renewed when it ends within
  /// ``renewalDays``, lacks one of the hosts, or comes from another authority; its former hosts
  /// stay in it.
  ///
  /// - Throws: ``TLSError`` that names the file; an authority that cannot be read is not replaced.
  public static func prepare(
    in folder: String, hosts: [String]
  ) throws(TLSError) -> DevelopmentCertificates {
    let files = Files(folder: folder)
    try makeFolder(folder)
    let authority = try readOrMakeAuthority(files)
    let former = try readServer(files, authority)
    var wanted = loopback + hosts.filter { !loopback.contains($0) }
    if let former, former.isLasting, wanted.allSatisfy(former.hosts.contains) {
      return DevelopmentCertificates(files, former.identity)
    }
    wanted += (former?.hosts ?? []).filter { !wanted.contains($0) }
    let identity = try authority.serverIdentity(hosts: wanted, validity: .days(serverDays))
    try writeFile(files.serverKey, identity.privateKeyPEM, mode: 0o600)
    try writeFile(files.server, identity.certificateChainPEM, mode: 0o644)
    return DevelopmentCertificates(files, identity)
  }

  private struct Former {
    let identity: ServerIdentity
    let hosts: [String]
    let isLasting: Bool
  }

  private struct Files {
    let folder: String
    var authority: String { folder + "/ca.pem" }
    var authorityKey: String { folder + "/ca.key" }
    var server: String { folder + "/server.pem" }
    var serverKey: String { folder + "/server.key" }
  }

  private init(_ files: Files, _ identity: ServerIdentity) {
    authorityFile = files.authority
    certificateFile = files.server
    keyFile = files.serverKey
    self.identity = identity
  }

  private static func readOrMakeAuthority(
    _ files: Files
  ) throws(TLSError) -> DevelopmentAuthority {
    guard let certificate = try readFile(files.authority),
      let key = try readFile(files.authorityKey)
    else { return try makeAuthority(files) }
    do {
      let authority = try DevelopmentAuthority(certificatePEM: certificate, privateKeyPEM: key)
      if !authority.expires(withinSeconds: renewalDays * 86_400) { return authority }
    } catch {
      throw TLSError(error.reason, "\(files.authority) and \(files.authorityKey): \(error.detail)")
    }
    return try makeAuthority(files)
  }

  private static func makeAuthority(_ files: Files) throws(TLSError) -> DevelopmentAuthority {
    // A number in the name tells authorities of several machines apart in one trust store.
    let number = UInt32.random(in: .min ... .max)
    let authority = try DevelopmentAuthority(
      name: "Needletail development authority \(String(number, radix: 16))",
      validity: .days(authorityDays))
    try writeFile(files.authorityKey, authority.privateKeyPEM, mode: 0o600)
    try writeFile(files.authority, authority.certificatePEM, mode: 0o644)
    return authority
  }

  /// The present pair; nil when there is none, or none that could be kept in part.
  private static func readServer(
    _ files: Files, _ authority: borrowing DevelopmentAuthority
  ) throws(TLSError) -> Former? {
    guard let chainPEM = try readFile(files.server), let keyPEM = try readFile(files.serverKey),
      authority.signed(chainPEM)
    else { return nil }
    let chain = try CertificateChain(pem: chainPEM, unreadable: .certificateUnreadable)
    // A key that cannot be read is made anew with its certificate.
    guard let key = try? PrivateKey(pem: keyPEM), chain.leaf.matches(key) else { return nil }
    return Former(
      identity: ServerIdentity(certificateChainPEM: chainPEM, privateKeyPEM: keyPEM),
      hosts: chain.leaf.alternativeNames.map { String($0.drop { $0 != ":" }.dropFirst()) },
      isLasting: !chain.leaf.expires(withinSeconds: renewalDays * 86_400))
  }
}
