import EventLoop
import Postgres
import TestSupport
import Testing

@Suite struct PipelineTests {
  @Test("A read sees its own organization and its time limit, and nothing is left of them")
  func scope() async throws {
    let organization = try #require(UUID("018f0000-0000-7000-8000-000000000001"))
    let seen = try await withDatabase { database in
      let setting = "select current_setting('needletail.organization_id', true)"
      let limited = Work(
        scope: .organization(organization),
        deadline: database.loop.now.advanced(by: .seconds(7)), cancellation: nil)
      return [
        try await database.read(limited, text(setting)),
        try await database.read(
          limited,
          text("select (current_setting('statement_timeout') ~ '^(7s|6[0-9]{3}ms)$')::text")),
        try await database.read(anyWork, text(setting)),
      ]
    }
    #expect(seen == [organization.description, "true", ""])
  }

  @Test("An error spoils its own unit alone, however many share the connection")
  func isolation() async throws {
    let outcomes = try await withDatabase(nil, { $0.poolSize = 1 }) { database -> [String] in
      try await database.waitUntilReady(patience: .seconds(10))
      let journal = Journal()
      let done = Signal()
      for index in 0..<30 {
        database.loop.spawn {
          let sql = index % 3 == 1 ? "select (1/0)::text" : "select '\(index)'"
          let outcome: String
          do throws(PostgresError) {
            outcome = try await database.read(anyWork, text(sql))
          } catch {
            outcome = error.serverError?.sqlState ?? "\(error)"
          }
          journal.entries.append(outcome)
          done.notify()
        }
      }
      await until(done) { journal.entries.count == 30 }
      return journal.entries
    }
    #expect(outcomes == (0..<30).map { $0 % 3 == 1 ? "22012" : "\($0)" })
  }

  @Test(
    "A deferred constraint that fails at the commit is an error, in a batch and in a transaction")
  func deferred() async throws {
    let (errors, count) = try await withDatabase { database -> ([PostgresError?], Int64) in
      _ = try await database.commit(
        anyWork,
        change(
          """
          create table parts (id int4 primary key, parent int4 constraint parts_parent_fkey
          references parts deferrable initially deferred)
          """))
      let broken = change("insert into parts values (1, 7)")
      var batch = Batch()
      batch.add(broken)
      let inBatch = await failure { () async throws(PostgresError) in
        try await database.commit(anyWork, batch)
      }
      let inTransaction = await failure { () async throws(PostgresError) in
        try await database.transaction(anyWork) { transaction throws(PostgresError) in
          try await transaction.run(broken)
        }
      }
      return (
        [inBatch, inTransaction],
        try await database.read(anyWork, number("select count(*) from parts"))
      )
    }
    for error in errors {
      #expect(error?.violates("parts_parent_fkey") == true)
      #expect(error?.isForeignKeyViolation == true)
    }
    #expect(count == 0)
  }

  @Test("Commits that fail one behind the other on one connection all say so")
  func deferredInARow() async throws {
    let outcomes = try await withDatabase(nil, { $0.poolSize = 1 }) { database in
      _ = try await database.commit(
        anyWork,
        change(
          "create table once (n int4 constraint once_key unique deferrable initially deferred)"))
      _ = try await database.commit(anyWork, change("insert into once values (1)"))
      let journal = Journal()
      let done = Signal()
      for index in 0..<20 {
        database.loop.spawn {
          let error = await failure { () async throws(PostgresError) in
            try await database.commit(
              anyWork, change("insert into once values (\(index % 4 == 3 ? index : 1))"))
          }
          journal.entries.append(error?.serverError?.constraint ?? "stored")
          done.notify()
        }
      }
      await until(done) { journal.entries.count == 20 }
      return journal.entries
    }
    #expect(outcomes == (0..<20).map { $0 % 4 == 3 ? "stored" : "once_key" })
  }

  @Test("A batch is one transaction: its last error undoes its first change")
  func batch() async throws {
    let (values, error, count) = try await withDatabase { database in
      _ = try await database.commit(
        anyWork, change("create table names (name text constraint names_key unique)"))
      var good = Batch()
      let inserted = good.add(change("insert into names values ('a'), ('b')"))
      let read = good.add(text("select string_agg(name, ',') from names"))
      try await database.commit(anyWork, good)
      var bad = Batch()
      bad.add(change("insert into names values ('c')"))
      bad.add(change("insert into names values ('a')"))
      let error = await failure { () async throws(PostgresError) in
        try await database.commit(anyWork, bad)
      }
      return (
        "\(inserted.value) \(read.value)", error,
        try await database.read(anyWork, number("select count(*) from names"))
      )
    }
    #expect(values == "2 a,b")
    #expect(error?.isUniqueViolation == true && error?.violates("names_key") == true)
    #expect(error?.serverError?.table == "names")
    #expect(count == 2)
  }

  @Test("A statement that does not parse tells why, each time, and harms nobody")
  func unpreparable() async throws {
    let broken = Query<Int>(
      Statement("test.broken", "selec 1", parameters: [], columns: []), Parameters())
    let (states, after) = try await withDatabase(nil, { $0.poolSize = 1 }) { database in
      var states: [String?] = []
      for _ in 0..<3 {
        let error = await failure { () async throws(PostgresError) in
          try await database.read(anyWork, broken)
        }
        states.append(error?.serverError?.sqlState)
      }
      return (states, try await database.read(anyWork, text("select 'fine'")))
    }
    #expect(states == ["42601", "42601", "42601"])
    #expect(after == "fine")
  }

  @Test("A prepared statement survives the change of the table that it was planned for")
  func stalePlan() async throws {
    let query = Query<Int>(
      Statement("test.stale", "select * from shapes", parameters: [], columns: []), Parameters())
    let rows = try await withDatabase { database in
      _ = try await database.commit(anyWork, change("create table shapes (a int4)"))
      _ = try await database.commit(anyWork, change("insert into shapes values (1)"))
      var rows = [try await database.read(anyWork, query)]
      _ = try await database.commit(anyWork, change("alter table shapes add column b text"))
      rows.append(try await database.read(anyWork, query))
      return rows
    }
    #expect(rows == [1, 1])
  }

  @Test("A column of another type than the generated code expects is refused, not misread")
  func columnTypes() async throws {
    let query = Query<Int64>(
      Statement("test.types", "select 1::float8 as ratio", parameters: [], columns: [20]),
      Parameters()
    ) { reply throws(PostgresError) in
      try reply.one { row throws(PostgresError) in try row.int8(0) }
    }
    let error = try await withDatabase { database in
      await failure { () async throws(PostgresError) in try await database.read(anyWork, query) }
    }
    #expect(
      error
        == .decoding(
          statement: "test.types", column: "ratio", problem: "has type 701 in place of 20"))
  }
}

/// Collects what happens on a loop, in order.
final class Journal {
  var entries: [String] = []
}
