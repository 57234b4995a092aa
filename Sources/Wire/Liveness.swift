/// Whether the peer is still there, and whether its frames make progress.
///
/// Silence is time without a byte. While this side does not read, nothing is held against the
/// peer.
struct Liveness {
  private var lastInput: UInt64
  private var frameStart: UInt64?
  private var frameBytes: UInt64 = 0
  private var pingSent: UInt64?
  private var isPaused = false
  /// Tokens are consecutive; a Pong for one that was not sent, or came already, is ignored.
  private var lastToken: UInt64 = 0
  private var answeredToken: UInt64 = 0
  private var idleToken: UInt64 = 0

  private let idleTimeout: UInt64
  private let pongTimeout: UInt64
  private let frameTimeout: UInt64
  private let bytesPerSecondMin: UInt64

  init(_ limits: WireLimits, now: UInt64) {
    lastInput = now
    idleTimeout = limits.idleTimeout.nanoseconds
    pongTimeout = limits.pongTimeout.nanoseconds
    frameTimeout = limits.frameTimeout.nanoseconds
    bytesPerSecondMin = max(1, limits.frameBytesPerSecondMin)
  }

  /// A whole frame was received.
  mutating func frameReceived(now: UInt64) {
    lastInput = now
    frameStart = nil
    isPaused = false
  }

  /// Bytes were read, and a frame is left that is not complete.
  mutating func frameIncomplete(declaredBytes: Int?, now: UInt64) {
    lastInput = now
    isPaused = false
    if frameStart == nil { frameStart = now }
    frameBytes = UInt64(declaredBytes ?? 0)
  }

  /// This side stops reading.
  mutating func pause() {
    frameStart = nil
    isPaused = true
  }

  /// This side reads again.
  mutating func resume(now: UInt64) {
    guard isPaused else { return }
    lastInput = now
    if pingSent != nil { pingSent = now }
    isPaused = false
  }

  /// When a frame that has begun must be complete.
  var frameDeadline: UInt64? {
    frameStart.map { start in
      let (whole, rest) = frameBytes.quotientAndRemainder(dividingBy: bytesPerSecondMin)
      let own = whole * 1_000_000_000 + rest * 1_000_000_000 / bytesPerSecondMin
      return start.saturatingAdd(frameTimeout).saturatingAdd(own)
    }
  }

  /// When silence leads to a Ping, or a missing Pong to the end.
  var silenceDeadline: UInt64? {
    if isPaused { return nil }
    if let pingSent { return max(pingSent, lastInput).saturatingAdd(pongTimeout) }
    return lastInput.saturatingAdd(idleTimeout)
  }

  /// The token of the Ping that is due, or nil.
  mutating func duePing(now: UInt64) throws(ProtocolError) -> UInt64? {
    guard let silenceDeadline, silenceDeadline <= now else { return nil }
    guard pingSent == nil else { throw .pongTimeout }
    pingSent = now
    idleToken = makeToken()
    return idleToken
  }

  mutating func checkFrame(now: UInt64) throws(ProtocolError) {
    if let frameDeadline, frameDeadline <= now { throw .frameTimeout }
  }

  /// The token of a Ping that is about to be sent.
  mutating func makeToken() -> UInt64 {
    lastToken += 1
    return lastToken
  }

  /// Takes a Pong, and says whether somebody asked for it.
  mutating func pong(_ token: UInt64) -> Bool {
    guard token > answeredToken, token <= lastToken else { return false }
    answeredToken = token
    if token >= idleToken { pingSent = nil }
    return true
  }
}
