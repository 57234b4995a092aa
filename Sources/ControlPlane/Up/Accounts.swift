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
    let settings = try maintenance(dataFolder: dataFolder, databaseURL: databaseURL)
    return try await LoopTask.run(settings, .inTerminal) { database throws(ControlPlaneError) in
      let id: UUID?
      do throws(PostgresError) {
        id = try await Verification.verify(email, database)
      } catch {
        throw ControlPlaneError("the address cannot be verified: \(error)")
      }
      guard let id else { throw nobody(email) }
      return id.description
    }
  }

  /// What became of a person whose password was reset.
  public struct Reset: Sendable {
    /// The person's id.
    public let userID: String
    /// The new password; show it once.
    public let password: String
    /// How many of their keys were ended.
    public let endedKeys: Int
  }

  /// Gives a person a random password, and ends what their logins opened.
  ///
  /// - Parameters:
  ///   - email: In any case.
  ///   - endsAllKeys: Whether the keys that they made themselves end, too.
  ///   - dataFolder: Where `up` keeps its private database.
  ///   - databaseURL: The database; nil is the private one of the data folder, which must run.
  /// - Returns: What was done.
  /// - Throws: ``ControlPlaneError`` that names what is missing.
  public static func resetPassword(
    _ email: String, endsAllKeys: Bool, dataFolder: String, databaseURL: String?
  ) async throws(ControlPlaneError) -> Reset {
    let settings = try maintenance(dataFolder: dataFolder, databaseURL: databaseURL)
    return try await LoopTask.run(settings, .inTerminal) { database throws(ControlPlaneError) in
      let done: PasswordReset.Result?
      do throws(PostgresError) {
        done = try await PasswordReset.run(email, endsAllKeys: endsAllKeys, database)
      } catch {
        throw ControlPlaneError("the password cannot be reset: \(error)")
      }
      guard let done else { throw nobody(email) }
      return Reset(
        userID: done.userID.description, password: done.password, endedKeys: done.endedKeys)
    }
  }

  private static func maintenance(
    dataFolder: String, databaseURL: String?
  ) throws(ControlPlaneError) -> DatabaseSettings {
    var settings = DatabaseSettings(
      connection: try Up.maintainedURL(dataFolder: dataFolder, databaseURL: databaseURL))
    settings.role = "needletail_maintenance"
    settings.poolSize = 1
    return settings
  }

  private static func nobody(_ email: String) -> ControlPlaneError {
    ControlPlaneError("nobody has the e-mail address \(email)")
  }
}
