import EventLoop
import Identity
import Postgres
import Storage
import TestSupport
import Testing

@testable import RPC
@testable import Tracking

/// Searches in a migrated database, as the application's role: what they find, and in which order,
/// is what the model finds.
@Suite(.serialized)
struct SearchPropertyTests {
  private static let runCount = 150
  private static let searches = 400

  let cluster: TestCluster
  let connection: String
  let organizationID: UUID
  let runs: [ModelRun]

  init() async throws {
    cluster = try TestCluster.start()
    connection = try cluster.createDatabase()
    let made = try await Self.with(connection, role: nil) { database in
      let migrator = Migrator(
        database, migrations: Migration.embedded, settings: MigratorSettings())
      return try await migrator.up(to: nil)
    }
    #expect(!made.isEmpty)
    let installation = try await Self.with(connection, role: "needletail_maintenance") { database in
      try await Bootstrap.run(database, whenThere: .addKey)
    }
    organizationID = installation.organizationID
    var draws = SearchDraws(random: SplitMix(seed: 0x5EA2C4))
    var runs: [ModelRun] = []
    for number in 0..<Self.runCount {
      runs.append(draws.run(UUID(high: 0x0190_0000_0000_7000, low: 1 << 63 | UInt64(number))))
    }
    self.runs = runs
    let project = try #require(installation.projectID)
    try cluster.sql(Self.insertion(runs, organizationID, project), in: connection)
  }

  static func with<Value: Sendable>(
    _ connection: String, role: String?,
    _ body: @escaping @Sendable (Database) async throws -> Value
  ) async throws -> Value {
    try await onLoop { loop in
      var settings = DatabaseSettings(connection: connection)
      settings.role = role
      settings.poolSize = 1
      let database = try Database(
        loop: loop, settings: settings, shared: DatabaseShared(settings, loops: 1))
      database.start()
      defer { database.close() }
      return try await body(database)
    }
  }

  private static func literal(_ text: String) -> String {
    let parts = text.split(separator: "'", omittingEmptySubsequences: false)
    return "'" + parts.joined(separator: "''") + "'"
  }

  private static func time(_ microseconds: Int64?) -> String {
    microseconds.map { "needletail_time(\($0))" } ?? "null"
  }

  private static func insertion(
    _ runs: [ModelRun], _ organization: UUID, _ project: UUID
  ) -> String {
    let experiment = UUID(high: 0x0190_0000_0000_7000, low: 1 << 63)
    var sql = """
      set session_replication_role = replica;
      insert into experiments (organization_id, id, project_id, name, created_by)
      select '\(organization)', '\(experiment)', '\(project)', 'searched', id from users limit 1;
      """
    for run in runs {
      sql += """
        insert into runs (
          organization_id, id, experiment_id, project_id, name, status, started_at, completed_at,
          created_by
        )
        select '\(organization)', '\(run.id)', '\(experiment)', '\(project)', \(literal(run.name)),
          '\(run.status)', \(time(run.startedAt)), \(time(run.completedAt)), id
        from users limit 1;
        """
      for (key, value) in run.metrics {
        sql += """
          insert into run_metric_summaries values ('\(organization)', '\(run.id)', \(literal(key)),
            1, 0, 0, 0, '\(value)', '\(value)', '\(value)');
          """
      }
      // Some metrics of some runs are in the index of values, others are not.
      sql += """
        update run_metric_summaries set settled_value = last_value
        where run_id = '\(run.id)' and hashtext(run_id || key) % 3 <> 0;
        """
      for (table, pairs) in [("run_parameters", run.parameters), ("run_tags", run.tags)] {
        for (key, value) in pairs {
          sql += """
            insert into \(table) values ('\(organization)', '\(run.id)', \(literal(key)),
              \(literal(value)));
            """
        }
      }
    }
    return sql + "analyze;"
  }

  // MARK: Searching

  static func search(
    _ organizationID: UUID, _ filter: String, _ order: [String]
  ) throws -> Search {
    Search(
      RunSearch.schema, organizationID: organizationID,
      condition: try SearchParser.filter(filter, RunSearch.schema),
      order: try order.map { text throws(SearchError) in
        try SearchParser.order(text, RunSearch.schema)
      },
      restriction: { sql in sql.add(" and run.deleted_at is null") })
  }

  /// All pages, each begun from the bytes of the place before.
  static func pages(
    _ search: Search, _ accesses: [Int: SearchAccess], size: Int, trialRows: Int64? = nil,
    holdsAll: Bool = false, _ database: Database
  ) async throws -> [UUID] {
    let work = Work(
      scope: .organization(search.organizationID), deadline: nil, cancellation: nil)
    var all: [UUID] = []
    var start: SearchPlace?
    while true {
      var page: [SearchPlace] = []
      for rank in search.ranks(from: start) where page.count < size {
        func rows(until end: SearchValue?) async throws -> [(value: UUID, values: [SearchValue])] {
          try await database.read(
            work, SearchQueries.limitSearch(milliseconds: "10000"),
            search.page(
              "test.page", accesses, rank: rank, after: start, until: end,
              holdsAll: holdsAll && end == nil, limit: size - page.count,
              { row throws(PostgresError) in try RunSearch.read(row).id })
          ).1
        }
        var found: [(value: UUID, values: [SearchValue])] = []
        if rank == 0, let trialRows,
          let end = try await database.read(
            work, search.trialEnd("test.end", after: start, rows: trialRows))
        {
          found = try await rows(until: end)
        }
        if found.count < size - page.count { found = try await rows(until: nil) }
        page += found.map { SearchPlace($0.values, id: $0.value) }
      }
      all += page.map(\.id)
      guard page.count == size, let last = page.last else { return all }
      let next: SearchPlace = try #require(SearchPlace(last.bytes, search.orderKinds))
      start = next
    }
  }

  @Test("Whatever is searched for, in whatever order: pages and counts are the model's")
  func property() async throws {
    defer { cluster.destroy() }
    let (runs, organizationID) = (runs, organizationID)
    try await Self.with(connection, role: "needletail_app") { database in
      var draws = SearchDraws(random: SplitMix(seed: 0xF117E2))
      var foundSome = 0
      var decided = [0, 0]
      for _ in 0..<Self.searches {
        let filter = draws.random.isOnce(in: 8) ? "" : draws.filter(depth: 3, runs)
        let order = draws.order()
        let size = Int.random(in: 7..<60, using: &draws.random)
        let search = try Self.search(organizationID, filter, order)
        let expected = runs.filter { run in search.condition.map(run.satisfies) ?? true }
          .sorted { precedes($0, $1, search.order) }.map(\.id)
        // However each part is decided, and not only as it would be among so few runs.
        var accesses: [Int: SearchAccess] = [:]
        for set in search.sets {
          accesses[set.part] = [nil, .listed, .held].randomElement(using: &draws.random) ?? nil
        }
        for access in accesses.values { decided[access == .held ? 1 : 0] += 1 }
        // A trial of a few rows, whose end many share, or of so many that they are often enough.
        let isTried = search.order.first.map { if case .pair = $0.target { true } else { false } }
        let trialRows: Int64? =
          isTried ?? true ? [nil, 3, 70].randomElement(using: &draws.random) ?? nil : nil
        let holdsAll = Bool.random(using: &draws.random)
        let found = try await Self.pages(
          search, accesses, size: size, trialRows: trialRows, holdsAll: holdsAll, database)
        #expect(
          found == expected,
          "\(filter) by \(order) in \(size) with \(accesses), \(trialRows ?? 0), \(holdsAll)")
        let count = try await database.read(
          Work(scope: .organization(organizationID), deadline: nil, cancellation: nil),
          search.count("test.count", accesses))
        #expect(count == Int64(expected.count), "\(filter) with \(accesses)")
        try await Self.expectCounts(search, runs, database)
        if !expected.isEmpty, expected.count < runs.count { foundSome += 1 }
        if found != expected { break }
      }
      #expect(foundSome > Self.searches / 4)
      #expect(decided.allSatisfy { $0 > 10 })
    }
  }

  /// What parts are counted to have is what the model finds for each of their comparisons.
  private static func expectCounts(
    _ search: Search, _ runs: [ModelRun], _ database: Database
  ) async throws {
    let sets = search.sets
    guard !sets.isEmpty else { return }
    let counts = try await database.read(
      Work(scope: .organization(search.organizationID), deadline: nil, cancellation: nil),
      search.counts("test.counts", of: sets, isToCount: false))
    for (set, count) in zip(sets, counts) {
      let expected = set.clauses.reduce(0) { sum, clause in
        sum + runs.count { $0.satisfies(.clause(clause)) }
      }
      #expect(count == Int64(expected))
    }
  }

  @Test("Few ids lead, more are held for the order of a key, and where there are most none is read")
  func accesses() throws {
    defer { cluster.destroy() }
    let filter = "metrics.a > 1 AND (tags.b = 'x' OR params.c IS NOT NULL) AND NOT tags.d = 'y'"
    let byKey = try Self.search(organizationID, filter, ["metrics.e"])
    let byTime = try Self.search(organizationID, filter, ["start_time"])
    let ownOrder = try Self.search(organizationID, filter, ["metrics.a"])
    #expect(byKey.sets.map(\.part) == [0, 1])
    #expect(byKey.sets.map(\.clauses.count) == [1, 2])
    #expect(ownOrder.sets.map(\.part) == [1])
    typealias Bounds = SearchAccessBounds
    func accesses(_ search: Search, _ counts: [Int64], isToCount: Bool = false)
      -> [Int: SearchAccess]
    {
      search.accesses(search.sets, counts, isToCount: isToCount)
    }
    let most = Bounds.heldMax + 1
    #expect(accesses(byKey, [Bounds.listedByKeyMax, 7]) == [1: .listed])
    #expect(accesses(byKey, [Bounds.listedByKeyMax, most]) == [0: .listed])
    #expect(
      accesses(byKey, [Bounds.listedByKeyMax + 1, Bounds.heldMax]) == [0: .held, 1: .held])
    #expect(accesses(byKey, [most, Bounds.heldMax]) == [1: .held])
    #expect(accesses(byKey, [most, most]).isEmpty)
    #expect(accesses(byTime, [Bounds.listedMax, most]) == [0: .listed])
    #expect(accesses(byTime, [Bounds.listedMax + 1, most]).isEmpty)
    #expect(
      accesses(byTime, [Bounds.listedToCountMax, most], isToCount: true) == [0: .listed])
    #expect(accesses(byKey, [most, most], isToCount: true).isEmpty)
  }

  @Test("First rows are tried in an order with an index, and not where ids lead or all is read")
  func tried() throws {
    defer { cluster.destroy() }
    func tried(
      _ filter: String, _ order: [String], _ accesses: [Int: SearchAccess] = [:]
    ) throws -> Int {
      try Self.search(organizationID, filter, order).triedClauses(accesses).count
    }
    let filter = "metrics.a > 1 AND NOT (tags.b = 'x' OR params.c IS NULL)"
    #expect(try tried(filter, ["metrics.e"]) == 3)
    #expect(try tried(filter, []) == 3)
    #expect(try tried(filter, ["metrics.a"]) == 2)
    #expect(try tried(filter, ["metrics.e"], [0: .held]) == 2)
    #expect(try tried(filter, ["metrics.e"], [0: .listed]) == 0)
    #expect(try tried(filter, ["start_time"]) == 0)
    #expect(try tried(filter + " AND tags.d LIKE 'y%'", []) == 0)
    #expect(try tried("run_name = 'x'", []) == 0)
    let most = Array(repeating: "tags.b IS NULL", count: SearchTrialBounds.clausesMax)
    #expect(try tried(most.joined(separator: " AND "), []) == most.count)
    #expect(try tried((most + ["tags.b = ''"]).joined(separator: " OR "), []) == 0)
    let found = try Self.search(organizationID, filter, [])
    let narrow = Search(
      found.schema, organizationID: organizationID, condition: found.condition, order: [],
      isNarrow: true, restriction: found.restriction)
    #expect(narrow.triedClauses([:]).isEmpty)
  }

  @Test("No text of a filter or an order stands in the statement")
  func injection() throws {
    defer { cluster.destroy() }
    let evil = "x') or true; drop table runs; --"
    let search = try Self.search(
      organizationID,
      "params.`\(evil)` = \"\(evil)\" OR tags.t LIKE '\(evil.replacing("'", with: "''"))' "
        + "OR run_id IN (\"\(evil)\") OR run_name NOT IN (\"\(evil)\") "
        + "OR metrics.`\(evil)` > 12345",
      ["tags.`\(evil)` DESC", "metrics.`\(evil)`"])
    for rank in [0, 1, 2] {
      let place = SearchPlace([.text(evil), .missing], id: .zero)
      let text = search.pageStatement(
        rank: rank, after: place, until: .text(evil), holdsAll: rank == 0, limit: 1
      ).text
      for word in ["drop", "or true", "x'", "12345"] { #expect(!text.contains(word)) }
    }
  }

  @Test("A filter of a hundred comparisons, nested as deep as may be, is answered")
  func largest() async throws {
    defer { cluster.destroy() }
    let organizationID = organizationID
    let clauses = (0..<SearchBounds.clausesMax).map { "params.k != 'never \($0)'" }
    let depth = SearchBounds.depthMax
    let deep =
      String(repeating: "NOT (", count: depth / 2) + "metrics.k > 0"
      + String(repeating: ")", count: depth / 2)
    let expected = Int64(runs.count { $0.parameters["k"] != nil })
    let deepExpected = Int64(runs.count { ($0.metrics["k"] ?? .nan) > 0 })
    try await Self.with(connection, role: "needletail_app") { database in
      for (filter, expected) in [
        (clauses.joined(separator: " AND "), expected),
        (clauses.joined(separator: " OR "), expected), (deep, deepExpected),
      ] {
        let count = try await database.read(
          Work(scope: .organization(organizationID), deadline: nil, cancellation: nil),
          try Self.search(organizationID, filter, []).count("test.count"))
        #expect(count == expected)
      }
    }
  }

  @Test("A place that is damaged, or of another order, is none")
  func places() throws {
    defer { cluster.destroy() }
    let search = try Self.search(organizationID, "", ["metrics.k", "tags.k", "run_id"])
    let place = SearchPlace([.number(.nan), .text("é"), .uuid(.zero)], id: .zero)
    let bytes = place.bytes
    let again = try #require(SearchPlace(bytes, search.orderKinds))
    #expect(again.bytes == bytes)
    for count in bytes.indices {
      #expect(SearchPlace(Array(bytes[..<count]), search.orderKinds) == nil)
    }
    #expect(SearchPlace(bytes + [0], search.orderKinds) == nil)
    #expect(SearchPlace(bytes, search.orderKinds.reversed()) == nil)
    for text in [[0], [0xFF]] as [[UInt8]] {
      let wrong = SearchPlace([.missing], id: .zero).bytes.dropLast() + [5, 0, 0, 0, 0, 0, 0, 0, 1]
      #expect(SearchPlace(wrong + text, [(.text, true)]) == nil)
    }
    #expect(SearchPlace(SearchPlace([.missing], id: .zero).bytes, [(.uuid, false)]) == nil)
  }
}
