/// Who has failed too often of late, each with a token bucket.
///
/// A failure takes a token; whoever has none left waits. The table has a fixed size: a key has four
/// places, chosen by a hash with a secret of the process, and takes the one that is forgiven
/// soonest. So a flood from everywhere forgets some keys early, and costs nothing more.
public struct FailureTable<Key: Hashable & Sendable>: Sendable {
  private struct Entry {
    var key: Key?
    /// When the bucket is full again, in nanoseconds.
    var full: UInt64 = 0
  }

  private static var ways: Int { 4 }
  private var entries: [Entry]
  private let period: UInt64
  private let interval: UInt64

  /// Makes an empty table.
  ///
  /// - Parameters:
  ///   - max: Failures in a period after which a key waits.
  ///   - period: Nanoseconds in which an empty bucket is full again.
  ///   - capacity: Keys that are remembered at most; a multiple of four.
  public init(max: Int, period: UInt64, capacity: Int = 8_192) {
    self.period = period
    interval = period / UInt64(Swift.max(1, max))
    entries = Array(repeating: Entry(), count: capacity)
  }

  /// How many nanoseconds are left until a key may try again; nil = it may now.
  public func wait(for key: Key, now: UInt64) -> UInt64? {
    guard let index = place(of: key) else { return nil }
    let full = entries[index].full
    guard full > now, full - now > period - interval else { return nil }
    return full - now - (period - interval)
  }

  /// Counts a failure.
  public mutating func failed(_ key: Key, now: UInt64) {
    let places = places(of: key)
    var index = places.lowerBound
    for place in places {
      if entries[place].key == key {
        index = place
        break
      }
      if entries[place].full < entries[index].full { index = place }
    }
    let isKnown = entries[index].key == key
    let full = isKnown ? max(entries[index].full, now) : now
    // Whoever goes on is forgiven a period after the last time, and no later.
    entries[index] = Entry(key: key, full: min(full + interval, now + period))
  }

  /// Takes one failure back.
  public mutating func takeBack(_ key: Key) {
    guard let index = place(of: key) else { return }
    entries[index].full -= min(entries[index].full, interval)
  }

  /// Forgets every failure of a key.
  public mutating func forgive(_ key: Key) {
    if let index = place(of: key) { entries[index] = Entry() }
  }

  private func place(of key: Key) -> Int? {
    places(of: key).first { entries[$0].key == key }
  }

  private func places(of key: Key) -> Range<Int> {
    let sets = entries.count / FailureTable.ways
    let set = Int(UInt(bitPattern: key.hashValue) % UInt(sets))
    return set * FailureTable.ways..<(set + 1) * FailureTable.ways
  }
}
