internal import CMessages

/// A `google.protobuf.Timestamp`, in whole microseconds.
public struct Timestamp: Sendable, Hashable, Comparable {
  /// The microseconds that travel: the years 1 to 9999.
  public static let microsecondsRange: ClosedRange<Int64> =
    -62_135_596_800_000_000...253_402_300_799_999_999

  /// Since 1970-01-01T00:00:00Z, leap seconds not counted.
  ///
  /// A receiver refuses what lies outside of ``microsecondsRange``.
  public var microseconds: Int64

  /// A point in time, in microseconds since 1970.
  public init(microseconds: Int64) {
    self.microseconds = microseconds
  }

  /// Whether `left` is before `right`.
  public static func < (left: Timestamp, right: Timestamp) -> Bool {
    left.microseconds < right.microseconds
  }
}

extension Timestamp: @unsafe Bridged {
  static var shape: UnsafePointer<messages_shape> {
    unsafe google__protobuf__timestamp__shape()
  }

  init() {
    microseconds = 0
  }

  /// Cuts off nanoseconds below a microsecond; the scan has checked the range.
  init(reading value: UnsafePointer<Google__Protobuf__Timestamp>) {
    let (seconds, nanoseconds) = unsafe (value.pointee.seconds, value.pointee.nanos)
    microseconds = seconds * 1_000_000 + Int64(nanoseconds / 1_000)
  }

  func fill(_ value: UnsafeMutablePointer<Google__Protobuf__Timestamp>, _ arena: Arena) {
    let (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    let borrowed: Int64 = rest < 0 ? 1 : 0
    unsafe value.pointee.seconds = seconds - borrowed
    unsafe value.pointee.nanos = Int32((rest + borrowed * 1_000_000) * 1_000)
  }
}
