internal import Identity
internal import Postgres

/// What an operator does for people's accounts, on the database's own machine.
public enum Accounts {
  /// Notes that an e-mail address is its person's.
  ///
  /// - Parameters:
  ///   - email: In any case.
  ///   - dataFolder: Where `up` keeps its private database.
  ///   - databaseURL: The database; nil is the private one of the data folder, which must run.
  /// - Returns: The person's id.
  /// - Throws: ``ControlPlaneError`` that names what is missing.
  public static func verify(
    _ email: String, dataFolder: String, databaseURL: String?
  ) async throws(ControlPlaneError) -> String {
    var settings = DatabaseSettings(
      connection: try Up.maintainedURL(dataFolder: dataFolder, databaseURL: databaseURL))
    settings.role = "needletail_maintenance"
    settings.poolSize = 1
    return try await LoopTask.run(settings, .inTerminal) { database throws(ControlPlaneError) in
      let id: UUID?
      do throws(PostgresError) {
        id = try await Verification.verify(email, database)
      } catch {
        throw ControlPlaneError("the address cannot be verified: \(error)")
      }
      guard let id else { throw ControlPlaneError("nobody has the e-mail address \(email)") }
      return id.description
    }
  }
}
