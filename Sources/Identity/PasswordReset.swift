internal import EventLoop
public import Postgres
internal import RPC
internal import TLS

/// What an operator does for somebody who has lost their password: the product sends no mail.
public enum PasswordReset {
  /// What was done.
  public struct Result: Sendable {
    /// Whose password it is.
    public let userID: UUID
    /// The new one, the only time that it can be read.
    public let password: String
    /// How many keys were ended.
    public let endedKeys: Int
  }

  /// About 143 bits.
  static let passwordCharacters = 24

  /// Gives a person a random password, and ends what their logins opened; every organization of
  /// theirs has it in the audit log.
  ///
  /// - Parameters:
  ///   - email: In any case.
  ///   - endsAllKeys: Whether the keys that they made themselves end, too.
  ///   - database: Connected as the maintenance role.
  /// - Returns: What was done; nil where nobody has the address.
  /// - Throws: ``PostgresError``.
  public static func run(
    _ email: String, endsAllKeys: Bool, _ database: Database
  ) async throws(PostgresError) -> Result? {
    let password = Base62.text(randomBytes(count: 32), characters: passwordCharacters)
    guard let hash = PasswordHash(password, cost: Passwords.standardCost)?.stored else {
      return nil
    }
    let work = Work(
      scope: .none, deadline: database.loop.now.advanced(by: .seconds(30)), cancellation: nil)
    return try await database.transaction(work) {
      (transaction) async throws(PostgresError) -> Result? in
      let now = WallClock.microseconds()
      let found = try await transaction.run(
        UsersQueries.resetPassword(passwordHash: hash, updatedAt: now, email: email))
      guard let userID = found else { return nil }
      let ended = try await transaction.run(
        UsersQueries.endKeys(endedAt: now, userID: userID, endsAllKeys: endsAllKeys))
      var ids = UUIDGenerator()
      var batch = Batch()
      let details = JSONText.change([("revoked_keys", nil, String(ended))])
      for organizationID in try await transaction.run(UsersQueries.listWorkplaces(userID: userID)) {
        batch.add(
          UsersQueries.auditPasswordReset(
            organizationID: organizationID, id: ids.next(now: now), userID: userID,
            detailsJSON: details, createdAt: now))
      }
      if !batch.isEmpty { try await transaction.run(batch) }
      return Result(userID: userID, password: password, endedKeys: ended)
    }
  }
}
