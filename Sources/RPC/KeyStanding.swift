public import EventLoop
public import Postgres

/// A key of open connections, as it was last seen.
public struct KeySeen: Sendable {
  /// The key's tenant.
  public let organizationID: UUID
  /// Which key.
  public let apiKeyID: UUID
  /// ``KeyStanding/version`` of then; 0 = never seen.
  public let version: Int64
}

/// What became of a key since it was seen.
public struct KeyStanding: Sendable {
  /// Which key.
  public let apiKeyID: UUID
  /// Another one whenever something of this has changed; never 0.
  public let version: Int64
  /// Whether it may be used: neither it nor its user or organization was ended.
  public let isUsable: Bool
  /// When it stops working, in microseconds since 1970; nil = never.
  public let expiresAt: Int64?
  /// Role of its user in the organization.
  public let role: String
  /// What the role and the key's scopes both permit.
  public let permissions: Set<String>
  /// Whether it is taken from an address.
  public let admits: @Sendable (SocketAddress) -> Bool

  /// Makes a standing from its parts.
  public init(
    apiKeyID: UUID, version: Int64, isUsable: Bool, expiresAt: Int64?, role: String,
    permissions: Set<String>, admits: @escaping @Sendable (SocketAddress) -> Bool
  ) {
    self.apiKeyID = apiKeyID
    self.version = version
    self.isUsable = isUsable
    self.expiresAt = expiresAt
    self.role = role
    self.permissions = permissions
    self.admits = admits
  }
}

/// That a key was used.
public struct KeyUse: Sendable {
  /// The key's tenant.
  public let organizationID: UUID
  /// Which key.
  public let apiKeyID: UUID
  /// In microseconds since 1970.
  public let usedAt: Int64
}
