internal import EventLoop
internal import Foundation
internal import Identity
internal import Postgres
internal import TLS

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
  /// Applied last to what the server is started with.
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
    var embedded: EmbeddedPostgres?
    let url: String
    if let given = options.databaseURL {
      url = given
    } else {
      let private_ = EmbeddedPostgres(
        EmbeddedPostgresSettings(dataFolder: folder.path)
      ) { event in Up.report(event) }
      do throws(EmbeddedPostgresError) {
        url = try await private_.start()
      } catch {
        throw ControlPlaneError("PostgreSQL: \(error)")
      }
      embedded = private_
    }
    postgres = embedded
    do throws(ControlPlaneError) {
      (server, instructions) = try await Up.serve(options, folder, certificates, url)
    } catch {
      await embedded?.stop()
      throw error
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
    try result.get()
  }

  private static func serve(
    _ options: UpOptions, _ folder: DataFolder, _ certificates: DevelopmentCertificates,
    _ url: String
  ) async throws(ControlPlaneError) -> (ControlPlane, String) {
    _ = try await Migrations.up(url, to: nil)
    let (first, key, isNew) = try await firstKey(url, folder)
    var server = ServerOptions(
      database: DatabaseSettings(connection: url),
      certificateFile: certificates.certificateFile, keyFile: certificates.keyFile)
    server.host = options.hosts.isEmpty ? "127.0.0.1" : "0.0.0.0"
    server.port = options.port ?? ServerOptions.standardPort
    if server.port == 0, let kept = folder.port { server.port = kept }
    try options.adjust(&server)
    let controlPlane = try await ControlPlane(server)
    try folder.keep(port: controlPlane.port)
    let connection = ConnectionFile(
      address: options.hosts.first ?? "127.0.0.1", port: controlPlane.port,
      caFile: certificates.authorityFile, apiKey: key,
      organizationID: first.organizationID.description,
      projectID: first.projectID?.description ?? "")
    if let file = options.connectionFile { try connection.write(to: file) }
    return (controlPlane, instructions(connection, options, isNewKey: isNew))
  }

  /// The administrator's key of this data folder, made where there is none.
  private static func firstKey(
    _ url: String, _ folder: DataFolder
  ) async throws(ControlPlaneError) -> (Bootstrap.Result, String, Bool) {
    let kept = folder.key
    let first = try await bootstrap(url, whenThere: kept == nil ? .addKey : .keep)
    if let made = first.key {
      try folder.keep(key: made.text)
      return (first, made.text, true)
    }
    return (first, kept ?? "", false)
  }

  /// Makes the first organization, or another key for its administrator.
  static func bootstrap(
    _ url: String, whenThere: Bootstrap.WhenThere
  ) async throws(ControlPlaneError) -> Bootstrap.Result {
    var settings = DatabaseSettings(connection: url)
    settings.role = "needletail_maintenance"
    settings.poolSize = 1
    return try await LoopTask.run(settings) { database throws(ControlPlaneError) in
      do throws(PostgresError) {
        return try await Bootstrap.run(database, whenThere: whenThere)
      } catch {
        throw ControlPlaneError("the first organization cannot be made: \(error)")
      }
    }
  }

  /// Makes another key for the first administrator and keeps it in the data folder.
  public static func recoverKey(
    dataFolder: String, databaseURL: String
  ) async throws(ControlPlaneError) -> String {
    let folder = try DataFolder(dataFolder)
    guard let key = try await bootstrap(databaseURL, whenThere: .addKey).key else {
      throw ControlPlaneError("no key was made")
    }
    try folder.keep(key: key.text)
    return key.text
  }

  private static func instructions(
    _ connection: ConnectionFile, _ options: UpOptions, isNewKey: Bool
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
        ? "  API key       \(connection.apiKey)   (shown this once; kept in the data folder)"
        : "  API key       as shown at the first start; kept in the data folder")
    if let file = options.connectionFile { lines.append("  connection    \(file)") }
    return lines.joined(separator: "\n")
  }

  private static func report(_ event: EmbeddedPostgresEvent) {
    let text =
      switch event {
      case .created(let version): "made a private PostgreSQL \(version)"
      case .started(let pid): "PostgreSQL runs as process \(pid)"
      case .adopted(let pid): "took over the PostgreSQL that ran as process \(pid)"
      case .died(let pid): "PostgreSQL, process \(pid), ended by itself"
      case .restartFailed(let error): "PostgreSQL cannot be started again: \(error)"
      case .stopped: "PostgreSQL has stopped"
      }
    FileHandle.standardError.write(Data("\(text)\n".utf8))
  }
}
