internal import EventLoop
public import Postgres

/// Makes the first organization, administrator, project and key of an empty installation.
public struct Bootstrap: Sendable {
  /// What was made, or was there.
  public struct Result: Sendable {
    /// The first organization.
    public let organizationID: UUID
    /// Its first project.
    public let projectID: UUID?
    /// The administrator's new key, the only time that it can be read.
    public let key: APIKey?
  }

  /// Whether an administrator who is there already gets another key.
  public enum WhenThere: Sendable {
    /// Only if this one, kept from an earlier start, does not open the organization.
    case keep(String)
    /// Yes.
    case addKey
  }

  /// Looks for the first administrator, and makes one when there is none, in one transaction.
  ///
  /// - Parameters:
  ///   - database: Connected as the maintenance role.
  ///   - whenThere: What to do when there is one already.
  /// - Returns: The administrator's organization and project, and the key where one was made.
  /// - Throws: ``PostgresError``; then nothing has changed, unless it says that the outcome is
  ///   unknown.
  public static func run(
    _ database: Database, whenThere: WhenThere
  ) async throws(PostgresError) -> Result {
    let work = Work(
      scope: .none, deadline: database.loop.now.advanced(by: .seconds(30)), cancellation: nil)
    return try await database.transaction(work) {
      (transaction) async throws(PostgresError) -> Result in
      _ = try await transaction.run(BootstrapQueries.lockInstallation())
      let first = try await transaction.run(BootstrapQueries.findFirstAdministrator())
      if let first {
        return try await keep(first, whenThere, transaction)
      }
      return try await make(transaction)
    }
  }

  private static func keep(
    _ first: BootstrapQueries.FindFirstAdministratorRow, _ whenThere: WhenThere,
    _ transaction: Transaction
  ) async throws(PostgresError) -> Result {
    if case .keep(let text) = whenThere,
      try await isGood(text, in: first.organizationID, transaction)
    {
      return Result(organizationID: first.organizationID, projectID: first.projectID, key: nil)
    }
    let key = APIKey.random()
    _ = try await transaction.run(
      add(
        key, "recovered administrator key", organizationID: first.organizationID,
        userID: first.userID))
    return Result(organizationID: first.organizationID, projectID: first.projectID, key: key)
  }

  /// Whether a key opens an organization; one kept beside another database does not.
  private static func isGood(
    _ text: String, in organizationID: UUID, _ transaction: Transaction
  ) async throws(PostgresError) -> Bool {
    guard let key = APIKey(text) else { return false }
    let row = try await transaction.run(APIKeysQueries.authenticate(keyID: key.id))
    return KeyAuthenticator.opens(text, row, from: nil)?.organizationID == organizationID
  }

  private static func make(_ transaction: Transaction) async throws(PostgresError) -> Result {
    var ids = UUIDGenerator()
    let now = WallClock.microseconds()
    let organizationID = ids.next(now: now)
    let userID = ids.next(now: now)
    let projectID = ids.next(now: now)
    let key = APIKey.random()
    var batch = Batch()
    batch.add(
      BootstrapQueries.createOrganization(
        id: organizationID, name: "Default organization", slug: "default", isPersonal: false,
        billingEmail: "admin@localhost.localdomain", createdAt: now))
    batch.add(
      BootstrapQueries.createUser(
        id: userID, email: "admin@localhost.localdomain", displayName: "Administrator",
        isPlatformAdmin: true, createdAt: now))
    batch.add(
      BootstrapQueries.createMembership(
        organizationID: organizationID, id: ids.next(now: now), userID: userID, role: "admin",
        createdAt: now))
    batch.add(
      ProjectsQueries.createProject(
        organizationID: organizationID, id: projectID, name: "Default project", description: "",
        slug: "default", visibility: "organization", settingsJSON: "{}", createdBy: userID,
        createdAt: now))
    batch.add(
      ProjectMembersQueries.createProjectMember(
        organizationID: organizationID, id: ids.next(now: now), projectID: projectID,
        userID: userID, role: "owner", addedBy: userID, createdAt: now))
    batch.add(
      add(key, "first administrator key", organizationID: organizationID, userID: userID))
    try await transaction.run(batch)
    return Result(organizationID: organizationID, projectID: projectID, key: key)
  }

  private static func add(
    _ key: APIKey, _ name: String, organizationID: UUID, userID: UUID
  ) -> Query<Int> {
    var ids = UUIDGenerator()
    let now = WallClock.microseconds()
    return APIKeysQueries.createApiKey(
      organizationID: organizationID, id: ids.next(now: now), userID: userID, name: name,
      keyID: key.id, keyPrefix: key.shownPrefix, secretHash: key.hash, scopes: ["*"],
      allowedCIDRs: [], createdBy: userID, expiresAt: nil, isFromLogin: false,
      createdAt: now)
  }
}
