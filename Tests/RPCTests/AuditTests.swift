import Dispatch
import EventLoop
import Messages
import Postgres
import Storage
import Synchronization
import TestSupport
import Testing
import Wire

@testable import RPC

/// Keeps what it is told, and may be held up.
private final class Ears: AuditSink {
  private let state = Mutex<[AuditRecord]>([])
  private let gate = Mutex(())
  let batches = Mutex(0)

  var heard: [AuditRecord] { state.withLock { $0 } }

  func receive(_ entries: [AuditRecord]) {
    batches.withLock { $0 += 1 }
    gate.withLock { _ in state.withLock { $0 += entries } }
  }

  /// Runs `body` while nothing can be told.
  func whileDeaf(_ body: () throws -> Void) rethrows {
    try gate.withLock { _ in try body() }
  }
}

@Suite("The audit log's refusals and sinks")
struct AuditTests {
  /// A database whose organization is the zero one of ``OneKey``.
  private static func database() async throws -> String {
    let connection = try TestCluster.shared().createDatabase()
    try await onLoop { loop in
      let settings = DatabaseSettings(connection: connection)
      let owner = try Database(
        loop: loop, settings: settings, shared: DatabaseShared(settings, loops: 1))
      owner.start()
      defer { owner.close() }
      _ = try await Migrator(
        owner, migrations: Migration.embedded, settings: MigratorSettings()
      ).up(to: nil)
    }
    return connection
  }

  private static func server(
    _ connection: String, interval: Duration, sinks: [any AuditSink] = []
  ) throws -> TestServer {
    try TestServer {
      $0.database = DatabaseSettings(connection: connection)
      $0.database.role = "needletail_app"
      $0.usesDatabase = true
      $0.settings.auditRefusalInterval = interval
      $0.auditSinks = sinks
    }
  }

  private static func entries(_ connection: String) throws -> [String] {
    try TestCluster.shared().sql(
      """
      select organization_id || ' ' || actor_id || ' ' || action || ' ' || outcome || ' ' || reason
        || ' ' || resource_type || ' ' || (details ->> 'method') || ' ' || (details ->> 'count')
      from audit_logs order by details ->> 'method', reason;
      """, in: connection
    ).split(separator: "\n").map(String.init)
  }

  /// Lets the server write what waits.
  private static func flush(_ server: TestServer) {
    let flag = Flag()
    server.perform { place in
      place.server.loop.spawn {
        await place.server.flushAudit()
        flag.raise()
      }
    }
    flag.wait()
  }

  private final class Flag: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    func raise() { semaphore.signal() }
    func wait() { semaphore.wait() }
  }

  @Test("Refusals of one kind are one entry with their count, written at shutdown at the latest")
  func coalesced() async throws {
    let connection = try await Self.database()
    let ears = Ears()
    let server = try Self.server(connection, interval: .seconds(3_600), sinks: [ears])
    let clients = [try RawClient(server), try RawClient(server)]
    for client in clients {
      for _ in 0..<50 { try client.call("test.Calls/Forbidden") }
      try client.call("test.Calls/ForbiddenStream")
      for _ in 0..<51 {
        #expect(try client.receiveAnswer()?.outcome == "PERMISSION_DENIED PERMISSION_MISSING")
      }
    }
    // A handler's refusal, and answers that are none.
    for reason in [
      Reason("ROLE_TOO_HIGH", .permissionDenied), Reason("X", .notFound),
      Reason("Y", .unauthenticated),
    ] {
      let stream = try clients[0].call("test.Calls/Unary")
      server.settle()
      server.perform { $0.stage.tell(stream, .fail(CallError(reason, "no"))) }
      #expect(try clients[0].receiveAnswer()?.outcome.hasSuffix(reason.name) == true)
    }
    #expect(try Self.entries(connection).isEmpty)
    Self.flush(server)
    let (zero, denied) = (UUID.zero.description, "denied PERMISSION_MISSING test")
    #expect(
      try Self.entries(connection) == [
        "\(zero) \(zero) test.forbidden \(denied) test.Calls/Forbidden 100",
        "\(zero) \(zero) test.forbidden \(denied) test.Calls/ForbiddenStream 2",
        "\(zero) \(zero) test.call denied ROLE_TOO_HIGH test test.Calls/Unary 1",
      ])
    #expect(ears.heard.map(\.outcome) == ["denied", "denied", "denied"])
    #expect(server.perform { $0.server.metrics.auditRefusalsDropped } == 0)
    Self.flush(server)
    #expect(try Self.entries(connection).count == 3)
  }

  @Test("Refusals are written by themselves when their interval is over")
  func timed() async throws {
    let connection = try await Self.database()
    let ears = Ears()
    let server = try Self.server(connection, interval: .milliseconds(1), sinks: [ears])
    let client = try RawClient(server)
    try client.call("test.Calls/Forbidden")
    #expect(try client.receiveAnswer()?.outcome == "PERMISSION_DENIED PERMISSION_MISSING")
    #expect(server.eventually { _ in ears.heard.count == 1 })
    #expect(try Self.entries(connection).count == 1)
  }

  @Test("Refusals wait up to a bound; those beyond it are counted, and the calls do not notice")
  func bound() throws {
    let server = try TestServer { $0.settings.auditRefusalInterval = .seconds(3_600) }
    let client = try RawClient(server)
    let count = Refusals.entriesMax + 10
    for number in 0..<count {
      let stream = try client.call("test.Calls/Unary")
      server.settle()
      server.perform {
        $0.stage.tell(
          stream, .fail(CallError(Reason("REASON_\(number)", .permissionDenied), "no")))
      }
      #expect(try client.receiveAnswer()?.outcome == "PERMISSION_DENIED REASON_\(number)")
    }
    #expect(server.perform { $0.server.metrics.auditRefusalsDropped } == 10)
  }

  @Test("A sink that does not come back holds up nothing; what is beyond its bound is counted")
  func slowSink() throws {
    let (deaf, awake) = (Ears(), Ears())
    let server = try TestServer { $0.auditSinks = [deaf, awake] }
    let record = AuditRecord(
      id: .zero, organizationID: .zero, actorType: "user", actorID: .zero, actorLabel: "",
      apiKeyID: .zero, action: "run.create", outcome: "success", reason: nil, resourceType: "run",
      resourceID: nil, projectID: nil, detailsJSON: String(repeating: "x", count: 1 << 20),
      ipAddress: "127.0.0.1", client: "", requestID: "", createdAt: 0)
    try deaf.whileDeaf {
      server.perform { $0.server.audit.committed(record) }
      // The first is at the sink, which holds it; of the next ones three fit.
      #expect(server.eventually { _ in deaf.batches.withLock { $0 } == 1 })
      for number in 2...8 {
        server.perform { $0.server.audit.committed(record) }
        #expect(server.eventually { _ in awake.heard.count == number })
      }
      #expect(server.perform { $0.server.metrics.auditSinkDropped } == 4)
      let client = try RawClient(server)
      try client.call("needletail.rpc.v1.Server/ListMethods")
      #expect(try client.receiveAnswer()?.outcome == "OK")
    }
    #expect(server.eventually { _ in deaf.heard.count == 4 })
  }
}
