/// A statement that is put together at run time, out of fixed pieces and parameters.
///
/// A piece is a literal of the program and a value is a parameter; there is no way to put any other
/// text into it, so nothing that a caller sends can become SQL. The server plans it for its values,
/// unnamed: such texts are too many to be kept.
public struct ComposedStatement: Sendable {
  private var sql = ""
  private var parameters = Parameters()
  private var types: [UInt32] = []

  /// Makes an empty one.
  public init() {}

  /// The text so far.
  public var text: String { sql }

  /// Adds SQL.
  public mutating func add(_ piece: StaticString) {
    sql += piece.description
  }

  /// Adds `name.column`.
  public mutating func add(_ name: StaticString, _ column: StaticString) {
    sql += "\(name).\(column)"
  }

  /// Adds a `uuid`.
  public mutating func add(uuid value: UUID) {
    parameters.append(uuid: value)
    refer(TypeID.uuid)
  }

  /// Adds a `uuid[]`.
  public mutating func add(uuids values: [UUID]) {
    parameters.append(uuids: values)
    refer(TypeID.uuidArray)
  }

  /// Adds a `text`.
  public mutating func add(text value: String) {
    parameters.append(text: value)
    refer(TypeID.text)
  }

  /// Adds a `text[]`.
  public mutating func add(texts values: [String]) {
    parameters.append(texts: values)
    refer(TypeID.textArray)
  }

  /// Adds a `double precision`.
  public mutating func add(float8 value: Double) {
    parameters.append(float8: value)
    refer(TypeID.float8)
  }

  /// Adds a `bigint`.
  public mutating func add(int8 value: Int64) {
    parameters.append(int8: value)
    refer(TypeID.int8)
  }

  /// Adds a `timestamptz`, given in microseconds since 1970.
  public mutating func add(timestamp value: Int64) {
    parameters.append(timestamp: value)
    refer(TypeID.timestamptz)
  }

  private mutating func refer(_ type: UInt32) {
    types.append(type)
    sql += "$\(types.count)"
  }

  /// The statement with what to make of its result; `name` is what logs call it.
  public func query<Output>(
    _ name: StaticString,
    decode: @escaping @Sendable (borrowing Reply) throws(PostgresError) -> Output
  ) -> Query<Output> {
    Query(
      Statement(computed: name.description, sql: sql, parameters: types), parameters,
      decode: decode)
  }
}
