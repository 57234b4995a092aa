import EventLoop
import Postgres
import TestSupport
import Testing

@Suite(.serialized) struct FaultTests {
  @Test("A session that is terminated inside a transaction ends it, certainly without its changes")
  func terminated() async throws {
    let (error, count) = try await withDatabase { database in
      _ = try await database.commit(anyWork, change("create table names (name text)"))
      let error = await failure { () async throws(PostgresError) in
        try await database.transaction(anyWork) { transaction throws(PostgresError) in
          _ = try await transaction.run(change("insert into names values ('a')"))
          let process = try await transaction.run(number("select pg_backend_pid()::int8"))
          _ = try await database.read(
            anyWork, text("select pg_terminate_backend(\(process))::text"))
          _ = try await transaction.run(text("select 'still there'"))
        }
      }
      return (error, try await database.read(anyWork, number("select count(*) from names")))
    }
    guard case .connectionLost(outcomeUnknown: false, let message) = error else {
      Issue.record("\(error as Any)")
      return
    }
    #expect(message.contains("terminating connection"))
    #expect(count == 0)
  }

  @Test("Units behind one that ends its own session did not run, and are run again elsewhere")
  func behindTheTerminated() async throws {
    let (outcomes, count, lost) = try await withDatabase(nil, { $0.poolSize = 1 }) { database in
      _ = try await database.commit(anyWork, change("create table names (name text)"))
      let journal = Journal()
      let done = Signal()
      database.loop.spawn {
        let error = await failure { () async throws(PostgresError) in
          try await database.commit(
            anyWork, change("select pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"))
        }
        journal.entries.append(error == nil ? "survived" : "ended")
        done.notify()
      }
      for _ in 0..<5 {
        database.loop.spawn {
          let error = await failure { () async throws(PostgresError) in
            try await database.commit(anyWork, change("insert into names values ('x')"))
          }
          journal.entries.append(error.map { "\($0)" } ?? "stored")
          done.notify()
        }
      }
      await until(done) { journal.entries.count >= 6 }
      let count = try await database.read(anyWork, number("select count(*) from names"))
      return (journal.entries, count, database.metrics.connectionsLost)
    }
    #expect(outcomes.sorted() == ["ended"] + Array(repeating: "stored", count: 5))
    #expect(count == 5)
    #expect(lost == 1)
  }

  @Test("A crash of the server fails calls quickly, and calls work again when it is back")
  func crash() async throws {
    let cluster = try TestCluster.start()
    defer { cluster.destroy() }
    let (before, lost, away, state, after) = try await withDatabase(
      cluster.connection, { $0.awayPatience = .milliseconds(200) }
    ) { database in
      let before = try await database.read(anyWork, text("select 'before'"))
      let journal = Journal()
      let done = Signal()
      database.loop.spawn {
        let error = await failure { () async throws(PostgresError) in
          try await database.commit(anyWork, change("select pg_sleep(30)"))
        }
        if case .connectionLost(let outcomeUnknown, _) = error {
          journal.entries.append(outcomeUnknown ? "unknown" : "not done")
        } else {
          journal.entries.append("\(error as Any)")
        }
        done.notify()
      }
      try cluster.kill()
      await until(done) { !journal.entries.isEmpty }
      let away = await failure { () async throws(PostgresError) in
        try await database.read(anyWork, text("select 'away'"))
      }
      let state = database.state
      await database.loop.offload { _ = try? cluster.resume() }
      try await database.waitUntilReady(patience: .seconds(20))
      return (
        before, journal.entries, away, state,
        try await database.read(anyWork, text("select 'after'"))
      )
    }
    #expect(before == "before" && after == "after")
    #expect(
      lost.count == 1 && ["unknown", "not done"].contains(lost[0]) || lost[0].contains("away"))
    guard case .away(let words) = away else {
      Issue.record("\(away as Any)")
      return
    }
    #expect(words.contains(cluster.folder))
    guard case .away(_, let lastError) = state else {
      Issue.record("\(state)")
      return
    }
    #expect(lastError.contains(cluster.folder))
  }

  @Test("Requests to stop statements that nobody answers keep no look-up waiting")
  func unansweredRequests() async throws {
    let cluster = try TestCluster.start()
    defer { cluster.destroy() }
    let (errors, isFree) = try await withDatabase(
      cluster.connection, { $0.poolSize = 10 }
    ) { database in
      let cancellation = Cancellation()
      let work = Work(scope: .none, deadline: nil, cancellation: cancellation)
      let journal = Journal()
      let done = Signal()
      // More than there are helpers of a loop.
      for _ in 0..<8 {
        database.loop.spawn {
          let error = await failure { () async throws(PostgresError) in
            try await database.transaction(work) { transaction throws(PostgresError) in
              _ = try await transaction.run(text("select pg_sleep(60)::text"))
            }
          }
          journal.entries.append("\(error as Any)")
          done.notify()
        }
      }
      let sleepers = number(
        "select count(*) from pg_stat_activity where query like 'select pg_sleep%'")
      while try await database.read(anyWork, sleepers) < 8 {}
      try cluster.freeze(true)
      defer { try? cluster.freeze(false) }
      cancellation.cancel(.cancelled)
      await until(done) { journal.entries.count == 8 }
      let errors = Set(journal.entries)
      journal.entries = []
      database.loop.spawn {
        await database.loop.offload {}
        journal.entries.append("free")
      }
      return (errors, await eventually(database.loop) { !journal.entries.isEmpty })
    }
    #expect(errors == ["Optional(\(PostgresError.cancelled))"])
    #expect(isFree)
  }

  @Test("A server that an administrator stops is waited for, and a read in between succeeds")
  func restart() async throws {
    let cluster = try TestCluster.start()
    defer { cluster.destroy() }
    let values = try await withDatabase(
      cluster.connection, { $0.awayPatience = .seconds(30) }
    ) { database in
      var values = [try await database.read(anyWork, text("select 'before'"))]
      try cluster.stop()
      let journal = Journal()
      let done = Signal()
      database.loop.spawn {
        journal.entries.append(
          (try? await database.read(anyWork, text("select 'waited'"))) ?? "failed")
        done.notify()
      }
      await database.loop.offload { _ = try? cluster.resume() }
      await until(done) { !journal.entries.isEmpty }
      values += journal.entries
      return values
    }
    #expect(values == ["before", "waited"])
  }

  @Test("A wrong password, path, name, port list or string gives an error that names the thing")
  func refusals() async throws {
    let cluster = try TestCluster.start(access: ["local all locked scram-sha-256"])
    defer { cluster.destroy() }
    try cluster.sql("create role locked login password 'right'")
    func words(_ connection: String) async throws -> String {
      try await onLoop { loop in
        let settings = DatabaseSettings(connection: connection)
        do {
          let database = try Database(
            loop: loop, settings: settings, shared: DatabaseShared(settings, loops: 1))
          database.start()
          defer { database.close() }
          _ = await eventually(loop) { database.state != .connecting }
          try await database.waitUntilReady(patience: .zero)
          return "ready"
        } catch PostgresError.away(let words) {
          return words
        } catch PostgresError.configuration(let words) {
          return words
        }
      }
    }
    let base = "host=\(cluster.folder) dbname=postgres"
    #expect(try await words("\(base) user=locked password=right") == "ready")
    let wrong = try await words("\(base) user=locked password=wrong")
    #expect(wrong.contains("password authentication failed for user \"locked\""))
    #expect(!wrong.contains("wrong"))
    #expect(try await words("host=/tmp/no-such-folder").contains("/tmp/no-such-folder"))
    #expect(try await words("\(base) dbname=missing user=postgres").contains("\"missing\""))
    #expect(try await words("host=no-such-host.invalid").contains("no-such-host.invalid"))
    #expect(try await words("host=/a,/b port=1,2,3").contains("port"))
    #expect(try await words("postgres://[").contains("connection string"))
    #expect(try await words("host=/tmp nonsense=1").contains("nonsense"))
  }

  @Test("Of several hosts the one that answers and is writable is used")
  func severalHosts() async throws {
    let cluster = try TestCluster.shared()
    let standby = try TestCluster.start(settings: ["default_transaction_read_only = on"])
    defer { standby.destroy() }
    guard !cluster.folder.isEmpty else { return }
    let hosts = "/tmp/no-such-folder,\(standby.folder),\(cluster.folder)"
    let seen = try await withDatabase(
      "host=\(hosts) user=postgres dbname=postgres target_session_attrs=read-write"
    ) { database in
      try await database.read(anyWork, text("show unix_socket_directories"))
    }
    #expect(seen == cluster.folder)
  }
}
