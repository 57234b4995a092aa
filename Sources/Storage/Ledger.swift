internal import Postgres

/// The table in which a database remembers its migrations.
struct Ledger {
  private let session: Session

  init(_ session: Session) {
    self.session = session
  }

  /// Makes the table where it is missing.
  ///
  /// Whoever may become the schema's owner may write it, and a server that only serves may read it.
  func create() async throws(MigrationError) {
    do throws(PostgresError) {
      if try await !exists() {
        try await session.simple(
          """
          create table public.schema_migrations (
              version bigint not null,
              name text not null,
              checksum text not null,
              applied_at timestamptz not null default clock_timestamp(),
              duration_ms bigint not null,
              constraint schema_migrations_pkey primary key (version)
          );
          grant select on public.schema_migrations to public
          """)
      }
    } catch {
      throw .database(error)
    }
  }

  /// Reads what was applied and compares it with what is known.
  func status(_ migrations: [Migration]) async throws(MigrationError) -> MigrationStatus {
    do throws(PostgresError) {
      let applied = try await exists() ? session.run(Ledger.read) : []
      return MigrationStatus(known: migrations, applied: applied)
    } catch {
      throw .database(error)
    }
  }

  /// Remembers a migration.
  func record(_ migration: Migration, duration: Duration) async throws(PostgresError) {
    var parameters = Parameters()
    parameters.append(int8: Int64(migration.version))
    parameters.append(text: migration.name)
    parameters.append(text: migration.checksum)
    parameters.append(int8: duration.milliseconds)
    _ = try await session.run(Query(Ledger.insert, parameters))
    if migration.version == 1 { try await session.simple(Ledger.share) }
  }

  /// Forgets a migration that was undone.
  func forget(_ migration: Migration) async throws(PostgresError) {
    var parameters = Parameters()
    parameters.append(int8: Int64(migration.version))
    _ = try await session.run(Query(Ledger.delete, parameters))
  }

  private func exists() async throws(PostgresError) -> Bool {
    try await session.run(Ledger.find)
  }

  // MARK: Statements. The server infers the types of their parameters.

  private static let find = Query(
    Statement(
      computed: "storage.findLedger",
      sql: "select to_regclass('public.schema_migrations') is not null", parameters: []),
    Parameters()
  ) { reply throws(PostgresError) in
    try reply.one { row throws(PostgresError) in try row.bool(0) }
  }

  private static let read = Query(
    Statement(
      computed: "storage.readLedger",
      sql: """
        select version, name, checksum, applied_at, duration_ms
        from public.schema_migrations
        order by version
        """, parameters: []),
    Parameters()
  ) { reply throws(PostgresError) in
    try reply.many { row throws(PostgresError) in
      AppliedMigration(
        version: Int(try row.int8(0)), name: try row.text(1), checksum: try row.text(2),
        appliedAt: try row.timestamp(3), duration: try row.int8(4))
    }
  }

  private static let insert = Statement(
    computed: "storage.recordMigration",
    sql: """
      insert into public.schema_migrations (version, name, checksum, duration_ms)
      values ($1, $2, $3, $4)
      """, parameters: [0, 0, 0, 0])

  private static let delete = Statement(
    computed: "storage.forgetMigration",
    sql: "delete from public.schema_migrations where version = $1", parameters: [0])

  /// The first migration makes the owner's role; another administrator may run the next ones.
  private static let share = """
    do $$
    begin
        if exists (select from pg_roles where rolname = 'needletail_owner') then
            grant insert, delete on public.schema_migrations to needletail_owner;
        end if;
    end;
    $$
    """
}
