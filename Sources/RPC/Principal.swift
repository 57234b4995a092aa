public import Postgres

/// Who a connection acts for, as its API key says.
public struct Principal: Sendable, Equatable {
  /// The tenant; everything the connection does stays inside it.
  public var organizationID: UUID
  /// The user or service account.
  public var id: UUID
  /// "user", "service_account" or, of a connection without an API key, "anonymous".
  public var kind: String
  /// For people, as it was when the key was checked: an e-mail address or a name.
  public var label: String
  /// The key that opened the connection.
  public var apiKeyID: UUID
  /// Role in the organization.
  public var role: String
  /// What the role and the key's scopes both permit.
  public var permissions: Set<String>

  /// Makes a principal from its parts.
  public init(
    organizationID: UUID, id: UUID, kind: String, label: String, apiKeyID: UUID, role: String,
    permissions: Set<String>
  ) {
    self.organizationID = organizationID
    self.id = id
    self.kind = kind
    self.label = label
    self.apiKeyID = apiKeyID
    self.role = role
    self.permissions = permissions
  }

  /// Whoever has not said who they are: a connection without an API key.
  public static let anonymous = Principal(
    organizationID: .zero, id: .zero, kind: anonymousKind, label: anonymousKind, apiKeyID: .zero,
    role: "", permissions: [])

  /// Whether nobody has said who they are.
  public var isAnonymous: Bool { kind == Principal.anonymousKind }

  private static let anonymousKind = "anonymous"
}
