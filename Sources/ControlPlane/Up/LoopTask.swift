internal import EventLoop
internal import Foundation
internal import Postgres

/// How long to wait for a database that is away, and who is told of it.
struct DatabaseWait: Sendable {
  /// From the first attempt to the last.
  var patience: Duration
  /// Told once, when the database has not answered at once: how long the wait may take, and what
  /// is in the way.
  var notice: @Sendable (Duration, PostgresError) -> Void

  /// For commands in a terminal.
  static let inTerminal = DatabaseWait(patience: .seconds(30)) { patience, error in
    let text = "waiting up to \(DurationText.text(patience)) for the database: \(error)\n"
    FileHandle.standardError.write(Data(text.utf8))
  }

  /// Time for a database that is there to answer.
  private static let courtesy = Duration.seconds(1)

  func wait(for database: Database) async throws(PostgresError) {
    let courtesy = min(DatabaseWait.courtesy, patience)
    do throws(PostgresError) {
      return try await database.waitUntilReady(patience: courtesy)
    } catch {
      guard courtesy < patience, !database.isRoleRefused else { throw error }
      notice(patience, error)
    }
    try await database.waitUntilReady(patience: patience - courtesy)
  }
}

/// Work against the database that is over before, or without, serving: a loop of its own for its
/// time.
enum LoopTask {
  /// Runs `body` with a database of `settings` and waits for it.
  static func run<Value: Sendable>(
    _ settings: DatabaseSettings, _ wait: DatabaseWait,
    _ body: @escaping @Sendable (Database) async throws(ControlPlaneError) -> Value
  ) async throws(ControlPlaneError) -> Value {
    let group: LoopGroup
    do throws(SystemError) {
      group = try LoopGroup(count: 1) { _, _ in }
    } catch {
      throw ControlPlaneError("no event loop can be made: \(error)")
    }
    let result: Result<Value, ControlPlaneError> = await withCheckedContinuation { continuation in
      group.mailboxes[0].post { loop in
        loop.spawn { continuation.resume(returning: await attempt(loop, settings, wait, body)) }
      }
    }
    group.stop()
    await group.waitUntilStopped()
    return try result.get()
  }

  private static func attempt<Value: Sendable>(
    _ loop: Loop, _ settings: DatabaseSettings, _ wait: DatabaseWait,
    _ body: @escaping @Sendable (Database) async throws(ControlPlaneError) -> Value
  ) async -> Result<Value, ControlPlaneError> {
    do throws(ControlPlaneError) {
      let database: Database
      do throws(PostgresError) {
        database = try Database(
          loop: loop, settings: settings, shared: DatabaseShared(settings, loops: 1))
      } catch {
        throw ControlPlaneError("the database cannot be used: \(error)", kind: .wrongArgument)
      }
      database.start()
      defer { database.close() }
      do throws(PostgresError) {
        try await wait.wait(for: database)
      } catch {
        if database.isRoleRefused, let role = settings.role {
          throw ControlPlaneError(
            "the database refuses the role \(role): \(error); connect as its owner, or grant the "
              + "role to whom the URL names",
            kind: .roleRefused)
        }
        throw ControlPlaneError(
          "the database cannot be reached within \(DurationText.text(wait.patience)): \(error)",
          kind: .databaseAway)
      }
      return .success(try await body(database))
    } catch {
      return .failure(error)
    }
  }
}
