/// Why the private PostgreSQL could not be made or started.
///
/// Code branches on ``reason``; ``detail`` is for people and says what to do.
public struct EmbeddedPostgresError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What kind of thing went wrong.
  public enum Reason: String, Sendable {
    /// No PostgreSQL programs were found.
    case programsMissing
    /// The programs found are older than the oldest that is supported.
    case programsTooOld
    /// The data folder belongs to another major version than the programs.
    case versionMismatch
    /// The data folder belongs to another user than the one PostgreSQL runs as.
    case ownerMismatch
    /// The user to run PostgreSQL as does not exist or cannot be become.
    case accountUnusable
    /// A folder or file cannot be made, read or reached.
    case folderUnusable
    /// Another server uses the data folder.
    case folderInUse
    /// The cluster could not be made.
    case creationFailed
    /// PostgreSQL ended while it started.
    case startFailed
    /// PostgreSQL did not accept connections in time.
    case startTimedOut
    /// It was told to stop in the meantime.
    case stopped
  }

  /// What kind of thing went wrong.
  public let reason: Reason
  /// One sentence for people, without a final stop.
  public let detail: String

  init(_ reason: Reason, _ detail: String) {
    self.reason = reason
    self.detail = detail
  }

  /// The sentence for people.
  public var description: String { detail }
}
