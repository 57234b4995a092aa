import EventLoop
import Postgres
import TestSupport
import Testing

@Suite struct PgBouncerTests {
  @Test(
    "Behind PgBouncer in transaction mode, units, transactions and wake-ups work side by side",
    .enabled(if: PgBouncer.isInstalled, "pgbouncer is not installed"))
  func transactionMode() async throws {
    let cluster = try TestCluster.start()
    defer { cluster.destroy() }
    let bouncer = try PgBouncer(before: cluster, serverConnections: 2)
    defer { bouncer.stop() }
    try cluster.sql("create role bounced nologin; create table names (name text unique);")
    try cluster.sql("grant all on names to bounced")
    let (seen, outcomes, count) = try await withDatabase(
      bouncer.connection,
      {
        $0.directConnection = cluster.connection
        $0.preparesStatements = false
        $0.role = "bounced"
        $0.poolSize = 6
      }
    ) { database in
      let journal = Journal()
      let done = Signal()
      let organizations = (0..<60).map { UUID(high: 7, low: UInt64($0)) }
      for (index, organization) in organizations.enumerated() {
        database.loop.spawn {
          let work = Work(scope: .organization(organization), deadline: nil, cancellation: nil)
          let sql =
            index % 10 == 3
            ? "select (1/0)::text"
            : "select current_user || current_setting('needletail.organization_id')"
          let outcome = try? await database.read(work, text(sql))
          journal.entries.append(
            index % 10 == 3
              ? "\(outcome == nil)" : "\(outcome == "bounced\(organization)")")
          done.notify()
        }
      }
      await until(done) { journal.entries.count >= organizations.count }
      let outcomes = try await changeAndListen(database)
      let count = try await database.read(anyWork, number("select count(*) from names"))
      return (journal.entries, outcomes, count)
    }
    #expect(seen == Array(repeating: "true", count: 60))
    #expect(outcomes == ["unique", "abc", "heard"])
    #expect(count == 3)
  }

  /// A change that is refused, a transaction, and a notification: what came of each.
  private func changeAndListen(_ database: Database) async throws(PostgresError) -> [String] {
    var outcomes: [String] = []
    var batch = Batch()
    batch.add(change("insert into names values ('a')"))
    batch.add(change("insert into names values ('b')"))
    try await database.commit(anyWork, batch)
    let again = await failure { () async throws(PostgresError) in
      try await database.commit(anyWork, batch)
    }
    outcomes.append(again?.isUniqueViolation == true ? "unique" : "\(again as Any)")
    let value = try await database.transaction(anyWork) { transaction throws(PostgresError) in
      _ = try await transaction.run(change("insert into names values ('c')"))
      return try await transaction.run(text("select string_agg(name, '') from names"))
    }
    outcomes.append(value)
    let heard = Signal()
    let listener = database.listen(
      ["ups"],
      onNotification: { _, payload in
        outcomes.append(payload); heard.notify()
      },
      onReconnected: { heard.notify() })
    await until(heard) { listener.isListening }
    listener.notify(channel: "ups", payload: "heard")
    await until(heard) { outcomes.count >= 3 }
    listener.close()
    return outcomes
  }
}
