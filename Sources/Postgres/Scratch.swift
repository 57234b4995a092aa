internal import CPostgres

/// The pointer lists that libpq wants for each statement; kept, because each call needs them.
@safe struct Scratch: ~Copyable {
  private var capacity: Int
  private var values: UnsafeMutablePointer<UnsafePointer<CChar>?>
  private var lengths: UnsafeMutablePointer<Int32>
  private var formats: UnsafeMutablePointer<Int32>

  init() {
    capacity = 32
    unsafe values = .allocate(capacity: 32)
    unsafe lengths = .allocate(capacity: 32)
    unsafe formats = .allocate(capacity: 32)
    unsafe formats.initialize(repeating: 1, count: 32)
  }

  deinit {
    unsafe values.deallocate()
    unsafe lengths.deallocate()
    unsafe formats.deallocate()
  }

  private mutating func reserve(_ count: Int) {
    guard count > capacity else { return }
    unsafe values.deallocate()
    unsafe lengths.deallocate()
    unsafe formats.deallocate()
    capacity = count * 2
    unsafe values = .allocate(capacity: capacity)
    unsafe lengths = .allocate(capacity: capacity)
    unsafe formats = .allocate(capacity: capacity)
    unsafe formats.initialize(repeating: 1, count: capacity)
  }

  /// Points the lists into `bytes`, which hold `count` parameters.
  private mutating func point(into bytes: UnsafeRawBufferPointer, count: Int) {
    reserve(count)
    var offset = 0
    for index in 0..<count {
      let length = Int32(
        bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self))
      offset += 4
      guard length >= 0 else {
        unsafe values[index] = nil
        unsafe lengths[index] = 0
        continue
      }
      unsafe values[index] = bytes.baseAddress.map {
        unsafe UnsafePointer(($0 + offset).assumingMemoryBound(to: CChar.self))
      }
      unsafe lengths[index] = length
      offset += Int(length)
    }
  }

  /// Gives a statement to libpq, by name when `isPrepared`; false when libpq refuses it.
  mutating func send(
    _ statement: Statement, _ parameters: Parameters, isPrepared: Bool, to connection: OpaquePointer
  ) -> Bool {
    let count = Int32(parameters.count)
    return unsafe parameters.bytes.withUnsafeBytes { bytes in
      unsafe point(into: bytes, count: parameters.count)
      if isPrepared {
        return unsafe statement.nameBytes.withUnsafeBufferPointer { name in
          unsafe PQsendQueryPrepared(
            connection, name.baseAddress, count, values, lengths, formats, 1) == 1
        }
      }
      return unsafe statement.sqlBytes.withUnsafeBufferPointer { sql in
        unsafe statement.parameterTypes.withUnsafeBufferPointer { types in
          unsafe PQsendQueryParams(
            connection, sql.baseAddress, count,
            types.count == parameters.count ? types.baseAddress : nil,
            values, lengths, formats, 1) == 1
        }
      }
    }
  }

  /// Asks the server to prepare a statement under its name.
  func prepare(_ statement: Statement, on connection: OpaquePointer) -> Bool {
    unsafe statement.nameBytes.withUnsafeBufferPointer { name in
      unsafe statement.sqlBytes.withUnsafeBufferPointer { sql in
        unsafe statement.parameterTypes.withUnsafeBufferPointer { types in
          unsafe PQsendPrepare(
            connection, name.baseAddress, sql.baseAddress, Int32(types.count), types.baseAddress)
            == 1
        }
      }
    }
  }
}
