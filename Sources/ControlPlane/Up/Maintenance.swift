internal import EventLoop
internal import Postgres
public import RPC
internal import Tracing
internal import Tracking

/// The upkeep of a database, looked at and done by hand.
public enum Maintenance {
  /// A line for each task that any server has begun: when, how long, how many rows, which error.
  public static func status(_ url: String) async throws(ControlPlaneError) -> [String] {
    try await with(url) { database throws(ControlPlaneError) in
      do throws(PostgresError) {
        return try await Upkeep.records(database).map(line)
      } catch {
        throw ControlPlaneError("\(error)")
      }
    }
  }

  /// Runs a task, nil = all, whenever it ran last.
  ///
  /// - Parameters:
  ///   - url: The database's.
  ///   - wanted: The task's name.
  ///   - settings: How much at once, and how long things stay.
  /// - Returns: A line for each.
  /// - Throws: ``ControlPlaneError`` when one failed.
  public static func run(
    _ url: String, task wanted: String?, _ settings: HousekeepingSettings
  ) async throws(ControlPlaneError) -> [String] {
    try await with(url) { database throws(ControlPlaneError) in
      let tasks = Self.tasks(settings).filter { wanted == nil || $0.name == wanted }
      var lines: [String] = []
      var ids = UUIDGenerator()
      let own = ids.next(now: WallClock.microseconds())
      for task in tasks {
        do throws(PostgresError) {
          guard let outcome = try await Upkeep.run(task, database, by: own, isForced: true) else {
            lines.append("\(task.name): a server is at it")
            continue
          }
          if let error = outcome.error { throw error }
          lines.append("\(task.name): \(outcome.rows) rows in \(outcome.microseconds / 1_000) ms")
        } catch {
          throw ControlPlaneError((lines + ["\(task.name): \(error)"]).joined(separator: "\n"))
        }
      }
      return lines
    }
  }

  /// Why there is no such task here; nil where there is one, or all are meant.
  public static func problem(
    withTask wanted: String?, _ settings: HousekeepingSettings
  ) -> String? {
    let names = tasks(settings).map(\.name)
    guard let wanted, !names.contains(wanted) else { return nil }
    return "no task is called \(wanted); there are \(names.joined(separator: ", "))"
      + "; a server with an artifact folder does artifacts itself"
  }

  private static func tasks(_ settings: HousekeepingSettings) -> [UpkeepTask] {
    Housekeeping.tasks(settings) { _ in } + MetricUpkeep.tasks(settings)
      + TraceUpkeep.tasks(settings)
  }

  private static func line(_ record: UpkeepRecord) -> String {
    var words = [record.name]
    if let began = record.startedAt { words.append("began \(RFC3339.text(microseconds: began))") }
    if record.isRunning {
      words.append("runs")
    } else if let began = record.startedAt, let ended = record.finishedAt {
      words.append("took \(max(0, ended - began) / 1_000) ms, \(record.rows) rows")
    }
    if let error = record.error {
      let good = record.succeededAt.map { RFC3339.text(microseconds: $0) } ?? "never"
      words.append("failed (last good: \(good)): \(error)")
    }
    return words.joined(separator: "  ")
  }

  private static func with(
    _ url: String,
    _ body: @escaping @Sendable (Database) async throws(ControlPlaneError) -> [String]
  ) async throws(ControlPlaneError) -> [String] {
    var settings = DatabaseSettings(connection: url)
    settings.role = "needletail_maintenance"
    settings.poolSize = 1
    return try await LoopTask.run(settings, .inTerminal, body)
  }
}
