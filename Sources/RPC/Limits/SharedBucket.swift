internal import Synchronization

/// A token bucket that loops share: so many tokens a second, and a burst of one second's.
///
/// It is one number, the time at which the bucket is full again, so that taking is one exchange of
/// a word. Loops take many tokens at once (``RateShare``), so that they seldom meet here.
final class SharedBucket: Sendable {
  /// Tokens that come back a second; at least 1.
  let perSecond: UInt64
  private let full = Atomic<UInt64>(0)
  private static let second: UInt64 = 1_000_000_000

  init(perSecond: UInt64) {
    self.perSecond = max(1, perSecond)
  }

  /// What a bucket gave.
  enum Draw: Equatable {
    case tokens(UInt64)
    /// Nothing; there is a token in so many nanoseconds.
    case wait(UInt64)
  }

  /// Takes at least one token and at most `most`, or says when there is one.
  func draw(upTo most: UInt64, now: UInt64) -> Draw {
    var seen = full.load(ordering: .relaxed)
    while true {
      let start = max(seen, now)
      let used = start - now
      let room = used < SharedBucket.second ? SharedBucket.second - used : 0
      let taken = min(most, tokens(in: room))
      guard taken > 0 else { return .wait(used + time(of: 1) - SharedBucket.second) }
      let (done, current) = full.compareExchange(
        expected: seen, desired: start + time(of: taken), ordering: .relaxed)
      if done { return .tokens(taken) }
      seen = current
    }
  }

  /// Takes tokens, those that are not there included: they are paid back before others are given.
  func charge(_ count: UInt64, now: UInt64) {
    var seen = full.load(ordering: .relaxed)
    while true {
      let (sum, overflow) = max(seen, now).addingReportingOverflow(time(of: count))
      let (done, current) = full.compareExchange(
        expected: seen, desired: overflow ? .max >> 1 : sum, ordering: .relaxed)
      if done { return }
      seen = current
    }
  }

  /// Puts tokens back that were drawn and not used.
  func giveBack(_ count: UInt64) {
    var seen = full.load(ordering: .relaxed)
    while true {
      let time = min(seen, tokens(time: count))
      let (done, current) = full.compareExchange(
        expected: seen, desired: seen - time, ordering: .relaxed)
      if done { return }
      seen = current
    }
  }

  /// Whether the bucket may be forgotten.
  func isFull(now: UInt64) -> Bool { full.load(ordering: .relaxed) <= now }

  /// The time in which so many tokens come back, rounded up: the rate is never exceeded.
  private func time(of count: UInt64) -> UInt64 {
    let (high, low) = count.multipliedFullWidth(by: SharedBucket.second)
    guard high < perSecond else { return .max >> 2 }
    let (quotient, remainder) = perSecond.dividingFullWidth((high, low))
    return min(quotient, .max >> 2) + (remainder > 0 ? 1 : 0)
  }

  /// The same, rounded down.
  private func tokens(time count: UInt64) -> UInt64 {
    let time = time(of: count)
    return time > 0 ? time - 1 : 0
  }

  /// How many tokens come back in a time of at most a second.
  private func tokens(in time: UInt64) -> UInt64 {
    let (high, low) = time.multipliedFullWidth(by: perSecond)
    return SharedBucket.second.dividingFullWidth((high, low)).quotient
  }
}
