import EventLoop
import Postgres
import TestSupport
import Testing

@Suite struct SessionTests {
  @Test("A session runs several statements, keeps its settings, and ends with its locks")
  func simple() async throws {
    let (value, held, error, free) = try await withDatabase { database in
      let lock = text("select pg_try_advisory_lock(7)::text")
      let (value, held, error) = try await database.session(anyWork) {
        session throws(PostgresError) in
        try await session.simple("create table a (n int4); insert into a values (1), (2)")
        _ = try await session.run(lock)
        let held = try await database.session(anyWork) { other throws(PostgresError) in
          try await other.run(lock)
        }
        let error = await failure { () async throws(PostgresError) in
          try await session.simple("insert into a values (3); select 1/0; insert into a values (4)")
        }
        return (try await session.run(number("select count(*) from a")), held, error)
      }
      var free = "false"
      for _ in 0..<1_000 where free == "false" {
        free = try await database.session(anyWork) { session throws(PostgresError) in
          try await session.run(lock)
        }
      }
      return (value, held, error, free)
    }
    #expect(value == 2)
    #expect(held == "false")
    #expect(error?.serverError?.sqlState == "22012")
    #expect(free == "true")
  }

  @Test("A session's statement is stopped when its call is cancelled")
  func cancelled() async throws {
    let error = try await withDatabase { database in
      let cancellation = Cancellation()
      database.loop.schedule(after: .milliseconds(50)) { cancellation.cancel(.cancelled) }
      let work = Work(scope: .none, deadline: nil, cancellation: cancellation)
      return await failure { () async throws(PostgresError) in
        try await database.session(work) { session throws(PostgresError) in
          try await session.simple("select pg_sleep(60)")
        }
      }
    }
    #expect(error == .cancelled)
  }

  @Test("Rows are copied in, and a writer that gives up leaves none")
  func copy() async throws {
    let (stored, sum, error, after) = try await withDatabase { database in
      try await database.session(anyWork) { session throws(PostgresError) in
        try await session.simple(
          "create table points (id int8 primary key, value float8, name text)")
        let sql = "copy points from stdin (format binary)"
        let stored = try await session.copyIn(sql) { writer throws(PostgresError) in
          for index in 0..<20_000 {
            var row = Parameters(capacityBytes: 64)
            row.append(int8: Int64(index))
            row.append(float8: Double(index) / 2)
            row.append(text: index % 2 == 0 ? nil : "point \(index)")
            try await writer.write(row)
          }
        }
        let sum = try await session.run(
          number("select (sum(value) + count(name))::int8 from points"))
        let error = await failure { () async throws(PostgresError) in
          try await session.copyIn(sql) { writer throws(PostgresError) in
            var row = Parameters()
            row.append(int8: -1)
            row.append(float8: 0)
            row.append(text: nil)
            try await writer.write(row)
            throw .busy
          }
        }
        let duplicate = await failure { () async throws(PostgresError) in
          try await session.copyIn(sql) { writer throws(PostgresError) in
            var row = Parameters()
            row.append(int8: 5)
            row.append(float8: 0)
            row.append(text: nil)
            try await writer.write(row)
          }
        }
        let after = try await session.run(number("select count(*) from points"))
        return (stored, sum, [error, duplicate], after)
      }
    }
    #expect(stored == 20_000 && after == 20_000)
    #expect(sum == 99_995_000 + 10_000)
    #expect(error[0] == .busy)
    #expect(error[1]?.violates("points_pkey") == true)
  }

  @Test("COPY in a pipeline is refused without harm to the next call")
  func copyInPipeline() async throws {
    let (error, value) = try await withDatabase { database in
      _ = try await database.commit(anyWork, change("create table points (n int4)"))
      let error = await failure { () async throws(PostgresError) in
        try await database.commit(anyWork, change("copy points from stdin"))
      }
      return (error, try await database.read(anyWork, text("select 'fine'")))
    }
    #expect(error == .configuration("COPY needs a session of its own"))
    #expect(value == "fine")
  }

  @Test("Notifications arrive in order, and a lost connection is told of and made again")
  func notifications() async throws {
    let (heard, reconnections) = try await withDatabase { database in
      let journal = Journal()
      let heard = Signal()
      var reconnections = 0
      let listener = database.listen(
        ["ups", "Downs \"x\""],
        onNotification: { channel, payload in
          journal.entries.append("\(channel) \(payload)")
          heard.notify()
        },
        onReconnected: {
          reconnections += 1
          heard.notify()
        })
      await until(heard) { reconnections > 0 }
      try await database.notify(channel: "ups", payload: "1")
      try await database.notify(channel: "Downs \"x\"", payload: "2")
      try await database.notify(channel: "others", payload: "3")
      listener.notify(channel: "ups", payload: "4")
      await until(heard) { journal.entries.count >= 3 }
      _ = try await database.read(
        anyWork,
        number(
          """
          select count(pg_terminate_backend(pid)) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()
          and (query like 'listen%' or query like '%pg_notify%')
          """))
      await until(heard) { reconnections >= 2 }
      listener.notify(channel: "ups", payload: "5")
      await until(heard) { journal.entries.count >= 4 }
      listener.close()
      return (journal.entries, reconnections)
    }
    #expect(heard == ["ups 1", "Downs \"x\" 2", "ups 4", "ups 5"])
    #expect(reconnections == 2)
  }
}
