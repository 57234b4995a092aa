/// A server's certificate chain and its private key, as PEM.
public struct ServerIdentity: Sendable {
  /// The server's own certificate first, then the intermediates that lead to the authority.
  public let certificateChainPEM: [UInt8]
  /// The key of the first certificate; not encrypted.
  public let privateKeyPEM: [UInt8]

  /// Keeps a pair; it is checked when a context is made of it.
  public init(certificateChainPEM: [UInt8], privateKeyPEM: [UInt8]) {
    self.certificateChainPEM = certificateChainPEM
    self.privateKeyPEM = privateKeyPEM
  }
}

/// A client's certificate chain and its private key, as PEM, for servers that ask for one.
public typealias ClientIdentity = ServerIdentity

/// A version of the TLS protocol.
public enum TLSVersion: String, Sendable, Comparable {
  /// TLS 1.2, for peers that cannot do better.
  case tls12 = "TLSv1.2"
  /// TLS 1.3.
  case tls13 = "TLSv1.3"

  /// Orders versions by age.
  public static func < (left: TLSVersion, right: TLSVersion) -> Bool {
    left == .tls12 && right == .tls13
  }
}

/// What server and client agree on beside their certificates.
///
/// Every loop builds its own context from one such value.
public struct TLSSettings: Sendable {
  /// The oldest version that is spoken; 1.3 unless told otherwise.
  public var minimumVersion = TLSVersion.tls13
  /// The groups for the key exchange, in order of preference, joined by colons.
  public var groups = "X25519:P-256:P-384"
  /// The application protocols (ALPN), in order of preference; each 1 to 255 bytes, 256 in all.
  ///
  /// A server refuses in the handshake (alert `no_application_protocol`) whoever offers none of
  /// them, and whoever offers no protocol at all: bytes meant for another protocol are never read
  /// as this one's.
  public var applicationProtocols: [String]
  /// PEM certificates of the authority that clients' certificates must come from.
  ///
  /// With it a server demands a certificate (mutual TLS); nil asks for none.
  public var clientAuthorityPEM: [UInt8]?
  /// The secrets that seal session tickets, the same on every loop; nil issues no tickets.
  public var ticketKeys: TicketKeys?

  /// Makes settings that speak TLS 1.3 and the given application protocols.
  public init(applicationProtocols: [String]) {
    self.applicationProtocols = applicationProtocols
  }

  /// How long a ticket can be used to resume a session, in seconds.
  ///
  /// Keys that are rotated once in this time open every ticket for at least as long.
  public static let ticketLifetimeSeconds = 7200
}

/// What a client trusts, and how it introduces itself.
public struct TLSClientSettings: Sendable {
  /// Where the certificates come from that a server's chain must lead to.
  public enum Trust: Sendable {
    /// The authorities that the operating system trusts.
    case system
    /// These PEM certificates and no others.
    case authority(pem: [UInt8])
  }

  /// What the server's certificate must lead to.
  public var trust: Trust
  /// The oldest version that is spoken; 1.3 unless told otherwise.
  public var minimumVersion = TLSVersion.tls13
  /// The newest version that is spoken.
  public var maximumVersion = TLSVersion.tls13
  /// The groups for the key exchange, in order of preference, joined by colons.
  public var groups = "X25519:P-256:P-384"
  /// The application protocols (ALPN) to offer, in order of preference.
  public var applicationProtocols: [String]
  /// The certificate for servers that demand one.
  public var identity: ClientIdentity?

  /// Makes settings that speak TLS 1.3 and the given application protocols.
  public init(trust: Trust, applicationProtocols: [String]) {
    self.trust = trust
    self.applicationProtocols = applicationProtocols
  }
}

/// The secrets that seal session tickets: one that seals, and the one before, which still opens.
///
/// Loops that share them resume each other's sessions, and so do processes. Rotate them at least
/// once in ``TLSSettings/ticketLifetimeSeconds``.
public struct TicketKeys: Sendable {
  /// Bytes of one secret: name 16, cipher key 32, authentication key 32.
  public static let secretBytes = 80

  /// The secrets, newest first; one or two of ``secretBytes`` each.
  let secrets: [[UInt8]]

  /// Makes fresh keys from the system's randomness.
  public static func random() -> TicketKeys {
    TicketKeys(secrets: [randomBytes(count: secretBytes)])
  }

  /// Takes secrets that are kept elsewhere, newest first, so that several processes share them.
  ///
  /// - Throws: ``TLSError`` `settingInvalid` unless there are one or two of ``secretBytes`` each.
  public init(newestFirst secrets: [[UInt8]]) throws(TLSError) {
    guard (1...2).contains(secrets.count),
      secrets.allSatisfy({ $0.count == TicketKeys.secretBytes })
    else {
      throw TLSError(
        .settingInvalid, "ticket keys are one or two secrets of \(TicketKeys.secretBytes) bytes")
    }
    self.secrets = secrets
  }

  private init(secrets: [[UInt8]]) { self.secrets = secrets }

  /// Fresh keys that still open what the present ones sealed.
  public func rotated() -> TicketKeys {
    TicketKeys(secrets: [randomBytes(count: TicketKeys.secretBytes), secrets[0]])
  }
}

/// Whom a client expects at the other end; checked against the certificate's alternative names.
public enum PeerName: Sendable, Equatable {
  /// A DNS name; sent to the server (SNI) as well.
  case host(String)
  /// An IPv4 or IPv6 address.
  case address(String)

  /// Tells an address from a host name; `[::1]` may keep its brackets.
  public init(_ text: String) {
    var text = text[...]
    if text.hasPrefix("["), text.hasSuffix("]") { text = text.dropFirst().dropLast() }
    self = isAddress(String(text)) ? .address(String(text)) : .host(String(text))
  }
}
