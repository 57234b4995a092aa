internal import EventLoop

/// A connection that one task has to itself, outside of the pool, logged in without the pool's
/// role.
///
/// It is for migrations, advisory locks and COPY; what it sets or locks is gone when it closes.
public final class Session {
  private let connection: PlainConnection
  private let work: Work

  init(_ connection: PlainConnection, _ work: Work) {
    self.connection = connection
    self.work = work
  }

  /// Runs one or more statements of text, each batch of them in one implicit transaction.
  ///
  /// - Throws: The error of the first statement that fails; what follows it did not run.
  public func simple(_ sql: String) async throws(PostgresError) {
    try await connection.simple(sql, work)
  }

  /// Runs one statement in a transaction of its own, or in the one begun by ``simple(_:)``.
  public func run<Output>(_ query: Query<Output>) async throws(PostgresError) -> Output {
    try await connection.run(query, work)
  }

  /// Runs `sql`, a `COPY … FROM STDIN (FORMAT binary)`, with the rows that `body` writes.
  ///
  /// - Returns: How many rows were stored.
  public func copyIn(
    _ sql: String, _ body: (CopyWriter) async throws(PostgresError) -> Void
  ) async throws(PostgresError) -> Int {
    try await connection.beginCopy(sql, work)
    let writer = CopyWriter(connection)
    do {
      try await body(writer)
      try await writer.finish()
    } catch {
      // The server answers the abandoned COPY with an error of its own; the first one is told.
      _ = try? await connection.endCopy("the writer gave up", work)
      throw error
    }
    return try await connection.endCopy(nil, work)
  }

  func close() { connection.close() }
}

/// Writes the rows of a binary COPY.
public final class CopyWriter {
  private let connection: PlainConnection
  private var buffer: [UInt8]

  /// How much is gathered before it goes to libpq, in bytes.
  private static let pieceBytes = 65_536

  init(_ connection: PlainConnection) {
    self.connection = connection
    // The signature, no flags, no header extension.
    buffer = Array("PGCOPY\n".utf8) + [0xFF, 13, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  }

  /// Adds a row, a parameter a column; waits while the server is behind.
  public func write(_ row: Parameters) async throws(PostgresError) {
    buffer.append(UInt8(truncatingIfNeeded: row.count >> 8))
    buffer.append(UInt8(truncatingIfNeeded: row.count))
    buffer.append(contentsOf: row.bytes)
    if buffer.count >= CopyWriter.pieceBytes { try await flush() }
  }

  func finish() async throws(PostgresError) {
    buffer.append(contentsOf: [0xFF, 0xFF])
    try await flush()
  }

  private func flush() async throws(PostgresError) {
    try await connection.put(buffer)
    buffer.removeAll(keepingCapacity: true)
  }
}

extension Database {
  /// Opens a connection for `body` alone and closes it afterwards.
  public func session<Value, Failure: DatabaseFailure>(
    _ work: Work, _ body: (Session) async throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let session: Session
    do throws(PostgresError) {
      let link = try await Link.open(
        direct, turn: 0, on: loop, timeout: settings.connectTimeout)
      session = Session(PlainConnection(link), work)
    } catch {
      throw Failure(database: error)
    }
    defer { session.close() }
    return try await body(session)
  }
}
