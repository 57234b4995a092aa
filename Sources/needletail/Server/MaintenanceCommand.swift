internal import ArgumentParser
internal import Client
internal import ControlPlane
internal import Foundation
internal import Postgres
internal import Synchronization

/// Looks after a database.
struct MaintenanceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "maintenance",
    abstract: "See what upkeep the servers of a database have done, or do it now.",
    discussion: """
      Every server looks after its database by itself; of several, one does a task at a time, and \
      what one that goes away was at, another takes over within three minutes.
      """,
    subcommands: [Status.self, Run.self])

  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List every task: where it is, when it ran, how long, how many rows, which error.")
    @OptionGroup var target: MigrateCommand.Target
    @OptionGroup var written: OutputOptions

    static let document = Document(
      listOf: [
        "name", "state", "server", "startedAt", "finishedAt", "succeededAt", "durationMs", "rows",
        "error",
      ], in: "tasks")

    func run() async throws {
      try await telling(written) {
        try written.check(Self.document)
        let tasks = try await Maintenance.status(try target.url())
        if written.output == .json {
          return writeTasks(tasks.map(\.json), written, Self.document)
        }
        Console.write(tasks.isEmpty ? "no task has run\n" : table(of: tasks))
      }
    }

    private func table(of tasks: [TaskReport]) -> String {
      var table = Table([
        ("TASK", .left), ("STATE", .left), ("BEGAN", .left), ("TOOK", .right), ("ROWS", .right),
        ("LAST GOOD", .left), ("ERROR", .left),
      ])
      for task in tasks {
        table.add([
          task.name, task.state.rawValue, shownTime(task.startedAt),
          task.milliseconds.map { duration(milliseconds: $0) } ?? "–", "\(task.rows)",
          shownTime(task.succeededAt), task.error ?? "–",
        ])
      }
      return table.text
    }

    /// "2026-01-02 03:04:05" of RFC 3339, UTC.
    private func shownTime(_ text: String?) -> String {
      text.map { String($0.prefix(19)).replacing("T", with: " ") } ?? "–"
    }
  }

  struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Run one task, or all, now, unless a server is at it.",
      discussion: """
        The exit code is 1 where a task failed; the others run all the same. Settings are those of \
        the servers' environment and of --set: give the same ones.
        """)
    @OptionGroup var target: MigrateCommand.Target
    @OptionGroup var written: OutputOptions
    @Argument(help: "The task's name; all when it is missing.") var task: String?
    @Option(
      name: .customLong("set"),
      help: "A setting as name=value; `needletail settings` lists them. May be repeated.")
    var assignments: [String] = []

    static let document = Document(
      listOf: ["name", "state", "durationMs", "rows", "error"], in: "tasks")

    func run() async throws {
      try await telling(written) {
        try written.check(Self.document)
        let url = try target.url()
        var options = ServerOptions(
          database: DatabaseSettings(connection: url), certificateFile: "", keyFile: "")
        do throws(ControlPlaneError) {
          try Setting.apply(
            environment: ProcessInfo.processInfo.environment, assignments: assignments,
            to: &options)
        } catch {
          throw CommandFailure(.usage, reason: "SETTINGS_INVALID", error.description)
        }
        // A line for each task as it ends.
        let isForPeople = written.output == .table
        let ran = Gathered<TaskReport>()
        let isGood = try await Maintenance.run(url, task: task, options) { report in
          ran.append(report)
          if isForPeople { Console.line(visible(report.line)) }
        }
        if !isForPeople { writeTasks(ran.all.map(\.json), written, Self.document) }
        guard isGood else {
          throw CommandFailure(.other, reason: "UPKEEP_FAILED", "A task of upkeep failed.")
        }
      }
    }
  }
}

/// What was gathered as it came, wherever it came from.
private final class Gathered<Element: Sendable>: Sendable {
  private let elements = Mutex<[Element]>([])

  func append(_ element: Element) { elements.withLock { $0.append(element) } }

  var all: [Element] { elements.withLock { $0 } }
}

/// Does the work of a command that asks a database, and tells what stands in its way in the format
/// that was asked for.
private func telling(_ written: OutputOptions, _ work: () async throws -> Void) async throws {
  do {
    try await work()
  } catch let error as ControlPlaneError {
    let (status, reason): (ExitStatus, String) =
      switch error.kind {
      case .other: (.other, "UPKEEP_FAILED")
      case .wrongArgument: (.usage, "TASK_UNKNOWN")
      case .databaseAway: (.unavailable, "DATABASE_AWAY")
      case .roleRefused: (.permission, "DATABASE_ROLE_REFUSED")
      }
    throw tell(CommandFailure(status, reason: reason, error.description), written.output)
  } catch {
    throw tell(error, written.output)
  }
}

private func writeTasks(
  _ tasks: [JSONValue], _ written: OutputOptions, _ document: Document
) {
  let whole = JSONValue.object([.init("tasks", .array(tasks))])
  Console.line(written.chosen(of: whole, document).pretty)
}

extension TaskReport {
  /// What a run came to, for people.
  fileprivate var line: String {
    switch state {
    case .running, .abandoned: "\(name): a server is at it"
    case .failed: "\(name): failed after \(rows) rows in \(milliseconds ?? 0) ms: \(error ?? "")"
    case .done: "\(name): \(rows) rows in \(milliseconds ?? 0) ms"
    }
  }

  /// For programs; what is not known is left out.
  fileprivate var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init("name", .string(name)), .init("state", .string(state.rawValue)),
    ]
    let texts = [
      ("server", server), ("startedAt", startedAt), ("finishedAt", finishedAt),
      ("succeededAt", succeededAt), ("durationMs", milliseconds.map { "\($0)" }),
      ("rows", "\(rows)"), ("error", error),
    ]
    for (name, text) in texts {
      if let text { members.append(.init(name, .string(text))) }
    }
    return .object(members)
  }
}
