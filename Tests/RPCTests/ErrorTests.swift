import Messages
import Postgres
import Testing
import Wire

@testable import Identity
@testable import RPC
@testable import Tracking

/// Lets a call fail with an error of the database: the request is the number of one of `errors`.
private func translate(_ errors: [PostgresError]) -> ServedMethod {
  ServedMethod.unary(
    MethodDescriptor(
      name: "test.Errors/Translate", kind: .unary, permission: "self", isAudited: false,
      idempotency: .read)
  ) { (request: Raw, call: CallContext) async throws(CallError) -> Raw in
    let index = request.bytes.reduce(0) { $0 << 8 | Int($1) }
    throw call.callError(errors[index])
  }
}

private func server(
  _ sqlState: String, constraint: String? = nil, detail: String? = nil
) -> PostgresError {
  .server(
    ServerError(
      sqlState: sqlState, message: "secret words", detail: detail, constraint: constraint,
      table: nil, column: nil, severity: "ERROR"))
}

@Suite("What the database says, as callers hear it")
struct ErrorTests {
  private static let constraints =
    TrackingConstraints.reasons.merging(IdentityConstraints.reasons) { first, _ in first }
    .merging(JournalConstraints.reasons) { first, _ in first }

  private static var reasons: ReasonTable {
    var reasons = TrackingService.reasons
    reasons.merge(IdentityService.reasons)
    return reasons
  }

  /// Every error, translated by a call: outcome, status and what the log is told.
  private func outcomes(
    _ errors: [PostgresError]
  ) throws -> [(outcome: String, status: Status, cause: String?)] {
    let server = try TestServer {
      $0.reasons = Self.reasons
      $0.methods = [translate(errors)]
    }
    let client = try RawClient(server)
    return try errors.indices.map { index in
      try client.call("test.Errors/Translate", [UInt8(index >> 8), UInt8(index & 255)])
      let answer = try #require(try client.receiveAnswer())
      let record = try #require(server.ended.calls.last)
      return (answer.outcome, try #require(answer.status), record.cause)
    }
  }

  @Test("Every constraint has the reason that its list says; internal ones tell the log alone")
  func constraints() throws {
    let names = Self.constraints.keys.sorted()
    let outcomes = try outcomes(names.map { server("23514", constraint: $0) })
    #expect(names.count > 100)
    for (name, outcome) in zip(names, outcomes) {
      #expect(outcome.status.reason == Self.constraints[name], "\(name)")
      #expect(outcome.cause?.contains(name) == true, "\(name)")
      #expect(!outcome.status.message.isEmpty && !outcome.status.message.contains(name))
      #expect(!outcome.status.message.contains("secret words"))
    }
  }

  @Test("Every reason that statements refuse with is known, and its details reach the caller")
  func refusals() throws {
    let names = [
      "PROJECT_NOT_FOUND": "NOT_FOUND PROJECT_NOT_FOUND",
      "EXPERIMENT_NOT_FOUND": "NOT_FOUND EXPERIMENT_NOT_FOUND",
      "RUN_NOT_FOUND": "NOT_FOUND RUN_NOT_FOUND",
      "RUN_FINISHED": "FAILED_PRECONDITION RUN_FINISHED",
      "RUN_NOT_STARTED": "FAILED_PRECONDITION RUN_NOT_STARTED",
      "SEQUENCE_GAP": "FAILED_PRECONDITION SEQUENCE_GAP",
      "SEQUENCE_REPLAYED": "ABORTED CONFLICT",
      "WRITER_UNKNOWN": "INVALID_ARGUMENT WRITER_INVALID",
    ]
    let keys = names.keys.sorted()
    let outcomes = try outcomes(
      keys.map { server("NT001", constraint: $0, detail: #"{"expected_sequence": 7, "a": "b"}"#) })
    for (key, outcome) in zip(keys, outcomes) {
      #expect(outcome.outcome == names[key])
      #expect(outcome.status.details == ["expected_sequence": "7", "a": "b"])
    }
  }

  private static let table: [(PostgresError, String)] = [
    (.cancelled, "CANCELLED CANCELLED"),
    (.deadlineExceeded, "DEADLINE_EXCEEDED DEADLINE_EXCEEDED"),
    (.busy, "RESOURCE_EXHAUSTED DATABASE_BUSY"),
    (.away("secret words"), "UNAVAILABLE DATABASE_AWAY"),
    (.connectionLost(outcomeUnknown: false, message: "secret words"), "UNAVAILABLE DATABASE_AWAY"),
    (.connectionLost(outcomeUnknown: true, message: "secret words"), "UNAVAILABLE DATABASE_AWAY"),
    (.decoding(statement: "s", column: "c", problem: "secret words"), "INTERNAL INTERNAL"),
    (.cardinality(statement: "s", rows: 2), "INTERNAL INTERNAL"),
    (.configuration("secret words"), "INTERNAL INTERNAL"),
    (server("57014"), "DEADLINE_EXCEEDED DEADLINE_EXCEEDED"),
    (server("40001"), "ABORTED CONFLICT"),
    (server("40P01"), "ABORTED CONFLICT"),
    (server("55P03"), "ABORTED CONFLICT"),
    (server("53100"), "RESOURCE_EXHAUSTED DATABASE_BUSY"),
    (server("53200"), "RESOURCE_EXHAUSTED DATABASE_BUSY"),
    (server("53300"), "RESOURCE_EXHAUSTED DATABASE_BUSY"),
    (server("57P01"), "UNAVAILABLE DATABASE_AWAY"),
    (server("57P02"), "UNAVAILABLE DATABASE_AWAY"),
    (server("57P03"), "UNAVAILABLE DATABASE_AWAY"),
    (server("42501"), "INTERNAL INTERNAL"),
    (server("23505", constraint: "unheard_of_key"), "INTERNAL INTERNAL"),
    (server("NT001", constraint: "UNHEARD_OF"), "INTERNAL INTERNAL"),
  ]

  @Test("Every failure of the database has a code, and says nothing of its insides")
  func failures() throws {
    for (row, outcome) in zip(Self.table, try outcomes(Self.table.map(\.0))) {
      #expect(outcome.outcome == row.1, "\(row.0)")
      #expect(!"\(outcome.status)".contains("secret words"), "\(row.0)")
      if outcome.status.code == .internal { #expect(outcome.cause != nil, "\(row.0)") }
      let mayRetry = [StatusCode.aborted, .unavailable, .resourceExhausted]
      #expect((outcome.status.retryAfterMilliseconds > 0) == mayRetry.contains(outcome.status.code))
    }
  }
}
