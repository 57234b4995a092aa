import Messages
import Postgres
import RPC
import Testing
import Wire

@testable import Tracking

/// The life of a run, every status against every request.
struct RunLifecycleTests {
  typealias Status = RunLifecycle.Status

  private static let statuses: [Status] = [.scheduled, .running, .completed, .failed, .cancelled]
  private static let asked: [RunStatus] = RunStatus.known + [.unrecognized(99)]

  private static func run(_ status: Status, startedAt: Int64?) -> RunRecord {
    RunRecord(
      id: UUID(high: 1, low: 2), experimentID: .zero, projectID: .zero, name: "r",
      description: "", status: status, startedAt: startedAt, completedAt: nil, createdBy: .zero,
      createdAt: 1, updatedAt: 1, revision: 7)
  }

  @Test("Every status comes back from its text and its message", arguments: statuses)
  func names(status: Status) {
    #expect(Status(text: status.text) == status)
    #expect(Status(status.message) == status)
  }

  @Test("Only scheduled and running runs take points", arguments: statuses)
  func final(status: Status) {
    #expect(status.isFinal == ![.scheduled, .running].contains(status))
  }

  @Test("A new run is running, or scheduled when asked, and nothing else", arguments: asked)
  func initial(asked: RunStatus) {
    let expected: Status? =
      switch asked {
      case .unspecified, .running: .running
      case .scheduled: .scheduled
      default: nil
      }
    #expect(RunLifecycle.initial(asked) == expected)
  }

  @Test("A run ends completed unless failed or cancelled is asked", arguments: asked)
  func ends(asked: RunStatus) {
    let expected: Status? =
      switch asked {
      case .unspecified, .completed: .completed
      case .failed: .failed
      case .cancelled: .cancelled
      default: nil
      }
    #expect(RunLifecycle.final(asked) == expected)
  }

  @Test("Unspecified and unknown statuses are no status of a run")
  func unknown() {
    #expect(Status(.unspecified) == nil)
    #expect(Status(.unrecognized(99)) == nil)
  }

  @Test(
    "A run that goes on ends as asked; one that has ended stays as it is",
    arguments: statuses, [Status.completed, .failed, .cancelled])
  func finish(from: Status, to: Status) throws {
    var run = Self.run(from, startedAt: from == .scheduled ? nil : 100)
    let before = run
    if from.isFinal {
      let error = #expect(throws: CallError.self) {
        try RunLifecycle.finish(&run, to, at: 200, now: 300)
      }
      #expect(error?.status.reason == "RUN_FINISHED")
      #expect(run == before)
      return
    }
    try RunLifecycle.finish(&run, to, at: 200, now: 300)
    #expect(run.status == to)
    #expect(run.completedAt == 200)
    #expect(run.updatedAt == 300)
    #expect(run.revision == before.revision + 1)
    // A run that was cancelled before it started never started.
    let startedAt: Int64? = from == .running ? 100 : to == .cancelled ? nil : 200
    #expect(run.startedAt == startedAt)
  }

  @Test("A run cannot end before it started; the moment of its start will do")
  func order() throws {
    var run = Self.run(.running, startedAt: 100)
    let error = #expect(throws: CallError.self) {
      try RunLifecycle.finish(&run, .completed, at: 99, now: 300)
    }
    #expect(error?.status.fieldViolations.map(\.field) == ["completed_at"])
    #expect(run == Self.run(.running, startedAt: 100))
    try RunLifecycle.finish(&run, .completed, at: 100, now: 300)
    #expect(run.duration(now: 1_000_000) == 0)
  }

  @Test(
    "The duration counts whole milliseconds from start to end, or to now, and never below zero",
    arguments: [
      (nil, nil, 9_000_000, 0), (1_000_000, nil, 3_500_999, 2_500),
      (1_000_000, 2_000_000, 9_000_000, 1_000), (5_000_000, nil, 1_000_000, 0),
    ] as [(Int64?, Int64?, Int64, Int64)])
  func duration(startedAt: Int64?, completedAt: Int64?, now: Int64, milliseconds: Int64) {
    var run = Self.run(.running, startedAt: startedAt)
    run.completedAt = completedAt
    #expect(run.duration(now: now) == milliseconds)
  }

  @Test("A run without a name is called by the end of its identifier")
  func name() {
    #expect(RunLifecycle.name(for: UUID(high: 0, low: 0xABCD_1234_5678)) == "run-12345678")
  }

  @Test("Only a run that has ended is reopened, and keeps when it began", arguments: statuses)
  func reopen(status: Status) throws {
    for startedAt: Int64? in [5, nil] {
      var run = Self.run(status, startedAt: startedAt)
      run.completedAt = status.isFinal ? 8 : nil
      let before = run
      guard status.isFinal else {
        #expect(throws: CallError.self) { try RunLifecycle.reopen(&run, now: 9) }
        #expect(run == before)
        continue
      }
      try RunLifecycle.reopen(&run, now: 9)
      #expect(run.status == .running)
      #expect(run.startedAt == startedAt ?? 9)
      #expect(run.completedAt == nil)
      #expect(run.updatedAt == 9)
      #expect(run.revision == before.revision + 1)
    }
  }

  @Test(
    "An import makes any status of any, with the times that the database admits",
    arguments: statuses, statuses)
  func set(from: Status, to: Status) throws {
    for told: (Int64?, Int64?) in [(nil, nil), (3, nil), (nil, 4), (6, 4)] {
      var run = Self.run(from, startedAt: from == .scheduled ? nil : 5)
      run.completedAt = from.isFinal ? 8 : nil
      let before = run
      func set() throws {
        try RunLifecycle.set(
          &run, to, startedAt: told.0, end: told.1.map { .at($0) }, now: 9)
      }
      if to == .scheduled && told.0 != nil || !to.isFinal && told.1 != nil {
        #expect(throws: CallError.self) { try set() }
        #expect(run == before)
        continue
      }
      try set()
      #expect(run.status == to)
      #expect((run.completedAt != nil) == to.isFinal)
      if to == .scheduled { #expect(run.startedAt == nil) }
      if to == .running || to == .completed || to == .failed { #expect(run.startedAt != nil) }
      if let start = told.0 { #expect(run.startedAt == start) }
      if let start = run.startedAt, let end = run.completedAt {
        #expect(start <= end)
        if let asked = told.1 { #expect(end == max(start, asked)) }
      }
    }
  }

  @Test(
    "A run that ends at a time nobody knows has no end, and one that had ended keeps its own",
    arguments: statuses, statuses)
  func unknownEnd(from: Status, to: Status) throws {
    var run = Self.run(from, startedAt: from == .scheduled ? nil : 5)
    run.completedAt = from.isFinal ? 8 : nil
    let before = run
    func set() throws {
      try RunLifecycle.set(&run, to, startedAt: nil, end: .unknown, now: 9)
    }
    guard to.isFinal else {
      #expect(throws: CallError.self) { try set() }
      #expect(run == before)
      return
    }
    try set()
    #expect(run.status == to)
    #expect(run.completedAt == before.completedAt)
    #expect(run.duration(now: 9) == 0)
    try RunLifecycle.set(&run, to, startedAt: nil, end: nil, now: 9)
    #expect(run.completedAt == before.completedAt)
    try RunLifecycle.set(&run, to, startedAt: nil, end: .at(2_005), now: 9)
    #expect(run.completedAt == 2_005)
    #expect(
      run.duration(now: 9) == (run.startedAt == nil ? 0 : (2_005 - (run.startedAt ?? 0)) / 1_000))
  }
}
