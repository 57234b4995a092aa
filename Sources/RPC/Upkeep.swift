internal import EventLoop
public import Postgres

/// Something that is done now and then, by one server process of all.
public struct UpkeepTask {
  /// What people and the database call it.
  public let name: String
  /// Between the beginnings of two runs, over all servers.
  public let interval: Duration
  let step: (Database) async throws(PostgresError) -> UpkeepStep

  /// Makes a task; `step` does one batch of bounded size, which stays whatever comes then.
  public init(
    _ name: String, every interval: Duration,
    step: @escaping (Database) async throws(PostgresError) -> UpkeepStep
  ) {
    self.name = name
    self.interval = interval
    self.step = step
  }
}

/// What one batch came to.
public struct UpkeepStep {
  var rows: Int64
  var isLast: Bool
  var problem: String?

  /// Makes one; nothing is left after the last, or there is a problem outside of the database.
  public init(rows: Int64, isLast: Bool, problem: String? = nil) {
    self.rows = rows
    self.isLast = isLast
    self.problem = problem
  }
}

/// What one run of a task came to.
public struct UpkeepOutcome: Sendable {
  /// Rows that it dealt with.
  public var rows: Int64 = 0
  /// How long it took.
  public var microseconds: Int64 = 0
  /// Why it ended early; what was done before stays.
  public var error: PostgresError?
  /// The same where the database is not why.
  public var problem: String?

  /// Either, for people.
  public var failure: String? { error.map { "\($0)" } ?? problem }
}

/// What all runs of a task came to.
public struct UpkeepCounts: Sendable {
  /// How often it ran.
  public private(set) var runs: UInt64 = 0
  /// How often it ended early.
  public private(set) var failures: UInt64 = 0
  /// Rows that it dealt with.
  public private(set) var rows: UInt64 = 0
  /// How long it took.
  public private(set) var microseconds: UInt64 = 0

  mutating func add(_ outcome: UpkeepOutcome) {
    runs &+= 1
    if outcome.failure != nil { failures &+= 1 }
    rows &+= UInt64(clamping: outcome.rows)
    microseconds &+= UInt64(clamping: outcome.microseconds)
  }

  static func + (left: UpkeepCounts, right: UpkeepCounts) -> UpkeepCounts {
    var sum = left
    sum.runs &+= right.runs
    sum.failures &+= right.failures
    sum.rows &+= right.rows
    sum.microseconds &+= right.microseconds
    return sum
  }
}

/// A task as the database knows it.
public struct UpkeepRecord: Sendable {
  /// What the task is called.
  public var name: String
  /// Whether a server has it.
  public var isRunning: Bool
  /// Which server has it, or had it when it went away; nil once a run has ended.
  public var server: UUID?
  /// Microseconds since 1970; nil = never.
  public var startedAt: Int64?
  /// When a run ended the last time; nil = never.
  public var finishedAt: Int64?
  /// When a run ended well the last time; nil = never.
  public var succeededAt: Int64?
  /// Of the last run that ended.
  public var rows: Int64
  /// Why it ended early; nil when it did not.
  public var error: String?
}

/// Runs tasks, each on one server at a time: a row of the database says who has it, for how long.
///
/// A server that goes away keeps a task from the others for the rest of its lease. What a step
/// does takes locks of its own, so even one that outlives its lease never meets another.
public enum Upkeep {
  /// How long a task is kept from the others without a sign.
  static let lease = Duration.seconds(180)
  /// How long one run goes on; the next one does the rest.
  static let runPatience = Duration.seconds(600)
  /// Time for one statement.
  static let statementPatience = Duration.seconds(60)

  /// Runs a task if it is due and no other server has it.
  ///
  /// - Parameters:
  ///   - task: What to run.
  ///   - database: Connected as the maintenance role.
  ///   - server: Who runs it.
  ///   - isForced: Whether it is due whenever it ran last.
  /// - Returns: Nil when it was not run.
  /// - Throws: ``PostgresError`` when not even the record of the run could be kept.
  public static func run(
    _ task: UpkeepTask, _ database: Database, by server: UUID, isForced: Bool = false
  ) async throws(PostgresError) -> UpkeepOutcome? {
    let begun = WallClock.microseconds()
    let claimed = try await database.commit(
      work(database),
      MaintenanceQueries.claimTask(
        name: task.name, serverID: server, leaseUs: lease.microseconds,
        intervalUs: isForced ? 0 : task.interval.microseconds))
    guard claimed != nil else { return nil }
    var outcome = UpkeepOutcome()
    do throws(PostgresError) {
      while true {
        let step = try await task.step(database)
        outcome.rows += step.rows
        outcome.problem = step.problem
        if step.isLast || step.problem != nil
          || WallClock.microseconds() - begun > runPatience.microseconds
        {
          break
        }
        let kept = try await database.commit(
          work(database),
          MaintenanceQueries.renewTask(
            leaseUs: lease.microseconds, name: task.name, serverID: server))
        guard kept != nil else { break }
      }
    } catch {
      outcome.error = error
    }
    outcome.microseconds = WallClock.microseconds() - begun
    _ = try await database.commit(
      work(database),
      MaintenanceQueries.finishTask(
        rowCount: outcome.rows, error: outcome.failure, name: task.name,
        serverID: server))
    return outcome
  }

  /// Every task that any server has begun, by name.
  public static func records(_ database: Database) async throws(PostgresError) -> [UpkeepRecord] {
    try await database.read(work(database), MaintenanceQueries.listTasks()).map { row in
      UpkeepRecord(
        name: row.name, isRunning: row.isRunning ?? false, server: row.leasedBy,
        startedAt: row.startedAt, finishedAt: row.finishedAt, succeededAt: row.succeededAt,
        rows: row.rowCount, error: row.error)
    }
  }

  /// What statements of upkeep run as.
  public static func work(_ database: Database) -> Work {
    Work(
      scope: .none, deadline: database.loop.now.advanced(by: statementPatience),
      cancellation: nil)
  }
}

extension Duration {
  /// As whole microseconds.
  public var microseconds: Int64 { Int64(clamping: wholeNanoseconds / 1_000) }
}
