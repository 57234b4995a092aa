internal import EventLoop
internal import Foundation
internal import Identity
internal import Logging
internal import Postgres
internal import RPC
internal import TLS
internal import Tracking

/// What `up` is started with.
public struct UpOptions: Sendable {
  /// Where everything is kept.
  public var dataFolder: String
  /// A PostgreSQL server to use in place of a private one.
  public var databaseURL: String?
  /// Names and addresses by which others reach this machine, beside the loopback ones.
  public var hosts: [String] = []
  /// The port; nil = the standard one, 0 = the one of the last start or one that the system
  /// chooses.
  public var port: UInt16?
  /// Where to write how to connect, once ready.
  public var connectionFile: String?
  /// Applied to what the server is started with, before anything else is done with it.
  public var adjust: @Sendable (inout ServerOptions) throws(ControlPlaneError) -> Void = { _ in }

  /// Makes options with everything else found out.
  public init(dataFolder: String) { self.dataFolder = dataFolder }
}

/// A complete server on an empty machine: database, certificates, schema, first key.
public struct Up: Sendable {
  /// How to reach the server, for people.
  public let instructions: String

  private let server: ControlPlane
  private let postgres: EmbeddedPostgres?
  private let log: ServerLog
  /// Held for as long as this serves.
  private let lock: FolderLock

  /// Makes what is missing and serves.
  ///
  /// - Throws: ``ControlPlaneError`` that names what is in the way.
  public init(_ options: UpOptions) async throws(ControlPlaneError) {
    let folder = try DataFolder(options.dataFolder)
    do throws(EmbeddedPostgresError) {
      lock = try FolderLock(folder.path)
    } catch {
      throw ControlPlaneError("\(error)")
    }
    let certificates: DevelopmentCertificates
    do throws(TLSError) {
      certificates = try DevelopmentCertificates.prepare(
        in: folder.certificates, hosts: options.hosts)
    } catch {
      throw ControlPlaneError("the certificates cannot be made: \(error)")
    }
    var server = try Up.serverOptions(options, folder, certificates)
    log = ServerLog(server)
    if options.databaseURL == nil {
      let (started, url) = try await Up.startPostgres(folder, log)
      postgres = started
      server.database.connection = url
    } else {
      postgres = nil
    }
    do throws(ControlPlaneError) {
      (self.server, instructions) = try await Up.serve(
        options, server, folder, certificates.authorityFile, log)
    } catch {
      await postgres?.stop()
      log.flush()
      throw error
    }
  }

  /// What the server is started with; a private database is still to come.
  private static func serverOptions(
    _ options: UpOptions, _ folder: DataFolder, _ certificates: DevelopmentCertificates
  ) throws(ControlPlaneError) -> ServerOptions {
    var server = ServerOptions(
      database: DatabaseSettings(connection: options.databaseURL ?? ""),
      certificateFile: certificates.certificateFile, keyFile: certificates.keyFile)
    server.host = options.hosts.isEmpty ? "127.0.0.1" : "0.0.0.0"
    server.port = options.port ?? ServerOptions.standardPort
    if server.port == 0, let kept = folder.port { server.port = kept }
    // Nobody else reaches it, and nobody else has its data.
    if options.databaseURL == nil, options.hosts.isEmpty {
      server.server.environment = .development
    }
    server.artifacts.folder = folder.artifacts
    try options.adjust(&server)
    return server
  }

  /// Starts the private PostgreSQL of a data folder; says how to connect to it.
  private static func startPostgres(
    _ folder: DataFolder, _ log: ServerLog
  ) async throws(ControlPlaneError) -> (EmbeddedPostgres, url: String) {
    let settings = EmbeddedPostgresSettings(dataFolder: folder.path)
    let postgres = EmbeddedPostgres(settings) { event in report(event, log) }
    do throws(EmbeddedPostgresError) {
      return (postgres, try await postgres.start())
    } catch {
      log.flush()
      throw ControlPlaneError("PostgreSQL: \(error)")
    }
  }

  /// Serves until a signal comes; looks after the private PostgreSQL meanwhile.
  ///
  /// - Throws: ``ControlPlaneError`` when the server stopped by itself.
  public func waitUntilStopped() async throws(ControlPlaneError) {
    let result = await withTaskGroup(
      of: Void.self, returning: Result<Void, ControlPlaneError>.self
    ) { group in
      if let postgres {
        group.addTask { await postgres.superviseUntilStopped() }
      }
      defer { group.cancelAll() }
      do throws(ControlPlaneError) {
        try await server.waitUntilStopped()
        await postgres?.stop()
        return .success(())
      } catch {
        await postgres?.stop()
        return .failure(error)
      }
    }
    log.flush()
    try result.get()
  }

  private static func serve(
    _ options: UpOptions, _ server: ServerOptions, _ folder: DataFolder, _ authorityFile: String,
    _ log: ServerLog
  ) async throws(ControlPlaneError) -> (ControlPlane, String) {
    let url = server.database.connection
    let wait = DatabaseWait(patience: server.databaseStartPatience) { patience, error in
      log.logger.warning(
        "waiting for the database",
        metadata: [
          "patience": .string(DurationText.text(patience)), "error": .string("\(error)"),
        ])
    }
    _ = try await Migrations.up(url, to: nil, wait)
    let (first, key, isNew) = try await firstKey(url, folder, wait)
    let controlPlane = try await ControlPlane(server, log)
    try folder.keep(port: controlPlane.port)
    let connection = ConnectionFile(
      address: options.hosts.first ?? "127.0.0.1", port: controlPlane.port,
      caFile: authorityFile, apiKey: key,
      organizationID: first.organizationID.description,
      projectID: first.projectID?.description ?? "")
    if let file = options.connectionFile { try connection.write(to: file) }
    return (
      controlPlane,
      instructions(connection, options, isNewKey: isNew, keyFile: folder.keyFile)
    )
  }

  /// The administrator's key of this data folder, made where there is none.
  private static func firstKey(
    _ url: String, _ folder: DataFolder, _ wait: DatabaseWait
  ) async throws(ControlPlaneError) -> (Bootstrap.Result, String, Bool) {
    let kept = folder.key
    let first = try await bootstrap(url, whenThere: kept.map { .keep($0) } ?? .addKey, wait)
    if let made = first.key {
      try folder.keep(key: made.text)
      return (first, made.text, true)
    }
    return (first, kept ?? "", false)
  }

  /// Makes the first organization, or another key for its administrator.
  static func bootstrap(
    _ url: String, whenThere: Bootstrap.WhenThere, _ wait: DatabaseWait
  ) async throws(ControlPlaneError) -> Bootstrap.Result {
    var settings = DatabaseSettings(connection: url)
    settings.role = "needletail_maintenance"
    settings.poolSize = 1
    return try await LoopTask.run(settings, wait) { database throws(ControlPlaneError) in
      do throws(PostgresError) {
        return try await Bootstrap.run(database, whenThere: whenThere)
      } catch {
        throw ControlPlaneError("the first organization cannot be made: \(error)")
      }
    }
  }

  /// Makes another key for the first administrator and keeps it in the data folder.
  ///
  /// - Parameters:
  ///   - dataFolder: Where `up` keeps the key.
  ///   - databaseURL: The database; nil is the private one of the data folder, which must run.
  /// - Returns: The new key.
  /// - Throws: ``ControlPlaneError`` that names what is missing.
  public static func recoverKey(
    dataFolder: String, databaseURL: String?
  ) async throws(ControlPlaneError) -> String {
    let url = try maintainedURL(dataFolder: dataFolder, databaseURL: databaseURL)
    let folder = try DataFolder(dataFolder)
    let made = try await bootstrap(url, whenThere: .addKey, .inTerminal)
    guard let key = made.key else {
      throw ControlPlaneError("no key was made")
    }
    try folder.keep(key: key.text)
    return key.text
  }

  /// The database that is looked after beside its server.
  static func maintainedURL(
    dataFolder: String, databaseURL: String?
  ) throws(ControlPlaneError) -> String {
    guard
      let url = databaseURL ?? EmbeddedPostgres.connectionString(ofDataFolder: dataFolder)
    else {
      throw ControlPlaneError(
        "no database runs in the data folder \(dataFolder): start `needletail up` on it, or give "
          + "--postgres URL or set DATABASE_URL")
    }
    return url
  }

  private static func instructions(
    _ connection: ConnectionFile, _ options: UpOptions, isNewKey: Bool, keyFile: String
  ) -> String {
    var lines = [
      "Needletail is ready.",
      "",
      "  address       needletail://\(connection.address):\(connection.port)",
      "  CA file       \(connection.caFile)",
      "  organization  \(connection.organizationID)",
    ]
    lines.append(
      isNewKey
        ? "  API key       \(connection.apiKey)   (shown this once; kept in \(keyFile))"
        : "  API key       as shown before; kept in \(keyFile)")
    if let file = options.connectionFile { lines.append("  connection    \(file)") }
    return lines.joined(separator: "\n")
  }

  private static func report(_ event: EmbeddedPostgresEvent, _ log: ServerLog) {
    let logger = log.logger
    switch event {
    case .created(let version):
      logger.notice("PostgreSQL made", metadata: ["version": .string(version)])
    case .started(let pid):
      logger.notice("PostgreSQL started", metadata: ["pid": .stringConvertible(pid)])
    case .adopted(let pid):
      logger.notice("PostgreSQL taken over", metadata: ["pid": .stringConvertible(pid)])
    case .died(let pid):
      logger.error("PostgreSQL ended by itself", metadata: ["pid": .stringConvertible(pid)])
    case .restartFailed(let error):
      logger.error("PostgreSQL cannot be started again", metadata: ["error": .string("\(error)")])
    case .stopped:
      logger.notice("PostgreSQL stopped")
    }
  }
}
