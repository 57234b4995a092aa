/// One-dimensional arrays without NULLs.
extension Parameters {
  /// Adds a `uuid[]`.
  public mutating func append(uuids values: [UUID]?) {
    guard let values else { return appendNull() }
    beginArray(of: TypeID.uuid, count: values.count, bodyBytes: 20 * values.count)
    let start = grow(by: 20 * values.count)
    unsafe withBytes { bytes in
      var offset = start
      for value in values {
        unsafe bytes.storeBytes(of: Int32(16).bigEndian, toByteOffset: offset, as: Int32.self)
        unsafe bytes.storeBytes(
          of: value.high.bigEndian, toByteOffset: offset + 4, as: UInt64.self)
        unsafe bytes.storeBytes(
          of: value.low.bigEndian, toByteOffset: offset + 12, as: UInt64.self)
        offset += 20
      }
    }
  }

  /// Adds a `text[]`.
  public mutating func append(texts values: [String]?) {
    guard let values else { return appendNull() }
    let size = values.reduce(0) { $0 + 4 + $1.utf8.count }
    beginArray(of: TypeID.text, count: values.count, bodyBytes: size)
    for value in values {
      append(word: Int32(value.utf8.count))
      append(raw: value.utf8)
    }
  }

  /// Adds a `bytea[]`.
  public mutating func append(byteStrings values: [[UInt8]]?) {
    guard let values else { return appendNull() }
    let size = values.reduce(0) { $0 + 4 + $1.count }
    beginArray(of: TypeID.bytea, count: values.count, bodyBytes: size)
    for value in values {
      append(word: Int32(value.count))
      append(raw: value)
    }
  }

  /// Adds a `smallint[]`.
  public mutating func append(int2s values: [Int16]?) {
    guard let values else { return appendNull() }
    beginArray(of: TypeID.int2, count: values.count, bodyBytes: 6 * values.count)
    let start = grow(by: 6 * values.count)
    unsafe withBytes { bytes in
      for (index, value) in values.enumerated() {
        let offset = start + 6 * index
        unsafe bytes.storeBytes(of: Int32(2).bigEndian, toByteOffset: offset, as: Int32.self)
        unsafe bytes.storeBytes(of: value.bigEndian, toByteOffset: offset + 4, as: Int16.self)
      }
    }
  }

  /// Adds an `integer[]`.
  public mutating func append(int4s values: [Int32]?) {
    guard let values else { return appendNull() }
    append(int4s: values.span)
  }

  /// Adds an `integer[]` of lent numbers.
  public mutating func append(int4s values: Span<Int32>) {
    beginArray(of: TypeID.int4, count: values.count, bodyBytes: 8 * values.count)
    let start = grow(by: 8 * values.count)
    unsafe withBytes { bytes in
      for index in values.indices {
        let word =
          UInt64(4) << 32 | UInt64(UInt32(bitPattern: unsafe values[unchecked: index]))
        unsafe bytes.storeBytes(
          of: word.bigEndian, toByteOffset: start + 8 * index, as: UInt64.self)
      }
    }
  }

  /// Adds a `bigint[]`.
  public mutating func append(int8s values: [Int64]?) {
    guard let values else { return appendNull() }
    append(int8s: values.span)
  }

  /// Adds a `bigint[]` of lent numbers.
  public mutating func append(int8s values: Span<Int64>) {
    append(words: values, of: TypeID.int8) { UInt64(bitPattern: $0) }
  }

  /// Adds a `timestamptz[]`, given in microseconds since 1970.
  public mutating func append(timestamps values: [Int64]?) {
    guard let values else { return appendNull() }
    append(timestamps: values.span)
  }

  /// Adds a `timestamptz[]` of lent microseconds since 1970.
  public mutating func append(timestamps values: Span<Int64>) {
    append(words: values, of: TypeID.timestamptz) { UInt64(bitPattern: Timestamp.toServer($0)) }
  }

  /// Adds a `double precision[]`.
  public mutating func append(float8s values: [Double]?) {
    guard let values else { return appendNull() }
    append(float8s: values.span)
  }

  /// Adds a `double precision[]` of lent numbers.
  public mutating func append(float8s values: Span<Double>) {
    append(words: values, of: TypeID.float8) { $0.bitPattern }
  }

  @inline(__always)
  private mutating func append<Value>(
    words values: Span<Value>, of type: UInt32, _ bits: (Value) -> UInt64
  ) {
    beginArray(of: type, count: values.count, bodyBytes: 12 * values.count)
    let start = grow(by: 12 * values.count)
    unsafe withBytes { bytes in
      for index in values.indices {
        let offset = start + 12 * index
        unsafe bytes.storeBytes(of: Int32(8).bigEndian, toByteOffset: offset, as: Int32.self)
        unsafe bytes.storeBytes(
          of: bits(values[unchecked: index]).bigEndian, toByteOffset: offset + 4,
          as: UInt64.self)
      }
    }
  }

  private mutating func beginArray(of type: UInt32, count: Int, bodyBytes: Int) {
    // An empty array has no dimension.
    append(length: (count == 0 ? 12 : 20) + bodyBytes)
    append(word: Int32(count == 0 ? 0 : 1))
    append(word: Int32(0))
    append(word: type)
    if count > 0 {
      append(word: Int32(count))
      append(word: Int32(1))
    }
  }
}
