internal import CPostgres

extension Statement {
  /// Says which column is not of the type that the statement's code was generated for.
  func mismatch(with result: OpaquePointer) -> PostgresError? {
    let types = resultTypes
    guard !types.isEmpty else { return nil }
    let count = Int(unsafe PQnfields(result))
    guard count == types.count else {
      return .decoding(
        statement: name, column: "*",
        problem: "\(count) columns in place of \(types.count)")
    }
    for (index, type) in types.enumerated() where type != 0 {
      let actual = unsafe PQftype(result, Int32(index))
      if actual != type {
        return .decoding(
          statement: name, column: unsafe String(cString: PQfname(result, Int32(index))),
          problem: "has type \(actual) in place of \(type)")
      }
    }
    return nil
  }
}
