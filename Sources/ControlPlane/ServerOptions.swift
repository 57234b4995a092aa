public import Identity
public import Postgres
public import RPC
public import TLS
public import Tracing
public import Tracking

/// Everything that a server is started with.
public struct ServerOptions: Sendable {
  /// Where to listen.
  public var host = "127.0.0.1"
  /// Where to listen; 0 lets the system choose.
  public var port: UInt16 = ServerOptions.standardPort
  /// How to reach the database.
  public var database: DatabaseSettings
  /// How long `up` waits at its start for a database that is away.
  public var databaseStartPatience = Duration.seconds(30)
  /// The bounds of connections and calls.
  public var server = ServerSettings(software: Software.name)
  /// How the database is looked after.
  public var housekeeping = HousekeepingSettings()
  /// What passwords cost, and how often they may be wrong.
  public var passwords = PasswordSettings()
  /// Where artifacts are kept, and how many bytes of them.
  public var artifacts = ArtifactSettings()
  /// How much a trace may have.
  public var tracing = TracingSettings()
  /// What is said about new organizations.
  public var organizations = OrganizationSettings()
  /// What clients and servers agree on.
  public var tls: TLSSettings
  /// The server's certificate chain, PEM; read again on SIGHUP.
  public var certificateFile: String
  /// Its private key, PEM; read again on SIGHUP.
  public var keyFile: String
  /// Event loops; 0 = one per core.
  public var loops = 0
  /// The loopback port of metrics and health; nil = none, 0 lets the system choose.
  public var operationsPort: UInt16? = nil
  /// Whether calls that succeeded are logged, too.
  public var logsEveryCall = false
  /// The file that the audit log's entries are appended to as JSON lines; nil = none.
  ///
  /// Opened again on SIGHUP.
  public var auditFile: String? = nil
  /// Who else is told of the audit log's entries, once they are committed.
  public var auditSinks: [any AuditSink] = []
  /// "debug", "info", "notice", "warning" or "error".
  public var logLevel = "info"

  /// The port that servers listen on unless told otherwise.
  public static let standardPort: UInt16 = 7443

  /// Makes options with every bound at its default.
  public init(database: DatabaseSettings, certificateFile: String, keyFile: String) {
    self.database = database
    self.certificateFile = certificateFile
    self.keyFile = keyFile
    tls = TLSSettings(applicationProtocols: [Software.applicationProtocol])
    tls.ticketKeys = .random()
    self.database.role = "needletail_app"
  }
}

/// What the program calls itself.
public enum Software {
  /// The version that is built.
  public static let version = "0.1.0"
  /// "needletail/0.1.0".
  public static let name = "needletail/\(version)"
  /// The application protocol (ALPN) of the wire.
  public static let applicationProtocol = "needletail/1"
}

/// Why a server could not be started or went down; the text names the thing.
public struct ControlPlaneError: Error, Sendable, CustomStringConvertible {
  /// What whoever asked can do about it.
  public enum Kind: Sendable {
    /// Nothing in particular.
    case other
    /// Ask for something that there is.
    case wrongArgument
    /// Wait for the database, or name another.
    case databaseAway
    /// Connect as somebody else.
    case roleRefused
  }

  /// For people.
  public let description: String
  /// For programs.
  public let kind: Kind

  /// Makes an error that says `description`.
  public init(_ description: String, kind: Kind = .other) {
    self.description = description
    self.kind = kind
  }
}
