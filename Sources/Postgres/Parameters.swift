/// The parameters of a statement, in the server's binary form, in one buffer.
///
/// Each is a length (big-endian Int32, -1 for NULL) and its bytes, as the protocol and binary COPY
/// have them.
public struct Parameters: Sendable {
  private(set) var bytes: [UInt8] = []
  /// How many there are.
  public private(set) var count = 0

  /// Makes an empty list.
  public init() {}

  /// Makes an empty list with room for `capacityBytes`, four a parameter included.
  public init(capacityBytes: Int) {
    bytes.reserveCapacity(capacityBytes)
  }

  /// Forgets the parameters and keeps the room.
  public mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    count = 0
  }

  // MARK: Scalars

  /// Adds a `uuid`.
  public mutating func append(uuid value: UUID?) {
    guard let value else { return appendNull() }
    append(length: 16)
    append(word: value.high)
    append(word: value.low)
  }

  /// Adds a `text`, `varchar` or enum.
  public mutating func append(text value: String?) {
    guard let value else { return appendNull() }
    append(length: value.utf8.count)
    bytes.append(contentsOf: value.utf8)
  }

  /// Adds a `jsonb`.
  public mutating func append(json value: String?) {
    guard let value else { return appendNull() }
    append(length: value.utf8.count + 1)
    bytes.append(1)
    bytes.append(contentsOf: value.utf8)
  }

  /// Adds a `bytea`.
  public mutating func append(bytes value: [UInt8]?) {
    guard let value else { return appendNull() }
    append(length: value.count)
    bytes.append(contentsOf: value)
  }

  /// Adds a `boolean`.
  public mutating func append(bool value: Bool?) {
    guard let value else { return appendNull() }
    append(length: 1)
    bytes.append(value ? 1 : 0)
  }

  /// Adds a `smallint`.
  public mutating func append(int2 value: Int16?) {
    guard let value else { return appendNull() }
    append(length: 2)
    append(word: value)
  }

  /// Adds an `integer`.
  public mutating func append(int4 value: Int32?) {
    guard let value else { return appendNull() }
    append(length: 4)
    append(word: value)
  }

  /// Adds a `bigint`.
  public mutating func append(int8 value: Int64?) {
    guard let value else { return appendNull() }
    append(length: 8)
    append(word: value)
  }

  /// Adds a `double precision`.
  public mutating func append(float8 value: Double?) {
    append(int8: value.map { Int64(bitPattern: $0.bitPattern) })
  }

  /// Adds a `timestamptz`, given in microseconds since 1970; `Int64.min` and `Int64.max` are
  /// the server's -infinity and infinity.
  public mutating func append(timestamp value: Int64?) {
    append(int8: value.map(Timestamp.toServer))
  }

  /// Adds an `xid8`.
  public mutating func append(xid8 value: UInt64?) {
    append(int8: value.map { Int64(bitPattern: $0) })
  }

  // MARK: Text forms made without a String

  /// Adds the 36 characters of `value` as `text`.
  mutating func append(textOf value: UUID) {
    append(length: 36)
    let start = grow(by: 36)
    unsafe bytes.withUnsafeMutableBufferPointer { buffer in
      unsafe value.write(to: UnsafeMutableBufferPointer(rebasing: buffer[start...]))
    }
  }

  /// Adds the digits of `value` as `text`.
  mutating func append(textOf value: UInt64) {
    var divisor: UInt64 = 1
    var digits = 1
    while value / divisor >= 10 {
      divisor *= 10
      digits += 1
    }
    append(length: digits)
    while divisor > 0 {
      bytes.append(48 + UInt8(value / divisor % 10))
      divisor /= 10
    }
  }

  // MARK: Layout

  mutating func appendNull() {
    count += 1
    append(word: Int32(-1))
  }

  /// Begins a parameter of `length` bytes.
  mutating func append(length: Int) {
    count += 1
    append(word: Int32(length))
  }

  @inline(__always)
  mutating func append(word value: some FixedWidthInteger & BitwiseCopyable) {
    unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
  }

  mutating func append(raw value: String.UTF8View) {
    bytes.append(contentsOf: value)
  }

  mutating func append(raw value: [UInt8]) {
    bytes.append(contentsOf: value)
  }

  /// Adds `count` zero bytes and says where they begin.
  mutating func grow(by count: Int) -> Int {
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: count))
    return start
  }

  /// Lends the buffer for writing.
  mutating func withBytes(_ body: (UnsafeMutableRawBufferPointer) -> Void) {
    unsafe bytes.withUnsafeMutableBytes { unsafe body($0) }
  }
}

/// The server counts microseconds from 2000, we count them from 1970.
enum Timestamp {
  /// Microseconds from 1970 to 2000.
  static let epochOffset: Int64 = 946_684_800_000_000

  static func toServer(_ microseconds: Int64) -> Int64 {
    if microseconds == .max || microseconds == .min { return microseconds }
    let (value, overflow) = microseconds.subtractingReportingOverflow(epochOffset)
    return overflow ? .min : value
  }

  static func fromServer(_ microseconds: Int64) -> Int64 {
    if microseconds == .max || microseconds == .min { return microseconds }
    let (value, overflow) = microseconds.addingReportingOverflow(epochOffset)
    return overflow ? .max : value
  }
}
