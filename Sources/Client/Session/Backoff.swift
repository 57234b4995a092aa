/// How long to wait before the next try: exponential, with full jitter.
struct Backoff {
  /// The bound of the first wait.
  let first: Duration
  /// No wait is longer.
  let longest: Duration
  private var tries = 0

  init(first: Duration, longest: Duration) {
    self.first = first
    self.longest = longest
  }

  /// The bound of the next wait: it doubles with each try.
  var bound: Duration {
    let doublings = min(tries, 20)
    return min(first * (1 << doublings), longest)
  }

  /// The next wait, anything from zero to its bound, so that clients that lost the same server do
  /// not come back at the same moment.
  mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
    let bound = bound
    tries += 1
    return bound * Double.random(in: 0...1, using: &random)
  }

  /// The next wait where the server advises one: at least that, and drawn beyond it, so that
  /// those who were told the same do not come back at the same moment either.
  mutating func next(
    after advice: Duration, using random: inout some RandomNumberGenerator
  ) -> Duration {
    advice + next(using: &random)
  }

  /// A try succeeded.
  mutating func reset() { tries = 0 }
}
