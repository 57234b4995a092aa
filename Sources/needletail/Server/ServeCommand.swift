internal import ArgumentParser
internal import ControlPlane
internal import Foundation
internal import Postgres
internal import TLS

/// What `serve` and `up` have in common.
struct ServerFlags: ParsableArguments {
  @Option(name: .customLong("listen"), help: "The address to listen on; 127.0.0.1 unless given.")
  var listenAddress: String?

  @Option(help: "The port to listen on; 7443, or that of the last start; 0 lets the system choose.")
  var port: UInt16?

  @Option(
    name: .customLong("client-ca"),
    help: "PEM file of the authority that clients' certificates must come from (mutual TLS).")
  var clientAuthorityFile: String?

  @Option(help: "Loopback port for /metrics and /healthz; 0 lets the system choose.")
  var operationsPort: UInt16?

  @Option(
    name: .customLong("direct-postgres"),
    help: "URL of PostgreSQL itself, for LISTEN, when the other one leads to PgBouncer.")
  var directDatabase: String?

  @Option(
    name: .customLong("set"),
    help: "A setting as name=value; `needletail settings` lists them. May be repeated.")
  var assignments: [String] = []

  /// Refuses wrong settings before anything is made or started.
  func validate() throws {
    var options = ServerOptions(
      database: DatabaseSettings(connection: ""), certificateFile: "", keyFile: "")
    do throws(ControlPlaneError) {
      try applySettings(to: &options)
    } catch {
      throw ValidationError("\(error)")
    }
  }

  /// Applies the flags, then the settings of the environment and of `--set`.
  func apply(to options: inout ServerOptions) throws(ControlPlaneError) {
    if let listenAddress { options.host = listenAddress }
    options.operationsPort = operationsPort
    options.database.directConnection = directDatabase
    if let clientAuthorityFile {
      guard let data = FileManager.default.contents(atPath: clientAuthorityFile) else {
        throw ControlPlaneError("the client CA file \(clientAuthorityFile) cannot be read")
      }
      options.tls.clientAuthorityPEM = Array(data)
    }
    try applySettings(to: &options)
  }

  private func applySettings(to options: inout ServerOptions) throws(ControlPlaneError) {
    try Setting.apply(
      environment: ProcessInfo.processInfo.environment, assignments: assignments, to: &options)
  }
}

/// Serves with everything given: database, certificate and key.
struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serve, with a database and a certificate of your own.",
    discussion: """
      Expects a migrated database (needletail migrate up). SIGTERM lets open calls finish and \
      stops; SIGHUP reads the certificate and the key again.
      """)

  @OptionGroup var flags: ServerFlags

  @Option(help: "Connection URL of PostgreSQL; else DATABASE_URL.")
  var postgres: String?

  @Option(help: "PEM file with the server's certificate chain.")
  var certificate: String

  @Option(help: "PEM file with the certificate's private key.")
  var key: String

  func run() async throws {
    guard let url = postgres ?? ProcessInfo.processInfo.environment["DATABASE_URL"] else {
      throw ValidationError("no database: give --postgres URL or set DATABASE_URL")
    }
    var options = ServerOptions(
      database: DatabaseSettings(connection: url), certificateFile: certificate, keyFile: key)
    try flags.apply(to: &options)
    if let port = flags.port { options.port = port }
    let server = try await ControlPlane(options)
    try await server.waitUntilStopped()
  }
}

/// Lists what can be set.
struct SettingsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "settings",
    abstract: "List every setting with its default, as Markdown.")

  func run() {
    let options = ServerOptions(
      database: DatabaseSettings(connection: ""), certificateFile: "", keyFile: "")
    print("| setting | environment | default | what it is |")
    print("| --- | --- | --- | --- |")
    for setting in Setting.all {
      print(
        "| `\(setting.name)` | `\(setting.variable)` | \(setting.value(in: options)) "
          + "| \(setting.help) |")
    }
  }
}
