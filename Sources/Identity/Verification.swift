internal import EventLoop
public import Postgres

/// What an operator knows of people that the product cannot find out: it sends no mail.
public enum Verification {
  /// Notes that an e-mail address is its person's.
  ///
  /// - Parameters:
  ///   - email: In any case.
  ///   - database: Connected as the maintenance role.
  /// - Returns: The person's id; nil where nobody has the address.
  /// - Throws: ``PostgresError``.
  public static func verify(
    _ email: String, _ database: Database
  ) async throws(PostgresError) -> UUID? {
    try await database.commit(
      Work(
        scope: .none, deadline: database.loop.now.advanced(by: .seconds(30)), cancellation: nil),
      UsersQueries.verifyUser(verifiedAt: WallClock.microseconds(), email: email))
  }
}
