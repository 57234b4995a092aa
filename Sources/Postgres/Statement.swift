internal import Synchronization

/// The text of a statement, with what the server said of it when its Swift code was generated.
public final class Statement: Sendable {
  /// Names it in logs and on the server, such as tracking.getRun; unique in the process.
  public let name: String
  /// The server's names of the parameter types; 0 leaves one to the server.
  let parameterTypes: [UInt32]
  /// The server's names of the column types; 0 is not checked, and so is an empty list.
  let resultTypes: [UInt32]
  /// The name and the text with their final NUL.
  let nameBytes: [CChar]
  let sqlBytes: [CChar]
  /// Its place in each connection's table of prepared statements; nil when it is never prepared.
  let index: Int?

  private static let count = Atomic<Int>(0)

  /// Makes a statement that a connection prepares on first use.
  public init(
    _ name: StaticString, _ sql: StaticString, parameters: [UInt32], columns: [UInt32]
  ) {
    self.name = name.description
    parameterTypes = parameters
    resultTypes = columns
    nameBytes = Statement.terminated(name.description)
    sqlBytes = Statement.terminated(sql.description)
    index = Statement.count.wrappingAdd(1, ordering: .relaxed).oldValue
  }

  /// Makes a statement of computed text, as search compilers do; it is never prepared.
  ///
  /// The text holds no values: these are parameters. A text with a NUL ends there.
  public init(computed name: String, sql: String, parameters: [UInt32]) {
    self.name = name
    parameterTypes = parameters
    resultTypes = []
    nameBytes = [0]
    sqlBytes = Statement.terminated(sql)
    index = nil
  }

  private static func terminated(_ text: String) -> [CChar] {
    var bytes: [CChar] = []
    bytes.reserveCapacity(text.utf8.count + 1)
    for byte in text.utf8 { bytes.append(CChar(bitPattern: byte)) }
    bytes.append(0)
    return bytes
  }
}

/// A statement with its parameters and what to make of its result, as generated code makes it.
public struct Query<Output>: Sendable {
  let statement: Statement
  let parameters: Parameters
  let decode: @Sendable (borrowing Reply) throws(PostgresError) -> Output

  /// Joins a statement, its parameters and its decoder.
  public init(
    _ statement: Statement, _ parameters: Parameters,
    decode: @escaping @Sendable (borrowing Reply) throws(PostgresError) -> Output
  ) {
    self.statement = statement
    self.parameters = parameters
    self.decode = decode
  }

  /// The statement's name.
  public var name: String { statement.name }
}

extension Query where Output == Int {
  /// A statement without rows; its output is how many it affected.
  public init(_ statement: Statement, _ parameters: Parameters) {
    self.init(statement, parameters) { reply throws(PostgresError) in reply.affectedCount }
  }
}
