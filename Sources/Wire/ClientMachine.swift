/// What a client does about a frame.
public enum ClientAction: Sendable, Equatable {
  /// Nothing.
  case ignore
  /// The connection is open, its limits are taken over: ``ClientMachine/nextSendable()`` names the
  /// streams that waited with Data.
  indirect case welcome(Welcome)
  /// Hand the message to the call, and call ``ClientMachine/consume(_:on:)`` when it is used.
  case message(stream: UInt32, Frame.Data)
  /// The call is over.
  ///
  /// If messages still wait to be consumed, ``ClientMachine/release(_:)`` when they never will be.
  case end(stream: UInt32, Frame.End)
  /// The stream waited for window and may send.
  case sendable(stream: UInt32)
  /// The connection's window opened: ``ClientMachine/nextSendable()`` names the streams.
  case connectionSendable
  /// Write a Credit on stream 0, for Data that was discarded.
  case credit(connectionBytes: UInt64)
  /// Write a Pong.
  case pong(token: UInt64)
  /// A Ping of this side was answered.
  case ponged(token: UInt64)
  /// The server drains: open new streams elsewhere.
  ///
  /// Streams above `lastStream` were never started: retry and ``ClientMachine/release(_:)`` them.
  case drain(lastStream: UInt32)
  /// The server has ended the connection: every open call ends with this status.
  indirect case ended(Status)
}

/// Why no stream can be opened.
public enum OpenRefusal: Error, Sendable, Equatable {
  /// As many streams are open as the server allows; wait for one to end.
  case tooManyStreams
  /// The connection drains or has ended; open another.
  case draining
  /// All 2^32−1 numbers are used; open another connection.
  case numbersExhausted
}

/// One connection as the client sees it: frames and times in, actions out, no I/O.
///
/// Write the Hello first. Calls may be opened and written behind it, in frames of at most
/// ``frameBytesMax`` bytes; Data waits for Welcome. Every ``ProtocolError`` goes to
/// ``fail(_:)``. Times are nanoseconds of a monotonic clock.
///
/// Invariants:
/// - A stream number is used once, in order.
/// - Each open stream has one End, after which the server sends nothing on it.
/// - Messages that came before an End can still be consumed after it, and their bytes go back to
///   the connection's window once, by then or with ``release(_:)``.
public struct ClientMachine: ~Copyable, Sendable {
  @usableFromInline enum Phase: Sendable {
    case awaitingWelcome
    case open
    case ended
  }

  /// What this client holds, and from Welcome on what the server announced.
  public private(set) var limits: WireLimits
  @usableFromInline var phase = Phase.awaitingWelcome
  var streams: Streams
  var liveness: Liveness
  /// Streams in the table that have ended, and still hold messages.
  var endedStreams = 0
  var isDraining = false
  var lastStreamAllowed = UInt32.max
  let welcomeDeadline: UInt64

  /// A connection that was made `now`.
  ///
  /// Of `limits`, `streamWindowBytes` goes into Hello; the server-to-client window of the
  /// connection is `answerConnectionWindowBytes`.
  public init(limits: WireLimits, now: UInt64) {
    self.limits = limits
    streams = Streams(
      silent: [.ended, .cancelled], streamWindow: limits.streamWindowBytes,
      connectionWindow: limits.answerConnectionWindowBytes,
      peerStreamWindow: 0, peerConnectionWindow: 0)
    liveness = Liveness(limits, now: now)
    welcomeDeadline = now.saturatingAdd(limits.helloTimeout.nanoseconds)
  }

  // MARK: State

  // Asked for every frame: inlined, since a getter of a struct this large gets a copy of it.

  /// The largest frame that either side may send now.
  @inlinable public var frameBytesMax: UInt32 {
    if case .awaitingWelcome = phase {
      return min(limits.greetingFrameBytesMax, limits.frameBytesMax)
    }
    return limits.frameBytesMax
  }

  /// How many calls have no End yet.
  public var openStreams: Int { streams.table.count - endedStreams }

  /// Whether Welcome has come and the connection has not ended.
  @inlinable public var isOpen: Bool {
    if case .open = phase { return true }
    return false
  }

  /// Whether a drain has begun and no call is open: close.
  public var isDrained: Bool { isDraining && openStreams == 0 }

  // MARK: The connection

  /// The first frame to write.
  public func hello(apiKey: String, client: String) -> Hello {
    Hello(
      apiKey: apiKey, client: client,
      streamWindowBytes: UInt64(clamping: limits.streamWindowBytes))
  }

  /// The token of a Ping that is written now.
  public mutating func ping() -> UInt64 { liveness.makeToken() }

  /// Opens no more streams: write the Goaway.
  ///
  /// It names no stream, since servers open none.
  public mutating func startDrain() -> Goaway {
    isDraining = true
    return Goaway(lastStream: 0, status: nil)
  }

  /// Ends the connection: write the Goaway where there is one, and close.
  public mutating func fail(_ status: Status) -> Goaway? {
    guard phase != .ended else { return nil }
    phase = .ended
    isDraining = true
    return Goaway(lastStream: 0, status: status)
  }

  mutating func takeOver(_ announced: Limits) {
    if announced.frameBytesMax > 0 { limits.frameBytesMax = announced.frameBytesMax }
    if announced.openStreamsMax > 0 { limits.openStreamsMax = Int(announced.openStreamsMax) }
    if announced.callTimeoutMaxMilliseconds > 0 {
      limits.callTimeoutMax = .milliseconds(Int64(announced.callTimeoutMaxMilliseconds))
    }
  }

  // MARK: Time

  /// Bytes were read, and after all whole frames some are left; `declaredBytes` as it was split.
  public mutating func frameIncomplete(declaredBytes: Int?, now: UInt64) {
    liveness.frameIncomplete(declaredBytes: declaredBytes, now: now)
  }

  /// The session stops reading, because too much waits: silence is not the server's fault.
  public mutating func pauseReading() { liveness.pause() }

  /// The session reads again.
  public mutating func resumeReading(now: UInt64) { liveness.resume(now: now) }

  /// When ``expire(now:)`` has something to do at the earliest, or nil.
  ///
  /// Input moves it on.
  public var nextDeadline: UInt64? {
    switch phase {
    case .awaitingWelcome:
      return min(welcomeDeadline, liveness.frameDeadline ?? .max)
    case .open:
      let deadline = min(liveness.silenceDeadline ?? .max, liveness.frameDeadline ?? .max)
      return deadline == .max ? nil : deadline
    case .ended:
      return nil
    }
  }

  /// Does what is due: the token of a Ping to write, or nil.
  ///
  /// - Throws: ``ProtocolError`` `welcomeTimeout`, `frameTimeout` or `pongTimeout`.
  public mutating func expire(now: UInt64) throws(ProtocolError) -> UInt64? {
    switch phase {
    case .awaitingWelcome:
      if welcomeDeadline <= now { throw .welcomeTimeout }
      try liveness.checkFrame(now: now)
      return nil
    case .open:
      try liveness.checkFrame(now: now)
      return try liveness.duePing(now: now)
    case .ended:
      return nil
    }
  }
}
