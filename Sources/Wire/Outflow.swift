/// Whether a peer takes what waits for it.
///
/// It must take something in every period, and on a period's average no less than a bound: one who
/// takes a byte now and then keeps as much of this side's memory as one who takes none.
public struct Outflow: Sendable {
  private let period: UInt64
  private let bytesMin: UInt64
  /// When something last left, or began to wait; nil while nothing waits.
  private var lastProgress: UInt64?
  private var periodStart: UInt64 = 0
  private var periodBytes: UInt64 = 0

  /// - Parameters:
  ///   - period: How long answers may stay where they are.
  ///   - bytesPerSecondMin: What leaves on the average, as long as anything waits.
  public init(period: Duration, bytesPerSecondMin: UInt64) {
    self.period = period.nanoseconds
    let (high, low) = bytesPerSecondMin.multipliedFullWidth(by: self.period)
    bytesMin = high >= 1_000_000_000 ? .max : UInt64(1_000_000_000).dividingFullWidth((high, low)).0
  }

  /// Bytes were given to the kernel, which may be none, and so many wait still.
  public mutating func wrote(_ bytes: Int, waiting: Int, now: UInt64) {
    guard waiting > 0 else {
      lastProgress = nil
      return
    }
    if lastProgress == nil {
      periodStart = now
      periodBytes = 0
      lastProgress = now
      // What went at once, before anything had to wait, says nothing of the peer.
    } else if bytes > 0 {
      lastProgress = now
      periodBytes = periodBytes.saturatingAdd(UInt64(bytes))
    }
  }

  /// Whether too little has left; call it now and then.
  public mutating func isStalled(now: UInt64) -> Bool {
    guard let lastProgress else { return false }
    if now >= lastProgress.saturatingAdd(period) { return true }
    guard now >= periodStart.saturatingAdd(period) else { return false }
    if periodBytes < bytesMin { return true }
    periodStart = now
    periodBytes = 0
    return false
  }
}
