import Messages
import Postgres
import RPC
import Testing
import Wire

@testable import Identity

/// What a filter of the audit log means.
struct AuditQueryTests {
  private static let id = "0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50"

  private static func query(
    _ change: (inout AuditLogFilter) -> Void
  ) -> (query: AuditQuery, refused: [String]) {
    var filter = AuditLogFilter()
    change(&filter)
    var validator = Validator()
    let query = AuditQuery(filter, &validator)
    do throws(CallError) {
      try validator.finish()
      return (query, [])
    } catch {
      return (query, error.status.fieldViolations.map(\.field))
    }
  }

  @Test("Without a filter everything is wanted, and so it is with an empty one")
  func nothing() {
    var validator = Validator()
    let none = AuditQuery(nil, &validator)
    #expect(none == Self.query { _ in }.query)
    #expect(none.afterID == .zero && none.beforeID == .greatest)
    #expect(none.action == nil && none.actionFrom == nil && none.outcome == nil)
  }

  @Test("An action is itself; a pattern is a range of bytes that holds the resource's and no other")
  func actions() throws {
    let exact = Self.query { $0.action = "project.create" }
    #expect(exact.refused.isEmpty)
    #expect(exact.query.action == "project.create" && exact.query.actionFrom == nil)
    let pattern = Self.query { $0.action = "project.*" }
    #expect(pattern.refused.isEmpty && pattern.query.action == nil)
    let from = try #require(pattern.query.actionFrom)
    let before = try #require(pattern.query.actionBefore)
    func isIn(_ action: String) -> Bool {
      !action.utf8.lexicographicallyPrecedes(from.utf8)
        && action.utf8.lexicographicallyPrecedes(before.utf8)
    }
    for action in ["project.create", "project.a", "project.zzz", "project._"] {
      #expect(isIn(action), "\(action)")
    }
    for action in ["project", "project_member.add", "projects.create", "proj.x", "run.create"] {
      #expect(!isIn(action), "\(action)")
    }
  }

  @Test(
    "What is no action is refused",
    arguments: [
      "*", "project", ".*", "project.", ".create", "project.%", "project.c*", "*.create",
      "Project.create", "project.create.x", "project create", "project.*.*", "'.\"",
      String(repeating: "a", count: 51) + ".get",
    ])
  func badActions(action: String) {
    #expect(Self.query { $0.action = action }.refused == ["filter.action"])
  }

  @Test("Every bad field is named at once")
  func badFields() {
    let refused = Self.query {
      $0.actorID = "x"
      $0.apiKeyID = "y"
      $0.action = "z"
      $0.resourceType = "A b"
      $0.resourceID = "1"
      $0.outcome = .unrecognized(9)
      $0.from = Timestamp(microseconds: 2)
      $0.until = Timestamp(microseconds: 1)
    }.refused
    #expect(
      refused == [
        "filter.actor_id", "filter.api_key_id", "filter.action", "filter.resource_type",
        "filter.resource_id", "filter.outcome", "filter.until",
      ])
  }

  @Test(
    "A time bounds the identifiers, with a margin on both sides",
    arguments: [1_700_000_000_000_000, 1_700_000_000_123_456, 60_000_000] as [Int64])
  func times(microseconds: Int64) {
    let query = Self.query {
      $0.from = Timestamp(microseconds: microseconds)
      $0.until = Timestamp(microseconds: microseconds + 1)
    }.query
    for offset in [-59_000_000, 0, 59_000_000] as [Int64] {
      var generator = UUIDGenerator()
      let id = UUID.v7(now: microseconds + offset, &generator)
      #expect(query.afterID < id && id < query.beforeID)
    }
    for offset in [-61_000_000, 61_000_000] as [Int64] where microseconds + offset > 0 {
      var generator = UUIDGenerator()
      let id = UUID.v7(now: microseconds + offset, &generator)
      #expect(!(query.afterID < id && id < query.beforeID))
    }
  }

  @Test("Times beyond what identifiers hold are bounds, too")
  func extremes() {
    let query = Self.query {
      $0.from = Timestamp(microseconds: Timestamp.microsecondsRange.lowerBound)
      $0.until = Timestamp(microseconds: Timestamp.microsecondsRange.upperBound)
    }.query
    #expect(query.afterID == .zero)
    #expect(query.beforeID > UUID.floor(microseconds: 4_000_000_000_000_000))
  }

  @Test("A page token of one filter is none of another")
  func purposes() {
    let changes: [(inout AuditLogFilter) -> Void] = [
      { _ in }, { $0.actorID = Self.id }, { $0.apiKeyID = Self.id }, { $0.resourceID = Self.id },
      { $0.action = "run.create" }, { $0.action = "run.*" }, { $0.resourceType = "run" },
      { $0.outcome = .denied }, { $0.outcome = .success },
      { $0.from = Timestamp(microseconds: 5) }, { $0.until = Timestamp(microseconds: 5) },
    ]
    let purposes = changes.map { Self.query($0).query.purpose }
    #expect(Set(purposes).count == purposes.count)
  }
}
