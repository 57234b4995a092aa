/// How often which durations came, in buckets of at most 1.6 % of their value.
struct Histogram: Sendable {
  /// Each power of two is split into so many buckets.
  private static let split = 64
  private static let splitBits = 6

  private var counts = [UInt64](repeating: 0, count: (64 - splitBits + 1) * split)
  /// How many durations there are.
  private(set) var count: UInt64 = 0
  /// The longest one, in nanoseconds.
  private(set) var longest: UInt64 = 0

  /// Adds a duration in nanoseconds.
  mutating func add(_ nanoseconds: UInt64) {
    counts[Self.bucket(of: nanoseconds)] += 1
    count += 1
    longest = max(longest, nanoseconds)
  }

  /// Adds all that another holds.
  mutating func add(_ other: Histogram) {
    for index in counts.indices { counts[index] += other.counts[index] }
    count += other.count
    longest = max(longest, other.longest)
  }

  /// The duration in nanoseconds that a fraction of all does not exceed; 0 without any.
  func quantile(_ fraction: Double) -> UInt64 {
    guard count > 0 else { return 0 }
    let rank = max(1, UInt64((Double(count) * fraction).rounded(.up)))
    var seen: UInt64 = 0
    for (index, count) in counts.enumerated() {
      seen += count
      if seen >= rank { return min(Self.upperBound(of: index), longest) }
    }
    return longest
  }

  private static func bucket(of value: UInt64) -> Int {
    guard value >= split else { return Int(value) }
    let exponent = 63 - value.leadingZeroBitCount
    let mantissa = Int(value >> UInt64(exponent - splitBits)) - split
    return (exponent - splitBits + 1) * split + mantissa
  }

  private static func upperBound(of bucket: Int) -> UInt64 {
    guard bucket >= split else { return UInt64(bucket) }
    let exponent = bucket / split - 1
    let mantissa = UInt64(bucket % split + split)
    // The last bucket ends with the largest number.
    let (end, overflow) = (mantissa + 1).multipliedReportingOverflow(by: 1 << UInt64(exponent))
    return overflow || end == 0 ? .max : end - 1
  }
}
