import EventLoop
import Postgres
import TestSupport
import Testing

@testable import RPC
@testable import Tracking

extension SearchPropertyTests {
  @Test("Whether values have settled changes nothing that is found, nor its order")
  func settling() async throws {
    defer { cluster.destroy() }
    let (runs, organizationID) = (runs, organizationID)
    var outcomes: [[[UUID]]] = []
    // All by the index of values, none by it, and some.
    for settled in ["last_value", "null", "case when run_id::text < key then last_value end"] {
      try cluster.sql(
        "update run_metric_summaries set settled_value = \(settled); analyze;", in: connection)
      outcomes.append(
        try await Self.with(connection, role: "needletail_app") { database in
          var draws = SearchDraws(random: SplitMix(seed: 0x5E771E))
          var found: [[UUID]] = []
          for number in 0..<80 {
            let filter = number % 4 == 0 ? "" : draws.filter(depth: 2, runs)
            let direction = number % 2 == 0 ? " DESC" : ""
            let search = try Self.search(
              organizationID, filter, ["metrics.\(draws.key())\(direction)", "start_time"])
            found.append(
              try await Self.pages(
                search, [:], size: 40, trialRows: number % 3 == 0 ? 30 : nil,
                holdsAll: number % 5 == 0, database))
            let count = try await database.read(
              Work(scope: .organization(organizationID), deadline: nil, cancellation: nil),
              search.count("test.count"))
            #expect(count == Int64(found[number].count), "\(filter)")
          }
          return found
        })
    }
    #expect(outcomes[0] == outcomes[1])
    #expect(outcomes[0] == outcomes[2])
    #expect(Set(outcomes[0].map(\.count)).count > 10)
  }

  @Test("Where all have a value, what lacks it is nothing; where one has none, that one is found")
  func lacking() async throws {
    defer { cluster.destroy() }
    try cluster.sql(
      """
      set session_replication_role = replica;
      insert into run_tags select organization_id, id, 'each', 'x' from runs;
      insert into input_datasets (
        organization_id, id, project_id, name, digest, source_type, source, schema_text,
        profile_text)
      select organization_id, id, project_id, name, 'd' || name, 'local', '{}', '{}', '{}' from runs
      on conflict do nothing;
      insert into run_inputs (organization_id, id, run_id, dataset_id, context, tags)
      select organization_id, gen_random_uuid(), id,
        (select dataset.id from input_datasets as dataset where dataset.name = run.name), context,
        '{}'
      from runs as run cross join unnest(array['', 'eval']) as context;
      analyze;
      """, in: connection)
    try await expectLacking([], areAllThere: true)
    let one = runs[70].id
    try cluster.sql(
      """
      delete from run_tags where key = 'each' and run_id = '\(one)';
      delete from run_inputs where run_id = '\(one)';
      """, in: connection)
    try await expectLacking([one], areAllThere: false)
  }

  /// What lacks a tag or a dataset is `expected`, however it is searched for.
  private func expectLacking(_ expected: [UUID], areAllThere: Bool) async throws {
    let organizationID = organizationID
    try await Self.with(connection, role: "needletail_app") { database in
      func findsNothing(_ filter: String) async throws -> Bool {
        let search = try Self.search(organizationID, filter, [])
        let way = SearchWay([:], tried: search.triedClauses([:]))
        let counts = try await database.read(
          Work(scope: .organization(organizationID), deadline: nil, cancellation: nil),
          search.heldCounts("test.counts", way.tried))
        return search.heldWay(way, counts).findsNothing
      }
      let lacks = ["tags.each IS NULL", "dataset.name IS NULL", "datasets.digest IS NULL"]
      for filter in lacks {
        #expect(try await findsNothing(filter) == areAllThere, "\(filter)")
        #expect(try await findsNothing("\(filter) AND tags.a != 'x'") == areAllThere, "\(filter)")
        for (trialRows, holdsAll) in [(nil, false), (nil, true), (100 as Int64, false)] {
          let search = try Self.search(organizationID, filter, ["metrics.a"])
          let found = try await Self.pages(
            search, [:], size: 9, trialRows: trialRows, holdsAll: holdsAll, database)
          #expect(found == expected, "\(filter), \(trialRows ?? 0), \(holdsAll)")
        }
      }
      // What only some have, what need not hold, and what is not asked in these words.
      for filter in [
        "tags.each IS NOT NULL", "dataset.context IS NULL", "tags.each IS NULL OR run_name = 'x'",
        "NOT tags.each IS NOT NULL", "dataset.name = 'run B'",
      ] {
        #expect(try await !findsNothing(filter), "\(filter)")
      }
    }
  }
}
