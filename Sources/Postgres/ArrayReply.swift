/// One-dimensional arrays; an array that holds a NULL or has more dimensions is refused.
extension Row {
  /// A `uuid[]`, or nil for NULL.
  public func uuidsOrNil(_ column: Int) throws(PostgresError) -> [UUID]? {
    unsafe try elements(column, TypeID.uuid, width: 16) { bytes, offset in
      UUID(
        high: UInt64(
          bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
        low: UInt64(
          bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)))
    }
  }

  /// A `uuid[]`.
  public func uuids(_ column: Int) throws(PostgresError) -> [UUID] {
    try present(uuidsOrNil(column), column)
  }

  /// A `smallint[]`, or nil for NULL.
  public func int2sOrNil(_ column: Int) throws(PostgresError) -> [Int16]? {
    unsafe try elements(column, TypeID.int2, width: 2) { bytes, offset in
      Int16(bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Int16.self))
    }
  }

  /// A `smallint[]`.
  public func int2s(_ column: Int) throws(PostgresError) -> [Int16] {
    try present(int2sOrNil(column), column)
  }

  /// An `integer[]`, or nil for NULL.
  public func int4sOrNil(_ column: Int) throws(PostgresError) -> [Int32]? {
    unsafe try elements(column, TypeID.int4, width: 4) { bytes, offset in
      Int32(bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self))
    }
  }

  /// An `integer[]`.
  public func int4s(_ column: Int) throws(PostgresError) -> [Int32] {
    try present(int4sOrNil(column), column)
  }

  /// A `bigint[]`, or nil for NULL.
  public func int8sOrNil(_ column: Int) throws(PostgresError) -> [Int64]? {
    unsafe try elements(column, TypeID.int8, width: 8) { bytes, offset in
      Int64(bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Int64.self))
    }
  }

  /// A `bigint[]`.
  public func int8s(_ column: Int) throws(PostgresError) -> [Int64] {
    try present(int8sOrNil(column), column)
  }

  /// A `double precision[]`, or nil for NULL.
  public func float8sOrNil(_ column: Int) throws(PostgresError) -> [Double]? {
    unsafe try elements(column, TypeID.float8, width: 8) { bytes, offset in
      Double(
        bitPattern: UInt64(
          bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
    }
  }

  /// A `double precision[]`.
  public func float8s(_ column: Int) throws(PostgresError) -> [Double] {
    try present(float8sOrNil(column), column)
  }

  /// A `timestamptz[]` in microseconds since 1970, or nil for NULL.
  public func timestampsOrNil(_ column: Int) throws(PostgresError) -> [Int64]? {
    unsafe try elements(column, TypeID.timestamptz, width: 8) { bytes, offset in
      Timestamp.fromServer(
        Int64(bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Int64.self)))
    }
  }

  /// A `timestamptz[]` in microseconds since 1970.
  public func timestamps(_ column: Int) throws(PostgresError) -> [Int64] {
    try present(timestampsOrNil(column), column)
  }

  /// A `text[]`, or nil for NULL.
  public func textsOrNil(_ column: Int) throws(PostgresError) -> [String]? {
    unsafe try strings(column, TypeID.text) { unsafe String(decoding: $0, as: UTF8.self) }
  }

  /// A `text[]`.
  public func texts(_ column: Int) throws(PostgresError) -> [String] {
    try present(textsOrNil(column), column)
  }

  /// A `bytea[]`, or nil for NULL.
  public func byteStringsOrNil(_ column: Int) throws(PostgresError) -> [[UInt8]]? {
    unsafe try strings(column, TypeID.bytea) { unsafe [UInt8]($0) }
  }

  /// A `bytea[]`.
  public func byteStrings(_ column: Int) throws(PostgresError) -> [[UInt8]] {
    try present(byteStringsOrNil(column), column)
  }

  // MARK: Layout

  /// How many elements an array has, after its header is checked.
  private func elementCount(
    _ field: UnsafeRawBufferPointer, _ column: Int, _ type: UInt32
  ) throws(PostgresError) -> Int {
    func word(_ offset: Int) -> Int32 {
      Int32(bigEndian: unsafe field.loadUnaligned(fromByteOffset: offset, as: Int32.self))
    }
    guard field.count >= 12 else { throw failure(column, "is no array") }
    let isText = type == TypeID.text && UInt32(bitPattern: word(8)) == TypeID.varchar
    guard UInt32(bitPattern: word(8)) == type || isText else {
      throw failure(column, "is an array of type \(word(8)) in place of \(type)")
    }
    if word(0) == 0 { return 0 }
    guard word(0) == 1, field.count >= 20 else {
      throw failure(column, "has more than one dimension")
    }
    return Int(word(12))
  }

  @inline(__always)
  private func elements<Element>(
    _ column: Int, _ type: UInt32, width: Int,
    _ load: (UnsafeRawBufferPointer, Int) -> Element
  ) throws(PostgresError) -> [Element]? {
    guard let field = unsafe field(column) else { return nil }
    let count = try unsafe elementCount(field, column, type)
    if count == 0 { return [] }
    // With NULLs among them the elements would take less room than this.
    guard field.count == 20 + count * (4 + width) else {
      throw failure(column, "holds a null")
    }
    return unsafe [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
      guard let start = buffer.baseAddress else { return }
      for index in 0..<count {
        unsafe (start + index).initialize(to: load(field, 24 + index * (4 + width)))
      }
      initialized = count
    }
  }

  @inline(__always)
  private func strings<Element>(
    _ column: Int, _ type: UInt32, _ make: (UnsafeRawBufferPointer) -> Element
  ) throws(PostgresError) -> [Element]? {
    guard let field = unsafe field(column) else { return nil }
    let count = try unsafe elementCount(field, column, type)
    var elements: [Element] = []
    elements.reserveCapacity(count)
    var offset = 20
    for _ in 0..<count {
      guard offset + 4 <= field.count else { throw failure(column, "is cut short") }
      let length = Int(
        Int32(bigEndian: unsafe field.loadUnaligned(fromByteOffset: offset, as: Int32.self)))
      guard length >= 0 else { throw failure(column, "holds a null") }
      guard length <= field.count - offset - 4 else {
        throw failure(column, "is cut short")
      }
      unsafe elements.append(
        make(unsafe UnsafeRawBufferPointer(rebasing: field[(offset + 4)..<(offset + 4 + length)])))
      offset += 4 + length
    }
    return elements
  }
}
