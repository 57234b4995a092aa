internal import ArgumentParser
internal import ControlPlane
internal import Foundation
internal import Postgres

/// Looks after a database.
struct MaintenanceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "maintenance",
    abstract: "See what upkeep the servers of a database have done, or do it now.",
    discussion: """
      Every server looks after its database by itself; of several, one does a task at a time.
      """,
    subcommands: [Status.self, Run.self])

  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List every task: when it ran, how long, how many rows, which error.")
    @OptionGroup var target: MigrateCommand.Target

    func run() async throws {
      let lines = try await Maintenance.status(try target.url())
      print(lines.isEmpty ? "no task has run" : lines.joined(separator: "\n"))
    }
  }

  struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Run one task, or all, now, unless a server is at it.")
    @OptionGroup var target: MigrateCommand.Target
    @Argument(help: "The task's name; all when it is missing.") var task: String?
    @Option(
      name: .customLong("set"),
      help: "A setting as name=value; `needletail settings` lists them. May be repeated.")
    var assignments: [String] = []

    func run() async throws {
      let url = try target.url()
      var options = ServerOptions(
        database: DatabaseSettings(connection: url), certificateFile: "", keyFile: "")
      do throws(ControlPlaneError) {
        try Setting.apply(
          environment: ProcessInfo.processInfo.environment, assignments: assignments, to: &options)
      } catch {
        throw ValidationError("\(error)")
      }
      if let problem = Maintenance.problem(withTask: task, options.housekeeping) {
        throw ValidationError(problem)
      }
      let lines = try await Maintenance.run(url, task: task, options.housekeeping)
      print(lines.joined(separator: "\n"))
    }
  }
}
