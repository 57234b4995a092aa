import EventLoop
import Postgres
import Storage
import TestSupport
import Testing

/// Runs `body` with a database on a loop of its own.
func withDatabase<Value: Sendable>(
  _ connection: String, _ body: @escaping @Sendable (Database) async throws -> Value
) async throws -> Value {
  try await onLoop { loop in
    let settings = DatabaseSettings(connection: connection)
    let database = try Database(
      loop: loop, settings: settings, shared: DatabaseShared(settings, loops: 1))
    return try await body(database)
  }
}

/// Settings that do not let a test wait.
var impatient: MigratorSettings {
  var settings = MigratorSettings()
  settings.patience = .milliseconds(50)
  settings.lockTimeout = .milliseconds(50)
  settings.pause = .milliseconds(1)
  settings.attemptsMax = 3
  return settings
}

/// Small migrations: a table each.
func steps(_ count: Int) -> [Migration] {
  (1...count).map { version in
    Migration(
      version: version, name: "step_\(version)", checksum: "sum \(version)",
      up: "create table step_\(version) (id bigint);", down: "drop table step_\(version);")
  }
}

func migrator(_ database: Database, _ migrations: [Migration]) -> Migrator {
  Migrator(database, migrations: migrations, settings: impatient)
}

/// The error that `body` throws, if it throws one.
func failure<Value>(_ body: () async throws -> Value) async -> MigrationError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error as? MigrationError
  }
}

/// Runs `body` while `sql` has locked something in a session of its own.
func holding(
  _ sql: String, _ database: Database, _ body: () async throws -> Void
) async throws {
  let work = Work(scope: .none, deadline: nil, cancellation: nil)
  var failure: (any Error)?
  try await database.session(work) { session throws(PostgresError) in
    try await session.simple(sql)
    do {
      try await body()
    } catch {
      failure = error
    }
  }
  if let failure { throw failure }
}

/// The migrator against a real server.
struct MigratorTests {
  let cluster: TestCluster
  let connection: String

  init() throws {
    cluster = try TestCluster.shared()
    connection = try cluster.createDatabase()
  }

  func tables() throws -> [String] {
    try cluster.sql(
      "select relname from pg_class where relname like 'step%' and relkind = 'r' order by 1",
      in: connection
    ).split(separator: "\n").map(String.init)
  }

  @Test("The program's own migrations go up, down and up again, and verify at the end")
  func embedded() async throws {
    // Its roles belong to the whole cluster, which others use meanwhile.
    let own = try TestCluster.start()
    defer { own.destroy() }
    try await withDatabase(own.createDatabase()) { database async throws in
      let migrator = migrator(database, Migration.embedded)
      let all = Migration.embedded.map(\.version)
      #expect(try await migrator.status().pending.map(\.version) == all)
      #expect(try await migrator.up(to: nil).map(\.version) == all)
      #expect(try await migrator.verify().version == all.count)
      #expect(try await migrator.up(to: nil).isEmpty)
      #expect(try await migrator.down(to: 0).map(\.version) == all.reversed())
      #expect(try await migrator.up(to: nil).map(\.version) == all)
      let status = try await migrator.verify()
      #expect(status.applied.map(\.checksum) == Migration.embedded.map(\.checksum))
      #expect(status.applied.allSatisfy { $0.duration >= 1 && $0.appliedAt > 0 })
    }
  }

  @Test("Migrations stop at the version asked for, in both directions")
  func targets() async throws {
    try await withDatabase(connection) { database async throws in
      let migrator = migrator(database, steps(4))
      #expect(try await migrator.up(to: 2).map(\.version) == [1, 2])
      #expect(try await migrator.up(to: 3).map(\.version) == [3])
      #expect(try await migrator.down(to: 1).map(\.version) == [3, 2])
      #expect(
        await failure { try await migrator.up(to: 5) }
          == .unknownVersion(5, newest: 4))
      #expect(
        await failure { try await migrator.down(to: -1) }
          == .unknownVersion(-1, newest: 4))
      #expect(
        await failure { try await migrator.verify() }
          == .schemaIsOlder(applied: 1, needed: 4))
    }
    #expect(try tables() == ["step_1"])
  }

  @Test("A migration that fails leaves nothing of itself, and the ones before it stay")
  func failing() async throws {
    try await withDatabase(connection) { database async throws in
      var migrations = steps(3)
      migrations[1].up = "create table step_2 (id bigint); select 1 / 0;"
      let error = await failure {
        try await migrator(database, migrations).up(to: nil)
      }
      guard case .failed("0002_step_2", let report) = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(report.sqlState == "22012")
      #expect(try await migrator(database, migrations).status().version == 1)
      #expect(try await migrator(database, steps(3)).up(to: nil).map(\.version) == [2, 3])
    }
    #expect(try tables() == ["step_1", "step_2", "step_3"])
  }

  @Test("A migration that was changed after it had been applied is refused, by name")
  func changed() async throws {
    try await withDatabase(connection) { database async throws in
      _ = try await migrator(database, steps(2)).up(to: nil)
      var migrations = steps(3)
      migrations[1].checksum = "another"
      let expected = MigrationError.changed(migration: "0002_step_2", applied: "step_2")
      let migrator = migrator(database, migrations)
      #expect(await failure { try await migrator.up(to: nil) } == expected)
      #expect(await failure { try await migrator.down(to: 0) } == expected)
      #expect(await failure { try await migrator.verify() } == expected)
      #expect(expected.description.contains("0002_step_2"))
    }
  }

  @Test("A newer schema can be served but neither raised nor lowered")
  func newer() async throws {
    try await withDatabase(connection) { database async throws in
      _ = try await migrator(database, steps(3)).up(to: nil)
      let old = migrator(database, steps(2))
      let expected = MigrationError.schemaIsNewer(applied: 3, known: 2)
      #expect(await failure { try await old.up(to: nil) } == expected)
      #expect(await failure { try await old.down(to: 0) } == expected)
      let status = try await old.verify()
      #expect((status.version, status.newestVersion) == (3, 2))
    }
  }

  @Test("A record that somebody removed by hand is noticed")
  func gap() async throws {
    let cluster = cluster, connection = connection
    try await withDatabase(connection) { database async throws in
      _ = try await migrator(database, steps(3)).up(to: nil)
      try cluster.sql("delete from schema_migrations where version = 2", in: connection)
      let migrator = migrator(database, steps(3))
      #expect(await failure { try await migrator.verify() } == .gap(missing: 2))
    }
  }

  @Test("Two migrators of one database run one after the other, or the second gives up")
  func locked() async throws {
    try await withDatabase(connection) { database async throws in
      try await holding("select pg_advisory_lock(7954875798809572449)", database) {
        () async throws in
        #expect(await failure { try await migrator(database, steps(1)).up(to: nil) } == .locked)
      }
      #expect(try await migrator(database, steps(1)).up(to: nil).count == 1)
    }
  }

  @Test("A lock on a table is waited for a few times, and then named")
  func tableLock() async throws {
    try await withDatabase(connection) { database async throws in
      _ = try await migrator(database, steps(1)).up(to: nil)
      var migrations = steps(2)
      migrations[1].up = "alter table step_1 add column name text;"
      let blocked = migrator(database, migrations)
      try await holding("begin; lock table step_1", database) { () async throws in
        let error = await failure { try await blocked.up(to: nil) }
        guard case .failed("0002_step_2", let report) = error else {
          Issue.record("\(String(describing: error))")
          return
        }
        #expect(report.sqlState == "55P03")
      }
      #expect(try await blocked.up(to: nil).map(\.version) == [2])
    }
  }

  @Test("A migration that says so runs outside of a transaction")
  func withoutTransaction() async throws {
    try await withDatabase(connection) { database async throws in
      var migrations = steps(2)
      migrations[1].up =
        "-- needletail:no-transaction\n"
        + "create index concurrently if not exists step_2 on step_1 (id);"
      migrations[1].down = "drop index step_2;"
      let migrator = migrator(database, migrations)
      #expect(try await migrator.up(to: nil).map(\.version) == [1, 2])
      #expect(try await migrator.down(to: 0).map(\.version) == [2, 1])
    }
  }

  @Test("A program that may only serve can see whether it fits the schema")
  func readOnly() async throws {
    try cluster.sql(
      "do $$ begin create role reader login; exception when duplicate_object then null; end $$")
    let name = try cluster.sql("select current_database()", in: connection)
      .split(separator: "\n").joined()
    try await withDatabase(connection) { database async throws in
      _ = try await migrator(database, steps(2)).up(to: nil)
    }
    let reader = cluster.connectionString(database: name, user: "reader")
    try await withDatabase(reader) { database async throws in
      #expect(try await migrator(database, steps(2)).verify().version == 2)
      let error = await failure {
        try await migrator(database, steps(3)).up(to: nil)
      }
      guard case .failed(_, let report) = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(report.sqlState == "42501")
    }
  }
}
