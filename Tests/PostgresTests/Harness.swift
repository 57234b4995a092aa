import EventLoop
import Postgres
import TestSupport

/// Work without an organization, a deadline or a cancellation.
var anyWork: Work { Work(scope: .none, deadline: nil, cancellation: nil) }

extension Query {
  /// A statement of a test, which is not prepared.
  static func text(
    _ sql: String, _ parameters: Parameters = Parameters(), types: [UInt32] = [],
    decode: @escaping @Sendable (borrowing Reply) throws(PostgresError) -> Output
  ) -> Query<Output> {
    Query(Statement(computed: sql, sql: sql, parameters: types), parameters, decode: decode)
  }
}

/// A statement of a test without rows.
func change(_ sql: String) -> Query<Int> {
  Query(Statement(computed: sql, sql: sql, parameters: []), Parameters())
}

/// A statement of a test with one text.
func text(_ sql: String) -> Query<String> {
  .text(sql) { reply throws(PostgresError) in
    try reply.one { row throws(PostgresError) in try row.text(0) }
  }
}

/// A statement of a test with one number.
func number(_ sql: String) -> Query<Int64> {
  .text(sql) { reply throws(PostgresError) in
    try reply.one { row throws(PostgresError) in try row.int8(0) }
  }
}

/// Runs `body` with a database on a loop of its own, connected to `connection`.
func withDatabase<Value: Sendable>(
  _ connection: String? = nil,
  _ adjust: @escaping @Sendable (inout DatabaseSettings) -> Void = { _ in },
  _ body: @escaping @Sendable (Database) async throws -> Value
) async throws -> Value {
  let connection = try connection ?? TestCluster.shared().createDatabase()
  return try await onLoop { loop in
    var settings = DatabaseSettings(connection: connection)
    adjust(&settings)
    let database = try Database(
      loop: loop, settings: settings, shared: DatabaseShared(settings, loops: 1))
    database.start()
    defer { database.close() }
    return try await body(database)
  }
}

/// The error that `body` throws, if it throws one.
func failure<Value>(_ body: () async throws(PostgresError) -> Value) async -> PostgresError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error
  }
}

/// Lets other things of the loop happen until `condition` holds; false after ten seconds.
func eventually(_ loop: Loop, _ condition: () -> Bool) async -> Bool {
  let limit = loop.now.advanced(by: .seconds(10))
  while !condition() {
    if loop.now > limit { return false }
    let gate = Gate()
    loop.schedule(after: .milliseconds(2)) { gate.open() }
    await gate.pass()
  }
  return true
}

/// Waits until `condition` holds, looking whenever `signal` is notified.
func until(_ signal: Signal, _ condition: () -> Bool) async {
  while !condition() { await signal.wait(unless: condition) }
}

/// Keeps tasks of a loop waiting until it is opened.
final class Gate {
  private let opened = Signal()
  private var isOpen = false

  func open() {
    isOpen = true
    opened.notify()
  }

  func pass() async { await until(opened) { isOpen } }
}
