import EventLoop
import Postgres
import TestSupport
import Testing

@Suite struct PoolTests {
  /// Begins transactions that end when `release` is notified, and waits until they all run.
  private func hold(_ count: Int, _ database: Database, until release: Gate) async {
    let begun = Signal()
    var running = 0
    for _ in 0..<count {
      database.loop.spawn {
        // The holder's own outcome is of no interest.
        try? await database.transaction(anyWork) { transaction throws(PostgresError) in
          _ = try await transaction.run(text("select 'held'"))
          running += 1
          begun.notify()
          await release.pass()
        }
      }
    }
    await until(begun) { running >= count }
  }

  @Test("Transactions take what the pool and the overflow have; units keep a connection")
  func overflow() async throws {
    let (during, value, after) = try await withDatabase(
      nil,
      {
        $0.poolSize = 3
        $0.overflow = 2
        $0.overflowIdle = .milliseconds(1)
      }
    ) { database in
      let release = Gate()
      await hold(4, database, until: release)
      let value = try await database.read(anyWork, text("select 'units go on'"))
      let during = database.metrics
      release.open()
      _ = await eventually(database.loop) { database.metrics.connectionsOverflow == 0 }
      return (during, value, database.metrics)
    }
    #expect(value == "units go on")
    #expect(during.connectionsOverflow == 2)
    #expect(during.connectionsInUse + during.connectionsIdle == 5)
    #expect(after.connectionsOverflow == 0)
    #expect(after.connectionsLost == 0)
  }

  @Test("Overflow connections are counted for the whole process")
  func sharedOverflow() async throws {
    let connection = try TestCluster.shared().connection
    let counts = try await onLoop { loop -> [Int] in
      var settings = DatabaseSettings(connection: connection)
      settings.poolSize = 4
      settings.overflow = 1
      settings.waitPatience = .milliseconds(300)
      let shared = DatabaseShared(settings, loops: 2)
      let first = try Database(loop: loop, settings: settings, shared: shared)
      let second = try Database(loop: loop, settings: settings, shared: shared)
      first.start()
      second.start()
      let release = Gate()
      await hold(2, first, until: release)
      await hold(1, second, until: release)
      let refused = await failure { () async throws(PostgresError) in
        try await second.transaction(anyWork) { transaction throws(PostgresError) in
          try await transaction.run(text("select 'never'"))
        }
      }
      let counts = [
        first.metrics.connectionsOverflow, second.metrics.connectionsOverflow,
        refused == .busy ? 1 : 0,
      ]
      release.open()
      first.close()
      second.close()
      return counts
    }
    #expect(counts == [1, 0, 1])
  }

  @Test("One waiter more than the bound is refused at once, and the waits are counted")
  func waiters() async throws {
    let (outcomes, metrics) = try await withDatabase(
      nil,
      {
        $0.poolSize = 1
        $0.overflow = 0
        $0.waitersMax = 2
      }
    ) { database in
      try await database.waitUntilReady(patience: .seconds(10))
      let release = Gate()
      await hold(1, database, until: release)
      let journal = Journal()
      let done = Signal()
      for index in 0..<3 {
        database.loop.spawn {
          do throws(PostgresError) {
            journal.entries.append(try await database.read(anyWork, text("select '\(index)'")))
          } catch {
            journal.entries.append("\(error)")
          }
          done.notify()
        }
      }
      await until(done) { journal.entries.count >= 1 }
      release.open()
      await until(done) { journal.entries.count >= 3 }
      return (journal.entries, database.metrics)
    }
    #expect(outcomes == ["\(PostgresError.busy)", "0", "1"])
    #expect(metrics.waits >= 2 && metrics.waitTotal > .zero && metrics.waitMax > .zero)
    #expect(metrics.waiters == 0)
  }

  @Test("A waiter leaves the queue when its deadline passes or it is cancelled")
  func waitersLeave() async throws {
    let errors = try await withDatabase(
      nil,
      {
        $0.poolSize = 1
        $0.overflow = 0
      }
    ) { database in
      let release = Gate()
      await hold(1, database, until: release)
      let late = Work(
        scope: .none, deadline: database.loop.now.advanced(by: .milliseconds(30)),
        cancellation: nil)
      let cancellation = Cancellation()
      database.loop.schedule(after: .milliseconds(30)) { cancellation.cancel(.connectionLost) }
      let cancelled = Work(scope: .none, deadline: nil, cancellation: cancellation)
      let errors = [
        await failure { () async throws(PostgresError) in
          try await database.read(late, text("select 'x'"))
        },
        await failure { () async throws(PostgresError) in
          try await database.transaction(cancelled) { transaction throws(PostgresError) in
            try await transaction.run(text("select 'x'"))
          }
        },
      ]
      release.open()
      return errors
    }
    #expect(errors == [.deadlineExceeded, .cancelled])
  }

  @Test("An old connection is replaced, and a long idle one proves that it lives first")
  func recycling() async throws {
    func processes(
      _ adjust: @escaping @Sendable (inout DatabaseSettings) -> Void
    ) async throws -> [Int64] {
      try await withDatabase(
        nil,
        {
          $0.poolSize = 1
          adjust(&$0)
        }
      ) { database in
        var processes: [Int64] = []
        for _ in 0..<3 {
          processes.append(
            try await database.read(anyWork, number("select pg_backend_pid()::int8")))
          let gate = Gate()
          database.loop.schedule(after: .milliseconds(60)) { gate.open() }
          await gate.pass()
        }
        return processes
      }
    }
    #expect(Set(try await processes { $0.recycleAfter = .milliseconds(50) }).count == 3)
    #expect(Set(try await processes { $0.proveAfterIdle = .zero }).count == 1)
  }

  @Test("Statements over the threshold are reported by name, and by name only")
  func slowStatements() async throws {
    let (names, count) = try await withDatabase(nil, { $0.slowStatement = .milliseconds(20) }) {
      database in
      let journal = Journal()
      database.onSlowStatement = { name, duration in
        if duration > .milliseconds(20) { journal.entries.append(name) }
      }
      let slow = Query<Int>(
        Statement("test.slow", "select pg_sleep($1)", parameters: [701], columns: []),
        {
          var parameters = Parameters()
          parameters.append(float8: 0.05)
          return parameters
        }())
      _ = try await database.read(anyWork, slow)
      return (journal.entries, database.metrics.slowStatements)
    }
    #expect(names.contains("test.slow"))
    #expect(count >= 1)
  }

  @Test("Without a role the pool logs in as it is; with one, every statement has it")
  func role() async throws {
    let cluster = try TestCluster.shared()
    try cluster.sql(
      """
      do $$ begin create role test_pool_role nologin; exception when duplicate_object then end $$
      """)
    for prepares in [true, false] {
      let seen = try await withDatabase(
        nil,
        {
          $0.role = "test_pool_role"
          $0.preparesStatements = prepares
        }
      ) { database in
        try await database.read(anyWork, text("select current_user::text"))
      }
      #expect(seen == "test_pool_role")
    }
    let error = try await withDatabase(
      nil,
      {
        $0.role = "no_such_role"
        $0.awayPatience = .milliseconds(100)
      }
    ) { database in
      await failure { () async throws(PostgresError) in
        try await database.waitUntilReady(patience: .milliseconds(500))
      }
    }
    #expect(error == .away("role \"no_such_role\" does not exist"))
  }
}
