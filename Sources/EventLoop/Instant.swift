internal import Glibc

/// A moment on the monotonic clock.
public struct Instant: Comparable, Hashable, Sendable {
  /// Nanoseconds since an arbitrary start; never goes back.
  public var nanoseconds: UInt64

  /// Makes the moment `nanoseconds` after the clock's start.
  public init(nanoseconds: UInt64) {
    self.nanoseconds = nanoseconds
  }

  /// Reads the clock.
  public static func now() -> Instant {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
  }

  /// The moment `duration` later; the greatest one when that overflows.
  public func advanced(by duration: Duration) -> Instant {
    let (sum, overflow) = nanoseconds.addingReportingOverflow(duration.wholeNanoseconds)
    return Instant(nanoseconds: overflow ? .max : sum)
  }

  /// How long after `earlier` this moment is; zero when it is not.
  public func since(_ earlier: Instant) -> Duration {
    nanoseconds > earlier.nanoseconds
      ? .nanoseconds(Int64(clamping: nanoseconds - earlier.nanoseconds)) : .zero
  }

  /// Whether `left` comes before `right`.
  public static func < (left: Instant, right: Instant) -> Bool {
    left.nanoseconds < right.nanoseconds
  }
}

extension Duration {
  /// Nanoseconds, rounded down; 0 for negative durations, the greatest number for those that
  /// overflow.
  public var wholeNanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = product.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000))
    return overflow || carry ? .max : sum
  }
}

/// The wall clock.
public enum WallClock {
  /// Microseconds since 1970, UTC.
  public static func microseconds() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) &* 1_000_000 &+ Int64(time.tv_nsec) / 1_000
  }
}
