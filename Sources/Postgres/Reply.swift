internal import CPostgres

/// The server's answer to one statement, freed with the value.
@safe public struct Reply: ~Copyable {
  let raw: OpaquePointer
  let statement: Statement

  init(adopting raw: OpaquePointer, of statement: Statement) {
    unsafe self.raw = unsafe raw
    self.statement = statement
  }

  deinit { unsafe PQclear(raw) }

  /// How many rows came back.
  public var rowCount: Int { Int(unsafe PQntuples(raw)) }

  /// How many rows the statement inserted, updated, deleted or selected.
  public var affectedCount: Int {
    guard var digit = unsafe PQcmdTuples(raw) else { return 0 }
    var value = 0
    while unsafe digit.pointee != 0 {
      value = value &* 10 &+ Int(unsafe digit.pointee &- 48)
      unsafe digit += 1
    }
    return value
  }

  /// The only row.
  ///
  /// - Throws: `cardinality` when there is none or more than one.
  public func one<Value>(
    _ decode: (borrowing Row) throws(PostgresError) -> Value
  ) throws(PostgresError) -> Value {
    let count = rowCount
    guard count == 1 else { throw .cardinality(statement: statement.name, rows: count) }
    return unsafe try decode(Row(unsafe raw, 0, statement))
  }

  /// The only row, or nil when there is none.
  ///
  /// - Throws: `cardinality` when there is more than one.
  public func optional<Value>(
    _ decode: (borrowing Row) throws(PostgresError) -> Value
  ) throws(PostgresError) -> Value? {
    let count = rowCount
    guard count <= 1 else { throw .cardinality(statement: statement.name, rows: count) }
    return unsafe count == 0 ? nil : try decode(Row(unsafe raw, 0, statement))
  }

  /// All rows in the server's order.
  public func many<Value>(
    _ decode: (borrowing Row) throws(PostgresError) -> Value
  ) throws(PostgresError) -> [Value] {
    let count = rowCount
    var values: [Value] = []
    values.reserveCapacity(count)
    for index in 0..<count {
      unsafe values.append(try decode(Row(unsafe raw, Int32(index), statement)))
    }
    return values
  }
}

/// One row of a reply, lent to a decoder.
///
/// Columns are counted from 0.
/// Every method throws `decoding` when the column is NULL (the `…OrNil` forms do not) or has
/// another width than its type.
@safe public struct Row: ~Copyable {
  private let raw: OpaquePointer
  private let index: Int32
  private let statement: Statement

  init(_ raw: OpaquePointer, _ index: Int32, _ statement: Statement) {
    unsafe self.raw = unsafe raw
    self.index = index
    self.statement = statement
  }

  // MARK: Fields

  /// The bytes of a column, valid while the reply lives; nil for NULL.
  @inline(__always)
  func field(_ column: Int) -> UnsafeRawBufferPointer? {
    let column = Int32(truncatingIfNeeded: column)
    let length = unsafe PQgetlength(raw, index, column)
    if length == 0, unsafe PQgetisnull(raw, index, column) != 0 { return nil }
    return unsafe UnsafeRawBufferPointer(
      start: PQgetvalue(raw, index, column), count: Int(length))
  }

  func failure(_ column: Int, _ problem: String) -> PostgresError {
    let name = unsafe PQfname(raw, Int32(truncatingIfNeeded: column)).map {
      unsafe String(cString: $0)
    }
    return .decoding(
      statement: statement.name, column: name ?? "column \(column)", problem: problem)
  }

  @inline(__always)
  func present<Value>(_ value: Value?, _ column: Int) throws(PostgresError) -> Value {
    guard let value else { throw failure(column, "is null") }
    return value
  }

  @inline(__always)
  private func word<Word: FixedWidthInteger & BitwiseCopyable>(
    _ column: Int, _ type: Word.Type
  ) throws(PostgresError) -> Word? {
    guard let field = unsafe field(column) else { return nil }
    guard field.count == MemoryLayout<Word>.size else {
      throw failure(
        column, "has \(field.count) bytes in place of \(MemoryLayout<Word>.size)")
    }
    return Word(bigEndian: unsafe field.loadUnaligned(as: Word.self))
  }

  // MARK: Scalars

  /// A `uuid`, or nil for NULL.
  public func uuidOrNil(_ column: Int) throws(PostgresError) -> UUID? {
    guard let field = unsafe field(column) else { return nil }
    guard field.count == 16 else {
      throw failure(column, "has \(field.count) bytes in place of 16")
    }
    return UUID(
      high: UInt64(bigEndian: unsafe field.loadUnaligned(as: UInt64.self)),
      low: UInt64(bigEndian: unsafe field.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
  }

  /// A `uuid`.
  public func uuid(_ column: Int) throws(PostgresError) -> UUID {
    try present(uuidOrNil(column), column)
  }

  /// A `text`, `varchar` or enum, or nil for NULL.
  public func textOrNil(_ column: Int) throws(PostgresError) -> String? {
    unsafe field(column).map { unsafe String(decoding: $0, as: UTF8.self) }
  }

  /// A `text`, `varchar` or enum.
  public func text(_ column: Int) throws(PostgresError) -> String {
    try present(textOrNil(column), column)
  }

  /// A `jsonb` as text, or nil for NULL.
  public func jsonOrNil(_ column: Int) throws(PostgresError) -> String? {
    guard let field = unsafe field(column) else { return nil }
    guard unsafe field.first == 1 else { throw failure(column, "is not jsonb version 1") }
    return unsafe String(
      decoding: UnsafeRawBufferPointer(rebasing: field.dropFirst()), as: UTF8.self)
  }

  /// A `jsonb` as text.
  public func json(_ column: Int) throws(PostgresError) -> String {
    try present(jsonOrNil(column), column)
  }

  /// A `bytea`, or nil for NULL.
  public func bytesOrNil(_ column: Int) throws(PostgresError) -> [UInt8]? {
    unsafe field(column).map { unsafe [UInt8]($0) }
  }

  /// A `bytea`.
  public func bytes(_ column: Int) throws(PostgresError) -> [UInt8] {
    try present(bytesOrNil(column), column)
  }

  /// A `boolean`, or nil for NULL.
  public func boolOrNil(_ column: Int) throws(PostgresError) -> Bool? {
    try word(column, UInt8.self).map { $0 != 0 }
  }

  /// A `boolean`.
  public func bool(_ column: Int) throws(PostgresError) -> Bool {
    try present(boolOrNil(column), column)
  }

  /// A `smallint`, or nil for NULL.
  public func int2OrNil(_ column: Int) throws(PostgresError) -> Int16? {
    try word(column, Int16.self)
  }

  /// A `smallint`.
  public func int2(_ column: Int) throws(PostgresError) -> Int16 {
    try present(int2OrNil(column), column)
  }

  /// An `integer`, or nil for NULL.
  public func int4OrNil(_ column: Int) throws(PostgresError) -> Int32? {
    try word(column, Int32.self)
  }

  /// An `integer`.
  public func int4(_ column: Int) throws(PostgresError) -> Int32 {
    try present(int4OrNil(column), column)
  }

  /// A `bigint`, or nil for NULL.
  public func int8OrNil(_ column: Int) throws(PostgresError) -> Int64? {
    try word(column, Int64.self)
  }

  /// A `bigint`.
  public func int8(_ column: Int) throws(PostgresError) -> Int64 {
    try present(int8OrNil(column), column)
  }

  /// A `double precision`, or nil for NULL.
  public func float8OrNil(_ column: Int) throws(PostgresError) -> Double? {
    try word(column, UInt64.self).map(Double.init(bitPattern:))
  }

  /// A `double precision`.
  public func float8(_ column: Int) throws(PostgresError) -> Double {
    try present(float8OrNil(column), column)
  }

  /// A `timestamptz` in microseconds since 1970, or nil for NULL; `Int64.min` and `Int64.max`
  /// are -infinity and infinity.
  public func timestampOrNil(_ column: Int) throws(PostgresError) -> Int64? {
    try word(column, Int64.self).map(Timestamp.fromServer)
  }

  /// A `timestamptz` in microseconds since 1970.
  public func timestamp(_ column: Int) throws(PostgresError) -> Int64 {
    try present(timestampOrNil(column), column)
  }

  /// An `xid8`, or nil for NULL.
  public func xid8OrNil(_ column: Int) throws(PostgresError) -> UInt64? {
    try word(column, UInt64.self)
  }

  /// An `xid8`.
  public func xid8(_ column: Int) throws(PostgresError) -> UInt64 {
    try present(xid8OrNil(column), column)
  }
}
