import EventLoop
import Postgres
import TestSupport
import Testing

/// How many statements like `pattern` run in the database of the caller.
private func running(_ pattern: String) -> Query<Int64> {
  number(
    """
    select count(*) from pg_stat_activity
    where datname = current_database() and state = 'active' and pid <> pg_backend_pid()
    and query like '\(pattern)'
    """)
}

@Suite struct TransactionTests {
  @Test("A transaction keeps its changes when its body returns and none when it throws")
  func commitAndRollback() async throws {
    let (values, error, tail) = try await withDatabase { database in
      _ = try await database.commit(anyWork, change("create table names (name text unique)"))
      let first = try await database.transaction(anyWork) { transaction throws(PostgresError) in
        _ = try await transaction.run(change("insert into names values ('a')"))
        return try await transaction.run(text("select name from names"))
      }
      let error = await failure { () async throws(PostgresError) in
        try await database.transaction(anyWork) { transaction throws(PostgresError) in
          _ = try await transaction.run(change("insert into names values ('b')"))
          _ = try await transaction.run(change("insert into names values ('a')"))
        }
      }
      var batch = Batch()
      batch.add(change("insert into names values ('c')"))
      try await database.transaction(anyWork) { transaction throws(PostgresError) in
        _ = try await transaction.run(change("delete from names where name = 'a'"))
        try await transaction.finish(batch)
      }
      let names = try await database.read(
        anyWork, text("select string_agg(name, ',' order by name) from names"))
      return ([first, names], error, database.metrics)
    }
    #expect(values == ["a", "c"])
    #expect(error?.isUniqueViolation == true)
    #expect(tail.connectionsLost == 0)
  }

  @Test("A transaction whose error was swallowed cannot be committed")
  func swallowed() async throws {
    let (error, count) = try await withDatabase { database in
      _ = try await database.commit(anyWork, change("create table names (name text unique)"))
      let error = await failure { () async throws(PostgresError) in
        try await database.transaction(anyWork) { transaction throws(PostgresError) in
          _ = try await transaction.run(change("insert into names values ('a')"))
          _ = await failure { () async throws(PostgresError) in
            try await transaction.run(text("select (1/0)::text"))
          }
        }
      }
      return (error, try await database.read(anyWork, number("select count(*) from names")))
    }
    #expect(error?.serverError?.sqlState == "25P02")
    #expect(count == 0)
  }

  @Test("Serializable transactions that contradict each other: one fails and says so")
  func serializable() async throws {
    let error = try await withDatabase { database in
      _ = try await database.commit(anyWork, change("create table counters (n int4)"))
      _ = try await database.commit(anyWork, change("insert into counters values (0)"))
      return await failure { () async throws(PostgresError) in
        try await database.transaction(anyWork, isolation: .serializable) {
          outer throws(PostgresError) in
          _ = try await outer.run(text("select n::text from counters"))
          try await database.transaction(anyWork, isolation: .serializable) {
            inner throws(PostgresError) in
            _ = try await inner.run(text("select n::text from counters"))
            _ = try await inner.run(change("update counters set n = n + 1"))
          }
          _ = try await outer.run(change("update counters set n = n + 1"))
        }
      }
    }
    #expect(error?.isSerializationFailure == true)
    #expect(error?.isSafeToRetry == true)
  }

  @Test(
    "A transaction's running statement is stopped when its deadline passes or it is cancelled",
    arguments: [true, false])
  func cancelled(byDeadline: Bool) async throws {
    let (error, isStopped, count, metrics) = try await withDatabase { database in
      _ = try await database.commit(anyWork, change("create table names (name text)"))
      let cancellation = Cancellation()
      let deadline = byDeadline ? database.loop.now.advanced(by: .milliseconds(150)) : nil
      let work = Work(scope: .none, deadline: deadline, cancellation: cancellation)
      if !byDeadline {
        database.loop.schedule(after: .milliseconds(100)) { cancellation.cancel(.cancelled) }
      }
      let error = await failure { () async throws(PostgresError) in
        try await database.transaction(work) { transaction throws(PostgresError) in
          _ = try await transaction.run(change("insert into names values ('a')"))
          // Not bound by the transaction's own time limit, which the client's must make up for.
          _ = try await transaction.run(change("set local statement_timeout = 0"))
          _ = try await transaction.run(text("select 'x' from pg_sleep(60)"))
        }
      }
      var left: Int64 = 1
      for _ in 0..<1_000 where left > 0 {
        left = try await database.read(anyWork, running("%pg_sleep(60)%"))
      }
      let count = try await database.read(anyWork, number("select count(*) from names"))
      return (error, left == 0, count, database.metrics)
    }
    #expect(error == (byDeadline ? .deadlineExceeded : .cancelled))
    #expect(isStopped)
    #expect(count == 0)
    #expect(metrics.cancellations == 1)
  }

  @Test("A shared connection's statement ends at the caller's deadline, and the others go on")
  func deadline() async throws {
    let (slow, fast, limit) = try await withDatabase(nil, { $0.poolSize = 1 }) { database in
      let work = Work(
        scope: .none, deadline: database.loop.now.advanced(by: .milliseconds(100)),
        cancellation: nil)
      let journal = Journal()
      let done = Signal()
      database.loop.spawn {
        // Behind the slow statement, on the same connection.
        journal.entries.append((try? await database.read(anyWork, text("select 'fine'"))) ?? "")
        done.notify()
      }
      let slow = await failure { () async throws(PostgresError) in
        try await database.read(work, text("select 'x' from pg_sleep(60)"))
      }
      await until(done) { !journal.entries.isEmpty }
      let configured = try await withShortTimeout(database)
      return (slow, journal.entries, configured)
    }
    #expect(slow == .deadlineExceeded)
    #expect(fast == ["fine"])
    #expect(limit == nil)
  }

  private func withShortTimeout(_ database: Database) async throws -> PostgresError? {
    let work = Work(
      scope: .none, deadline: database.loop.now, cancellation: nil)
    let error = await failure { () async throws(PostgresError) in
      try await database.read(work, text("select 'never sent'"))
    }
    return error == .deadlineExceeded ? nil : error
  }
}
