/// The addresses that were refused at their Hello of late, each with a token bucket.
///
/// A refusal takes a token; an address without one is answered late. The table has a fixed size:
/// an address has four places, chosen by a hash with a secret of the process, and takes the one
/// that is forgiven soonest. So a flood from everywhere forgets some addresses early, and costs
/// nothing more.
struct FailedHellos {
  private struct Entry {
    var block: AddressBlock?
    /// When the bucket is full again, in nanoseconds.
    var full: UInt64 = 0
  }

  private static let period: UInt64 = 60_000_000_000
  private static let ways = 4
  private var entries: [Entry]
  private let interval: UInt64

  /// Makes an empty table.
  ///
  /// - Parameters:
  ///   - perMinute: Refusals in a minute after which an address is answered late.
  ///   - capacity: Addresses that are remembered at most; a multiple of four.
  init(perMinute: Int, capacity: Int = 8_192) {
    interval = FailedHellos.period / UInt64(max(1, perMinute))
    entries = Array(repeating: Entry(), count: capacity)
  }

  /// Whether the address has failed too often of late.
  func isSuspect(_ block: AddressBlock, now: UInt64) -> Bool {
    guard let index = places(of: block).first(where: { entries[$0].block == block }) else {
      return false
    }
    let full = entries[index].full
    return full > now && full - now > FailedHellos.period - interval
  }

  /// Counts a refusal.
  mutating func failed(_ block: AddressBlock, now: UInt64) {
    let places = places(of: block)
    var index = places.lowerBound
    for place in places {
      if entries[place].block == block {
        index = place
        break
      }
      if entries[place].full < entries[index].full { index = place }
    }
    let isKnown = entries[index].block == block
    let full = isKnown ? max(entries[index].full, now) : now
    // Whoever goes on is forgiven a minute after the last time, and no later.
    entries[index] = Entry(block: block, full: min(full + interval, now + FailedHellos.period))
  }

  private func places(of block: AddressBlock) -> Range<Int> {
    let sets = entries.count / FailedHellos.ways
    let set = Int(UInt(bitPattern: block.hashValue) % UInt(sets))
    return set * FailedHellos.ways..<(set + 1) * FailedHellos.ways
  }
}
