internal import Glibc

/// A 128-bit identifier, held as two machine words.
public struct UUID: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The first eight bytes, most significant first.
  public let high: UInt64
  /// The last eight bytes, most significant first.
  public let low: UInt64

  /// Makes one from its two halves.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// The identifier whose bits are all zero.
  public static let zero = UUID(high: 0, low: 0)

  /// Reads the form 8-4-4-4-12 of hexadecimal digits in either case, and nothing else.
  public init?(_ text: some StringProtocol) {
    var text = String(text)
    self.init(text.withUTF8 { unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer($0)).uuid })
  }

  /// Takes 16 bytes in network order.
  public init?(bytes: [UInt8]) {
    guard bytes.count == 16 else { return nil }
    var halves: (UInt64, UInt64) = (0, 0)
    for index in 0..<8 { halves.0 = halves.0 << 8 | UInt64(bytes[index]) }
    for index in 8..<16 { halves.1 = halves.1 << 8 | UInt64(bytes[index]) }
    self.init(high: halves.0, low: halves.1)
  }

  private init?(_ parsed: UUID?) {
    guard let parsed else { return nil }
    self = parsed
  }

  /// The 16 bytes in network order.
  public var bytes: [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: 16) { buffer, count in
      for index in 0..<8 {
        unsafe buffer[index] = UInt8(truncatingIfNeeded: high >> (56 - UInt64(index) * 8))
        unsafe buffer[index + 8] = UInt8(truncatingIfNeeded: low >> (56 - UInt64(index) * 8))
      }
      count = 16
    }
  }

  /// The lower-case form 8-4-4-4-12.
  public var description: String {
    unsafe String(unsafeUninitializedCapacity: 36) { buffer in
      unsafe write(to: buffer)
      return 36
    }
  }

  /// Writes the 36 digits and hyphens of the text form.
  func write(to buffer: UnsafeMutableBufferPointer<UInt8>) {
    var position = 0
    for digit in 0..<32 {
      if digit == 8 || digit == 12 || digit == 16 || digit == 20 {
        unsafe buffer[position] = UInt8(ascii: "-")
        position += 1
      }
      let half = digit < 16 ? high : low
      let value = UInt8(truncatingIfNeeded: half >> (60 - UInt64(digit & 15) * 4)) & 15
      unsafe buffer[position] = value < 10 ? value &+ 48 : value &+ 87
      position += 1
    }
  }

  /// Compares as the server does, byte by byte.
  public static func < (left: UUID, right: UUID) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }
}

extension RawSpan {
  /// The identifier that these bytes spell.
  fileprivate var uuid: UUID? {
    guard byteCount == 36 else { return nil }
    var halves: (UInt64, UInt64) = (0, 0)
    var digits = 0
    for position in 0..<36 {
      let byte = unsafe unsafeLoad(fromByteOffset: position, as: UInt8.self)
      if position == 8 || position == 13 || position == 18 || position == 23 {
        guard byte == UInt8(ascii: "-") else { return nil }
        continue
      }
      let value: UInt8
      switch byte {
      case 48...57: value = byte - 48
      case 65...70: value = byte - 55
      case 97...102: value = byte - 87
      default: return nil
      }
      if digits < 16 {
        halves.0 = halves.0 << 4 | UInt64(value)
      } else {
        halves.1 = halves.1 << 4 | UInt64(value)
      }
      digits += 1
    }
    return UUID(high: halves.0, low: halves.1)
  }
}

/// Makes time-ordered identifiers (version 7), each greater than the one before it.
///
/// Sixty bits hold the time, in steps of a 4096th of a millisecond; when the clock stands still or
/// goes back they count on by one, so the order of making is the order of sorting. Sixty-two bits
/// are random, from the kernel.
public struct UUIDGenerator {
  private var last: UInt64 = 0
  private var random: [UInt64] = []

  /// Makes one that has given out nothing.
  public init() {}

  /// The next identifier; `now` is the wall clock in microseconds since 1970.
  public mutating func next(now: Int64) -> UUID {
    let now = UInt64(clamping: now)
    let time = (now / 1_000) << 12 | (now % 1_000) * 4_096 / 1_000
    last = max(time, last &+ 1)
    let high = (last >> 12) << 16 | 0x7000 | (last & 0xFFF)
    return UUID(high: high, low: 0x8000_0000_0000_0000 | randomWord() >> 2)
  }

  private mutating func randomWord() -> UInt64 {
    if let word = random.popLast() { return word }
    random = [UInt64](repeating: 0, count: 32)
    let status = unsafe random.withUnsafeMutableBytes { bytes -> Int32 in
      guard let start = bytes.baseAddress else { return -1 }
      return unsafe getentropy(start, bytes.count)
    }
    precondition(status == 0, "the kernel gives no random bytes")
    return random.removeLast()
  }
}

extension UUID {
  /// A time-ordered identifier (version 7) greater than the last one of `generator`; `now` is the
  /// wall clock in microseconds since 1970.
  public static func v7(now: Int64, _ generator: inout UUIDGenerator) -> UUID {
    generator.next(now: now)
  }
}
