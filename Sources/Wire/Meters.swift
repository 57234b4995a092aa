/// So many events a second, with a burst: a token bucket kept as one time.
///
/// `full` is when the bucket is full again; each event moves it on by the time of one token.
struct TokenBucket {
  private var full: UInt64 = 0
  private let interval: UInt64
  private let depth: UInt64

  /// - Parameters:
  ///   - perSecond: Tokens that come back a second, at least 1.
  ///   - burst: Tokens that a full bucket holds, at least 1.
  init(perSecond: UInt64, burst: UInt64) {
    interval = 1_000_000_000 / max(1, perSecond)
    depth = interval * (max(1, burst) - 1)
  }

  /// Takes a token, or says that there is none.
  mutating func take(now: UInt64) -> Bool {
    let start = max(full, now)
    guard start - now <= depth else { return false }
    full = start.saturatingAdd(interval)
    return true
  }
}

/// So many events in a period; the period begins with an event.
struct EventWindow {
  private var start: UInt64 = 0
  /// Events of this period.
  private(set) var count = 0
  private let period: UInt64
  private let max: Int

  init(period: UInt64, max: Int) {
    self.period = period
    self.max = max
  }

  /// Counts an event, or says that it is one too many.
  mutating func take(now: UInt64) -> Bool {
    if count == 0 || now >= start.saturatingAdd(period) {
      start = now
      count = 0
    }
    count += 1
    return count <= max
  }
}

/// What a client may send that does no work: Pings, late and empty frames, cancelled streams.
///
/// Frames that merely crossed an End on the way are not held against a client: `lateCancels` and
/// `lateCreditBytes` say how many of them may still come.
struct FrameMeter {
  private var pings: TokenBucket
  private var idleFrames: TokenBucket
  private var cancels: EventWindow
  private var lateCancels = 0
  private var lateCreditBytes: UInt64 = 0
  private let cancelsFree: Int
  private let lateCancelsMax: Int
  private let lateCreditBytesMax: UInt64

  init(_ limits: WireLimits) {
    pings = TokenBucket(perSecond: limits.pingsPerSecond, burst: limits.pingBurst)
    idleFrames = TokenBucket(
      perSecond: limits.controlFramesPerSecond, burst: limits.controlFramesPerSecond)
    cancels = EventWindow(period: limits.cancelPeriod.nanoseconds, max: limits.cancelsMax)
    cancelsFree = limits.cancelsFree
    lateCancelsMax = limits.openStreamsMax
    lateCreditBytesMax = UInt64(clamping: limits.answerConnectionWindowBytes)
  }

  mutating func ping(now: UInt64) throws(ProtocolError) {
    guard pings.take(now: now) else { throw .enhanceYourCalm(what: "Pings") }
  }

  /// A frame that changes nothing.
  mutating func idleFrame(now: UInt64) throws(ProtocolError) {
    guard idleFrames.take(now: now) else { throw .enhanceYourCalm(what: "control frames") }
  }

  /// The first Cancel of an open stream.
  mutating func cancel(now: UInt64) throws(ProtocolError) {
    guard cancels.take(now: now) else { throw .enhanceYourCalm(what: "cancelled streams") }
  }

  /// Whether more streams were cancelled of late than pass without a pause.
  var cancelsOften: Bool { cancels.count > cancelsFree }

  mutating func lateCancel(now: UInt64) throws(ProtocolError) {
    guard lateCancels > 0 else { return try idleFrame(now: now) }
    lateCancels -= 1
  }

  mutating func lateCredit(_ bytes: UInt64, now: UInt64) throws(ProtocolError) {
    guard bytes > 0, bytes <= lateCreditBytes else { return try idleFrame(now: now) }
    lateCreditBytes -= bytes
  }

  /// Notes what may still come for a stream that has ended.
  ///
  /// - Parameters:
  ///   - wasCancelled: Whether its Cancel has come.
  ///   - uncreditedBytes: What was sent on it and not credited.
  mutating func streamEnded(wasCancelled: Bool, uncreditedBytes: Int64) {
    if !wasCancelled { lateCancels = min(lateCancelsMax, lateCancels + 1) }
    if uncreditedBytes > 0 {
      let sum = lateCreditBytes.saturatingAdd(UInt64(uncreditedBytes))
      lateCreditBytes = min(lateCreditBytesMax, sum)
    }
  }
}
