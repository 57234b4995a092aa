internal import EventLoop
internal import Postgres

/// Work against the database that is over before, or without, serving: a loop of its own for its
/// time.
enum LoopTask {
  /// Runs `body` with a database of `settings` and waits for it.
  static func run<Value: Sendable>(
    _ settings: DatabaseSettings,
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
        loop.spawn { continuation.resume(returning: await attempt(loop, settings, body)) }
      }
    }
    group.stop()
    await group.waitUntilStopped()
    return try result.get()
  }

  private static func attempt<Value: Sendable>(
    _ loop: Loop, _ settings: DatabaseSettings,
    _ body: @escaping @Sendable (Database) async throws(ControlPlaneError) -> Value
  ) async -> Result<Value, ControlPlaneError> {
    do throws(ControlPlaneError) {
      let database: Database
      do throws(PostgresError) {
        database = try Database(
          loop: loop, settings: settings, shared: DatabaseShared(settings, loops: 1))
        database.start()
        try await database.waitUntilReady(patience: .seconds(30))
      } catch {
        throw ControlPlaneError("the database cannot be reached: \(error)")
      }
      defer { database.close() }
      return .success(try await body(database))
    } catch {
      return .failure(error)
    }
  }
}
