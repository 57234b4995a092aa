import EventLoop
import Postgres
import TestSupport
import Testing

/// Reads that share a transaction, on a pool of one connection.
@Suite struct SharedTransactionTests {
  /// What a read saw, or the SQLSTATE with which it failed.
  private typealias Seen = (text: String, transaction: String)

  // PostgreSQL's number for the type.
  private static let text: UInt32 = 25
  // The second column names the transaction.
  private static let organization = Statement(
    "test.organization",
    """
    select ($1 || current_setting('needletail.organization_id'))::text, \
    (select virtualtransaction from pg_locks \
    where pid = pg_backend_pid() and locktype = 'virtualxid' limit 1)
    """, parameters: [text], columns: [text, text])
  private static let timeout = Statement(
    "test.timeout",
    """
    select ($1 || extract(epoch from current_setting('statement_timeout')::interval) * 1000)\
    ::text, \
    (select virtualtransaction from pg_locks \
    where pid = pg_backend_pid() and locktype = 'virtualxid' limit 1)
    """, parameters: [text], columns: [text, text])
  private static let quotient = Statement(
    "test.quotient",
    """
    select (12 / $1::int4)::text, \
    (select virtualtransaction from pg_locks \
    where pid = pg_backend_pid() and locktype = 'virtualxid' limit 1)
    """, parameters: [text], columns: [text, text])
  private static let sleep = Statement(
    "test.sleep",
    """
    select (pg_sleep($1::float8))::text, \
    (select virtualtransaction from pg_locks \
    where pid = pg_backend_pid() and locktype = 'virtualxid' limit 1)
    """, parameters: [text], columns: [text, text])

  private static func query(_ statement: Statement, _ parameter: String) -> Query<Seen> {
    var parameters = Parameters()
    parameters.append(text: parameter)
    return Query(statement, parameters) { reply throws(PostgresError) in
      try reply.one { row throws(PostgresError) in (try row.text(0), try row.text(1)) }
    }
  }

  /// Runs all reads in one turn; their outcomes in their order.
  private static func together(
    _ database: Database, _ reads: [(work: Work, query: Query<Seen>)]
  ) async -> [Seen] {
    var outcomes = [Seen?](repeating: nil, count: reads.count)
    let done = Signal()
    var left = reads.count
    for (index, read) in reads.enumerated() {
      database.loop.spawn {
        do throws(PostgresError) {
          outcomes[index] = try await database.read(read.work, read.query)
        } catch {
          outcomes[index] = (error.serverError?.sqlState ?? "\(error)", "")
        }
        left -= 1
        done.notify()
      }
    }
    await until(done) { left == 0 }
    return outcomes.compactMap { $0 }
  }

  /// Repeats `round` until its reads shared transactions, as they do once they are known to be
  /// quick; a machine that is busy may measure a statement as slow for a while.
  private static func untilShared(
    _ database: Database, _ round: () async -> [Seen]
  ) async -> [Seen] {
    let limit = database.loop.now.advanced(by: .seconds(20))
    while true {
      let seen = await round()
      if hasSharers(seen) || database.loop.now > limit { return seen }
    }
  }

  /// Whether two reads that succeeded were in one transaction.
  private static func hasSharers(_ seen: [Seen]) -> Bool {
    let transactions = seen.map(\.transaction).filter { !$0.isEmpty }
    return Set(transactions).count < transactions.count
  }

  private static func withOneConnection<Value: Sendable>(
    _ adjust: @escaping @Sendable (inout DatabaseSettings) -> Void = { _ in },
    _ body: @escaping @Sendable (Database) async throws -> Value
  ) async throws -> Value {
    try await withDatabase(
      nil,
      {
        $0.poolSize = 1
        $0.overflow = 0
        adjust(&$0)
      },
      { database in
        try await database.waitUntilReady(patience: .seconds(10))
        return try await body(database)
      })
  }

  private static func work(
    _ organization: UUID? = nil, deadline: Instant? = nil
  ) -> Work {
    Work(
      scope: organization.map { .organization($0) } ?? .none, deadline: deadline,
      cancellation: nil)
  }

  @Test(
    "Quick reads of one turn share transactions, as many as the setting says", arguments: [1, 4])
  func shares(_ limit: Int) async throws {
    let sizes = try await Self.withOneConnection({ $0.readsPerTransaction = limit }) { database in
      let reads = (0..<16).map { _ in (Self.work(), Self.query(Self.quotient, "3")) }
      _ = await Self.together(database, [reads[0]])
      var seen: [Seen] = []
      if limit > 1 {
        seen = await Self.untilShared(database) { await Self.together(database, reads) }
      } else {
        seen = await Self.together(database, reads)
      }
      return Dictionary(grouping: seen, by: \.transaction).values.map(\.count)
    }
    #expect(sizes.reduce(0, +) == 16)
    #expect(sizes.max() == limit)
  }

  @Test("Each read of a shared transaction sees its own organization, in whatever order they come")
  func organizations() async throws {
    let ids = try (1...3).map { index in
      try #require(UUID("018f0000-0000-7000-8000-00000000000\(index)"))
    }
    var generator = SystemRandomNumberGenerator()
    let order = (0..<60).map { _ in Int.random(in: 0...3, using: &generator) }
    let (seen, shared) = try await Self.withOneConnection { database in
      let reads = order.enumerated().map { index, organization in
        (
          Self.work(organization < 3 ? ids[organization] : nil),
          Self.query(Self.organization, "\(index):")
        )
      }
      _ = await Self.together(database, [reads[0]])
      let seen = await Self.untilShared(database) { await Self.together(database, reads) }
      return (seen.map(\.text), Self.hasSharers(seen))
    }
    #expect(shared)
    #expect(
      seen
        == order.enumerated().map { index, organization in
          "\(index):" + (organization < 3 ? ids[organization].description : "")
        })
  }

  @Test("A read that fails in a shared transaction fails alone")
  func failure() async throws {
    let (seen, shared) = try await Self.withOneConnection { database in
      let reads = (0..<30).map { index in
        (Self.work(), Self.query(Self.quotient, index % 10 == 4 ? "0" : "\(index % 3 + 1)"))
      }
      _ = await Self.together(database, [reads[0]])
      let seen = await Self.untilShared(database) { await Self.together(database, reads) }
      return (seen.map(\.text), Self.hasSharers(seen))
    }
    #expect(shared)
    #expect(seen == (0..<30).map { $0 % 10 == 4 ? "22012" : "\(12 / ($0 % 3 + 1))" })
  }

  @Test("A read that takes too long in a shared transaction is late alone")
  func lateness() async throws {
    let seen = try await Self.withOneConnection { database in
      let quick = Self.query(Self.sleep, "0")
      _ = await Self.together(database, [(Self.work(), quick)])
      _ = await Self.untilShared(database) {
        await Self.together(database, [(Self.work(), quick), (Self.work(), quick)])
      }
      let late = (
        Self.work(deadline: database.loop.now.advanced(by: .milliseconds(200))),
        Self.query(Self.sleep, "60")
      )
      return await Self.together(
        database, [(Self.work(), quick), late, (Self.work(), quick), (Self.work(), quick)]
      ).map(\.text)
    }
    #expect(seen == ["", "\(PostgresError.deadlineExceeded)", "", ""])
  }

  @Test("The server allows each read of a shared transaction its own time, and an eighth at most")
  func timeouts() async throws {
    let seconds = [1, 2, 2, 7, 20, 1]
    let seen = try await Self.withOneConnection { database in
      let warm = (Self.work(), Self.query(Self.timeout, ""))
      _ = await Self.together(database, [warm])
      return await Self.untilShared(database) {
        let now = database.loop.now
        return await Self.together(
          database,
          seconds.map {
            (Self.work(deadline: now.advanced(by: .seconds($0))), Self.query(Self.timeout, ""))
          })
      }.map(\.text)
    }
    #expect(seen.count == seconds.count)
    for (text, seconds) in zip(seen, seconds) {
      let milliseconds = try #require(Double(text))
      // The deadline is counted from the turn that sends the read.
      #expect(milliseconds > Double(seconds) * 500)
      #expect(milliseconds <= Double(seconds) * 1_125)
    }
  }

  @Test("A change between reads is a transaction of its own, which a failing read does not undo")
  func changes() async throws {
    let (outcomes, stored) = try await Self.withOneConnection { database in
      _ = try await database.commit(anyWork, change("create table kept (n int4)"))
      let bad = (Self.work(), Self.query(Self.quotient, "0"))
      let good = (Self.work(), Self.query(Self.quotient, "2"))
      _ = await Self.together(database, [good])
      var outcomes: [[String]] = []
      for number in 0..<20 {
        let committed = Signal()
        var isCommitted = false
        database.loop.spawn {
          // Queued behind the first reads below and before the last.
          _ = try? await database.commit(
            anyWork, change("insert into kept values (\(number))"))
          isCommitted = true
          committed.notify()
        }
        outcomes.append(await Self.together(database, [good, bad, good]).map(\.text))
        await until(committed) { isCommitted }
      }
      return (outcomes, try await database.read(anyWork, number("select count(*) from kept")))
    }
    #expect(outcomes == Array(repeating: ["6", "22012", "6"], count: 20))
    #expect(stored == 20)
  }
}
