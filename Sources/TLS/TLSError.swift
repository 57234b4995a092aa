/// Why a TLS context, connection or certificate could not be made or used.
///
/// Code branches on ``reason``; ``detail`` is for people and names the thing that is wrong.
public struct TLSError: Error, Sendable, Equatable {
  /// What kind of thing went wrong.
  public enum Reason: String, Sendable {
    /// The certificate chain is not PEM, or holds no certificate.
    case certificateUnreadable
    /// A certificate of the chain is past its end.
    case certificateExpired
    /// A certificate of the chain begins in the future.
    case certificateNotYetValid
    /// The key or signature is too weak for OpenSSL's security level, or of an unusable kind.
    case certificateUnacceptable
    /// The private key is not PEM.
    case keyUnreadable
    /// The private key is protected by a pass phrase.
    case keyEncrypted
    /// The private key belongs to another certificate.
    case keyMismatch
    /// The certificates of the authority to trust are not PEM, or there are none.
    case authorityUnreadable
    /// A setting (groups, protocols, ticket keys, names) is refused.
    case settingInvalid
    /// A file or folder could not be read or written.
    case fileUnusable
    /// The peer's certificate is missing or not accepted.
    case peerUnverified
    /// The peer offers no application protocol that is spoken here.
    case protocolNotOffered
    /// The peer offers no version of TLS that is allowed here.
    case versionUnsupported
    /// The peer ended the handshake with an alert.
    case peerRefused
    /// The peer closed the connection in the middle of the handshake.
    case closedInHandshake
    /// What arrived is not TLS, or was tampered with.
    case protocolViolation
    /// The operating system refused a socket call.
    case systemCallFailed
    /// OpenSSL could not do what was asked (mostly: no memory).
    case libraryFailed
  }

  /// What kind of thing went wrong.
  public let reason: Reason
  /// One sentence for people, without a final stop.
  public let detail: String

  /// Makes an error of a kind, with a sentence for people.
  public init(_ reason: Reason, _ detail: String) {
    self.reason = reason
    self.detail = detail
  }
}

extension TLSError: CustomStringConvertible {
  /// The sentence for people.
  public var description: String { detail }
}
