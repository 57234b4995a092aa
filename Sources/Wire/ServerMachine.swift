/// What a server does about a frame.
public enum ServerAction: Sendable, Equatable {
  /// Nothing.
  case ignore
  /// Look up the key, then call ``ServerMachine/welcome(now:)`` or ``ServerMachine/fail(_:now:)``.
  ///
  /// No frame may be given to the machine before that (``ServerMachine/wantsFrames``).
  indirect case authenticate(Hello)
  /// Route the call, then call ``ServerMachine/accept(_:kind:)`` or ``ServerMachine/decline(_:)``
  /// before the next frame.
  case call(stream: UInt32, Frame.Call)
  /// Write End with this status: the call was never started.
  indirect case refuse(stream: UInt32, Status)
  /// Hand the message to the handler, and call ``ServerMachine/consume(_:on:)`` when it is used.
  ///
  /// `endOfRequests` in it says that no more follow. An empty message takes no window, so whoever
  /// queues messages counts their number as well.
  case message(stream: UInt32, Frame.Data)
  /// Tell the handler that no more messages follow.
  case halfClose(stream: UInt32)
  /// Stop the handler, then write End; ``ServerMachine/release(_:)`` when it has stopped.
  case cancel(stream: UInt32)
  /// The stream waited for window and may send.
  case sendable(stream: UInt32)
  /// The connection's window opened: ``ServerMachine/nextSendable()`` names the streams.
  case connectionSendable
  /// Write a Credit on stream 0, for Data that was discarded.
  case credit(connectionBytes: UInt64)
  /// Write a Pong.
  case pong(token: UInt64)
  /// Write the second Goaway of the drain.
  indirect case drain(Goaway)
  /// The client opens no more streams on this connection.
  case peerDrains
  /// The client has ended the connection: stop all handlers and close.
  indirect case peerEnded(Status)
}

/// What a server does because time has passed.
public enum ServerTimeout: Sendable, Equatable {
  /// Write a Ping.
  case ping(token: UInt64)
  /// Write the second Goaway of the drain.
  indirect case drain(Goaway)
  /// The drain's time is over: end what is still open, then close.
  case drainExpired
  /// The client had its time to read the last Goaway: close.
  case close
}

/// One connection as the server sees it: frames and times in, actions out, no I/O.
///
/// The session reads, splits and decodes, gives every frame to ``receive(_:now:)`` and does what
/// the action says. Every ``ProtocolError``, from splitting and decoding too, goes to
/// ``fail(_:now:)``. Times are nanoseconds of a monotonic clock.
///
/// Invariants:
/// - Stream numbers are taken in order, each once; one below the next number that is not in the
///   table has ended.
/// - A slot is taken by ``accept(_:kind:)`` and given back by ``release(_:)``, by nothing else, so
///   that what runs is bounded by `openStreamsMax` even if a client cancels all the time.
/// - A call is answered by one End: from a refusal, or from the session before or at the release.
/// - Nothing the client sends makes the machine larger than `openStreamsMax` entries.
public struct ServerMachine: ~Copyable, Sendable {
  @usableFromInline enum Phase: Equatable, Sendable {
    case awaitingHello
    case authenticating
    case open
    /// A Goaway with a status was sent or received.
    case closing(until: UInt64)
  }

  @usableFromInline enum Drain: Equatable, Sendable {
    case none
    /// The first Goaway and a Ping were sent.
    case announced(token: UInt64, until: UInt64)
    /// The second Goaway was sent; later streams are ignored.
    case final(lastStream: UInt32)
  }

  /// A Call that the session has not yet accepted or declined.
  struct PendingCall {
    var stream: UInt32
    var endOfRequests: Bool
    var hasNoMessage: Bool
    var hasMessage: Bool
  }

  /// The bounds that the machine holds.
  public let limits: WireLimits
  @usableFromInline var phase = Phase.awaitingHello
  @usableFromInline var drain = Drain.none
  var drainDeadline: UInt64?
  var streams: Streams
  var meter: FrameMeter
  var liveness: Liveness
  var pending: PendingCall?
  @usableFromInline var peerIsDraining = false
  let helloDeadline: UInt64

  /// A connection that was accepted `now`.
  public init(limits: WireLimits, now: UInt64) {
    self.limits = limits
    streams = Streams(
      silent: [.halfClosed, .ended, .cancelled],
      streamWindow: limits.streamWindowBytes, connectionWindow: limits.connectionWindowBytes,
      peerStreamWindow: limits.defaultStreamWindowBytes,
      peerConnectionWindow: limits.answerConnectionWindowBytes)
    meter = FrameMeter(limits)
    liveness = Liveness(limits, now: now)
    helloDeadline = now.saturatingAdd(limits.helloTimeout.nanoseconds)
  }

  // MARK: State

  // Asked for every frame: inlined, since a getter of a struct this large gets a copy of it.

  /// The largest frame that the client may send now, for ``splitFrame(_:at:frameBytesMax:)``.
  @inlinable public var frameBytesMax: UInt32 {
    if case .open = phase { return limits.frameBytesMax }
    return min(limits.greetingFrameBytesMax, limits.frameBytesMax)
  }

  /// Whether frames may be given to the machine: not while a key is looked up.
  @inlinable public var wantsFrames: Bool {
    if case .authenticating = phase { return false }
    return true
  }

  /// Whether whatever arrives is thrown away, unread.
  @inlinable public var discardsInput: Bool {
    if case .closing = phase { return true }
    return false
  }

  /// Whether more streams were cancelled of late than pass without a pause.
  public var cancelsOften: Bool { meter.cancelsOften }

  /// Whether the second Goaway was sent, or the client drains, and no slot is taken: close.
  @inlinable public var isDrained: Bool {
    if case .final = drain { return isIdle }
    return peerIsDraining && isIdle
  }

  @usableFromInline var isIdle: Bool { openStreams == 0 && pending == nil }

  /// How many slots are taken.
  public var openStreams: Int { streams.table.count }

  /// The highest stream that was opened.
  public var lastStream: UInt32 { UInt32(clamping: streams.next - 1) }

  // MARK: The connection

  /// Accepts the client: write Welcome with `limits.announced`, then go on with its frames.
  public mutating func welcome(now: UInt64) {
    precondition(phase == .authenticating, "welcome without Hello")
    phase = .open
    liveness.resume(now: now)
    liveness.frameReceived(now: now)
  }

  /// Ends the connection with a status; nil when it has ended already.
  ///
  /// Write the Goaway, close the sending side, discard input until ``expire(now:)`` says `close`.
  public mutating func fail(_ status: Status, now: UInt64) -> Goaway? {
    guard !discardsInput else { return nil }
    phase = .closing(until: now.saturatingAdd(limits.lingerTimeout.nanoseconds))
    pending = nil
    return Goaway(lastStream: lastStream, status: status)
  }

  /// Begins to drain: write the Goaway, and the Ping where there is one.
  ///
  /// Before Welcome the drain is complete at once. Nil when a drain is under way or the
  /// connection has ended.
  public mutating func startDrain(now: UInt64) -> (goaway: Goaway, pingToken: UInt64?)? {
    guard drain == .none, !discardsInput else { return nil }
    drainDeadline = now.saturatingAdd(limits.drainTimeout.nanoseconds)
    guard phase == .open else { return (finishDrain(), nil) }
    let token = liveness.makeToken()
    drain = .announced(
      token: token, until: now.saturatingAdd(limits.drainPingTimeout.nanoseconds))
    return (Goaway(lastStream: .max, status: nil), token)
  }

  mutating func finishDrain() -> Goaway {
    drain = .final(lastStream: lastStream)
    return Goaway(lastStream: lastStream, status: nil)
  }

  // MARK: Time

  /// Bytes were read, and after all whole frames some are left; `declaredBytes` as it was split.
  public mutating func frameIncomplete(declaredBytes: Int?, now: UInt64) {
    liveness.frameIncomplete(declaredBytes: declaredBytes, now: now)
  }

  /// The session stops reading, because too much waits: silence is not the client's fault.
  public mutating func pauseReading() { liveness.pause() }

  /// The session reads again.
  public mutating func resumeReading(now: UInt64) { liveness.resume(now: now) }

  /// When ``expire(now:)`` has something to do at the earliest, or nil.
  ///
  /// Input moves it on, so a timer need not be set anew for each frame: let it fire, and look
  /// again.
  public var nextDeadline: UInt64? {
    switch phase {
    case .awaitingHello:
      return min(helloDeadline, liveness.frameDeadline ?? .max, drainDeadline ?? .max)
    case .authenticating:
      return drainDeadline
    case .open:
      var deadline = min(liveness.silenceDeadline ?? .max, liveness.frameDeadline ?? .max)
      if case .announced(_, let until) = drain { deadline = min(deadline, until) }
      if let drainDeadline { deadline = min(deadline, drainDeadline) }
      return deadline == .max ? nil : deadline
    case .closing(let until):
      return until
    }
  }

  /// Does what is due; call again until it is nil.
  ///
  /// - Throws: ``ProtocolError`` `helloTimeout`, `frameTimeout` or `pongTimeout`.
  public mutating func expire(now: UInt64) throws(ProtocolError) -> ServerTimeout? {
    if case .closing(let until) = phase { return until <= now ? .close : nil }
    if let drainDeadline, drainDeadline <= now {
      self.drainDeadline = nil
      return .drainExpired
    }
    switch phase {
    case .awaitingHello:
      if helloDeadline <= now { throw .helloTimeout }
      try liveness.checkFrame(now: now)
    case .open:
      if case .announced(_, let until) = drain, until <= now { return .drain(finishDrain()) }
      try liveness.checkFrame(now: now)
      if let token = try liveness.duePing(now: now) { return .ping(token: token) }
    case .authenticating, .closing:
      break
    }
    return nil
  }
}
