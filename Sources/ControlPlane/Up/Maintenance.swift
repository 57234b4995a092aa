internal import EventLoop
internal import Postgres
internal import RPC
internal import Tracing
internal import Tracking

/// The upkeep of a database, looked at and done by hand.
public enum Maintenance {
  /// What servers alone do, who have the store of artifacts.
  static let serverTask = "artifacts"

  /// Every task that any server has begun, by name.
  public static func status(_ url: String) async throws(ControlPlaneError) -> [TaskReport] {
    try await with(url) { database throws(ControlPlaneError) in
      do throws(PostgresError) {
        return try await Upkeep.records(database).map { TaskReport($0) }
      } catch {
        throw told(error)
      }
    }
  }

  /// Runs a task, nil = all, whenever it ran last.
  ///
  /// One that fails keeps none of the others back.
  ///
  /// - Parameters:
  ///   - url: The database's.
  ///   - wanted: The task's name.
  ///   - options: How much at once, and how long things stay.
  ///   - heard: Told of each task as it ends, or that a server is at it.
  /// - Returns: Whether all went well.
  /// - Throws: ``ControlPlaneError`` when there is no such task, or no database.
  public static func run(
    _ url: String, task wanted: String?, _ options: ServerOptions,
    _ heard: @escaping @Sendable (TaskReport) -> Void
  ) async throws(ControlPlaneError) -> Bool {
    let settings = options.housekeeping
    // Before the database is waited for.
    let names = tasks(settings).map(\.name)
    if let wanted, !names.contains(wanted) { throw unknown(wanted, of: names) }
    return try await with(url) { database throws(ControlPlaneError) in
      var ids = UUIDGenerator()
      let own = ids.next(now: WallClock.microseconds())
      var isGood = true
      for task in tasks(settings) where wanted == nil || task.name == wanted {
        do throws(PostgresError) {
          let outcome = try await Upkeep.run(task, database, by: own, isForced: true)
          isGood = isGood && outcome?.failure == nil
          heard(TaskReport(task.name, outcome))
        } catch {
          // Not even the record could be kept: the next would fare no better.
          throw told(error)
        }
      }
      return isGood
    }
  }

  private static func tasks(_ settings: HousekeepingSettings) -> [UpkeepTask] {
    Housekeeping.tasks(settings) { _ in } + MetricUpkeep.tasks(settings)
      + TraceUpkeep.tasks(settings)
  }

  private static func unknown(_ wanted: String, of names: [String]) -> ControlPlaneError {
    let there = "; there are \(names.joined(separator: ", "))"
    let text =
      switch wanted {
      case serverTask: "\(serverTask) is for servers alone, which have the store" + there
      case "trace-retention": "\(wanted) needs the setting traces-kept-for" + there
      default: "no task is called \(wanted)" + there
      }
    return ControlPlaneError(text, kind: .wrongArgument)
  }

  /// An error of the database, with what to do about those that an operator meets.
  private static func told(_ error: PostgresError) -> ControlPlaneError {
    switch error.serverError?.sqlState {
    // A table, a function or a column that is not there.
    case "42P01", "42883", "42703":
      ControlPlaneError("\(error); bring the schema up to date with needletail migrate up")
    default: ControlPlaneError("\(error)", kind: error.isSafeToRetry ? .databaseAway : .other)
    }
  }

  private static func with<Value: Sendable>(
    _ url: String,
    _ body: @escaping @Sendable (Database) async throws(ControlPlaneError) -> Value
  ) async throws(ControlPlaneError) -> Value {
    var settings = DatabaseSettings(connection: url)
    settings.role = "needletail_maintenance"
    settings.poolSize = 1
    return try await LoopTask.run(settings, .inTerminal, body)
  }
}
