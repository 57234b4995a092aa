internal import ArgumentParser
internal import ControlPlane
internal import Foundation

/// Where a server's own data lies.
struct DataFolderOption: ParsableArguments {
  @Option(
    name: .customLong("data-dir"),
    help: "Where the database, the certificates and the first key are kept.")
  var dataFolder = ".needletail"

  @Option(
    name: .customLong("postgres"),
    help: "URL of the PostgreSQL to use; else DATABASE_URL; else the data folder's own.")
  var databaseURL: String?

  /// The database that was asked for.
  var chosenURL: String? {
    databaseURL ?? ProcessInfo.processInfo.environment["DATABASE_URL"]
  }
}

/// Makes everything that is missing, and serves.
struct UpCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up",
    abstract: "Make what is missing (database, certificates, first key) and serve.",
    discussion: """
      Needs nothing but PostgreSQL's programs. Started again on the same data folder it serves the \
      same data with the same key on the same port. SIGTERM lets open calls finish and stops.
      """)

  @OptionGroup var place: DataFolderOption
  @OptionGroup var flags: ServerFlags

  @Option(
    name: .customLong("host"),
    help: "A name or address by which others reach this machine; may be repeated.")
  var hosts: [String] = []

  @Option(
    name: .customLong("connection-file"),
    help: "Where to write, once ready, how to connect: one JSON object, mode 0600.")
  var connectionFile: String?

  func run() async throws {
    var options = UpOptions(dataFolder: place.dataFolder)
    options.databaseURL = place.chosenURL
    options.hosts = hosts
    options.port = flags.port
    options.connectionFile = connectionFile
    let flags = flags
    options.adjust = { server throws(ControlPlaneError) in try flags.apply(to: &server) }
    let up = try await Up(options)
    print(up.instructions)
    if let connectionFile {
      // As it was called, so that the line works where it is pasted.
      let program = CommandLine.arguments.first ?? "needletail"
      print("\nTo log in: \(program) login --connection-file \(connectionFile)")
    }
    fflush(nil)
    try await up.waitUntilStopped()
  }
}

/// Moves a database's schema.
struct MigrateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrate",
    abstract: "Bring a database's schema up or down, or look at it.",
    subcommands: [Up.self, Down.self, Status.self, Verify.self])

  struct Target: ParsableArguments {
    @Option(name: .customLong("postgres"), help: "URL of PostgreSQL; else DATABASE_URL.")
    var databaseURL: String?

    func url() throws -> String {
      guard let url = databaseURL ?? ProcessInfo.processInfo.environment["DATABASE_URL"] else {
        throw ValidationError("no database: give --postgres URL or set DATABASE_URL")
      }
      return url
    }
  }

  struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Apply what is pending.")
    @OptionGroup var target: Target
    @Option(help: "The version to stop at.") var to: Int?

    func run() async throws {
      let lines = try await Migrations.up(try target.url(), to: to)
      print(lines.isEmpty ? "nothing is pending" : lines.joined(separator: "\n"))
    }
  }

  struct Down: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Undo the newest migration, or all after a version, with the data in it.")
    @OptionGroup var target: Target
    @OptionGroup var confirmation: Confirmation
    @Option(help: "The version to go back to; 0 undoes all.") var to: Int?

    func run() async throws {
      let url = try target.url()
      let what = to.map { $0 == 0 ? "all migrations" : "every migration after \($0)" }
      do {
        try confirmation.confirm(
          "Undo \(what ?? "the newest migration"), and lose the data that it holds")
      } catch {
        throw tell(error, .table)
      }
      let lines =
        if let to {
          try await Migrations.down(url, to: to)
        } else {
          try await Migrations.downOne(url)
        }
      print(lines.isEmpty ? "nothing is to be undone" : lines.joined(separator: "\n"))
    }
  }

  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List what is applied and pending.")
    @OptionGroup var target: Target

    func run() async throws {
      print(try await Migrations.status(try target.url()).joined(separator: "\n"))
    }
  }

  struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make sure that this program can serve the database.")
    @OptionGroup var target: Target

    func run() async throws {
      print(try await Migrations.verify(try target.url()).joined(separator: "\n"))
    }
  }
}
