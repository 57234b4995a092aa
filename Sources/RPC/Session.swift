internal import EventLoop
internal import Postgres
internal import TLS
internal import Wire

/// One connection: bytes in, calls started, answers out.
///
/// Lives on a loop.
///
/// What the protocol demands is decided by ``ServerMachine``; the session does what it says.
final class Session: DescriptorHandler, TurnHandler {
  /// What of its life the connection is in, as far as the protocol does not know it.
  enum Phase {
    case handshake
    case serving
    /// Goaway is written; the sending side is closed as soon as it is sent.
    case closing
    case closed
  }

  // The server outlives its sessions: it forgets each when it ends.
  let server: LoopServer
  let loop: Loop
  let peer: SocketAddress
  /// The connection's place among those that are counted.
  let permit: Permit
  /// Names the connection in Welcome, in the log and in the audit log.
  let connectionID: UUID
  let settings: ServerSettings

  let descriptor: Descriptor
  var tls: TLSConnection
  var machine: ServerMachine
  var phase = Phase.handshake
  let begunAt: Instant

  /// What the client calls itself.
  var client = ""
  /// Who the connection acts for, once Hello is answered.
  var principal: Principal?
  /// By method index, whether the principal may call it.
  var allowed: [Bool] = []
  /// The last stream when the use of the key was noted.
  var notedStream: UInt32 = 0
  /// What this loop has of the key's rate; nil = no bound.
  var rate: RateShare?
  /// Streams wait for their key's bytes, and a timer tells when there are some.
  var isPacing = false
  /// Calls that were refused for the key's rate since ``refusedSince``.
  var refusedCalls = 0
  var refusedSince: Instant
  /// Nothing is read because too many calls were refused or given up.
  var isPenalized = false
  /// Open calls by stream.
  var calls: [UInt32: CallContext] = [:]

  /// Calls that this turn started.
  var startedCalls: [CallContext] = []
  /// How many Calls came in this turn.
  var callsOfTurn = 0
  /// No frame is taken before the next turn.
  var isTurnOver = false

  /// Bytes that were read and are not yet a whole frame.
  var input: [UInt8] = []
  /// Messages that wait in streams for their handlers.
  var queuedMessages = 0
  /// Message bytes of Calls that handlers are at work on: no window counts them.
  var callBytes = 0
  var isReadingPaused = false
  /// The peer has closed its side, or failed.
  var isInputEnded = false

  /// Frames that wait to be written.
  var output = FrameWriter()
  /// How much of `output` is written already.
  var written = 0
  var isFlushScheduled = false
  var waitsForWritable = false
  /// Whether the peer takes what is written.
  var outflow: Outflow
  var isShutdownSent = false
  /// A call waits for `output` to shrink.
  var hasBlockedResponders = false

  var keyUpdatesCounted = 0
  var keyUpdatesSince: Instant
  var endReason = "the peer closed the connection"
  var isProtocolError = false

  /// Messages that may wait in a connection's streams; their bytes are bounded by the windows.
  static let queuedMessagesMax = 16_384

  init(
    _ server: LoopServer, _ descriptor: consuming Descriptor, _ tls: consuming TLSConnection,
    _ peer: SocketAddress, _ permit: Permit, id: UUID
  ) {
    self.server = server
    self.descriptor = descriptor
    self.tls = tls
    self.peer = peer
    self.permit = permit
    loop = server.loop
    connectionID = id
    settings = server.state.settings
    outflow = Outflow(
      period: settings.writeStallTimeout, bytesPerSecondMin: settings.writeBytesPerSecondMin)
    begunAt = loop.now
    keyUpdatesSince = loop.now
    refusedSince = loop.now
    machine = ServerMachine(limits: settings.wire, now: loop.now.nanoseconds)
    boundKeyUpdates()
  }

  /// Starts to watch the connection.
  func begin() throws(TLSError) {
    do throws(SystemError) {
      try loop.register(descriptor.number, .read, self)
    } catch {
      throw TLSError(.libraryFailed, "\(error)")
    }
  }

  func ready(_ readiness: Readiness) {
    if !isTurnOver { callsOfTurn = 0 }
    if phase == .handshake {
      stepHandshake()
      if phase == .handshake { return }
    }
    if readiness.contains(.write) {
      waitsForWritable = false
      flush()
    }
    if !readiness.isDisjoint(with: [.hangup, .error]), isReadingPaused || !machine.wantsFrames {
      // Told of every turn, wanted or not, and nothing can be answered any more.
      return abandon("the connection was cut")
    }
    if !readiness.isDisjoint(with: [.read, .hangup, .error]) { receive() }
    watch()
  }

  private func stepHandshake() {
    do throws(TLSError) {
      switch try tls.handshake() {
      case .done: phase = .serving
      case .wantRead: setInterest(.read)
      case .wantWrite: setInterest(.write)
      }
    } catch {
      server.metrics.handshakeFailures &+= 1
      // The alert may still be on its way: say that nothing follows it before closing.
      descriptor.finishWriting()
      abandon("the TLS handshake failed: \(error)")
    }
  }

  // MARK: Interest

  /// Watches for what the connection waits for now.
  func watch() {
    guard phase == .serving || phase == .closing else { return }
    var interest: Interest = []
    if waitsForWritable { interest.insert(.write) }
    // What comes after the end is thrown away now and then (``linger()``), not as it comes.
    if !isReadingPaused, !isInputEnded, machine.wantsFrames, !machine.discardsInput {
      interest.insert(.read)
    }
    setInterest(interest)
  }

  private func setInterest(_ interest: Interest) {
    do throws(SystemError) {
      try loop.setInterest(descriptor.number, interest)
    } catch {
      abandon("the connection cannot be watched: \(error)")
    }
  }

  // MARK: The end

  /// Ends the connection because the peer broke a rule.
  func fail(_ error: ProtocolError) {
    isProtocolError = true
    server.metrics.protocolErrors &+= 1
    if case .enhanceYourCalm = error {
      server.metrics.floods &+= 1
      // Whoever comes straight back to do it again waits like one who guesses keys.
      server.state.suspect(permit.block, now: loop.now)
    }
    end(error.status, "\(error)")
  }

  /// Writes Goaway with `status`, and closes once the peer had the time to read it.
  func end(_ status: Status, _ reason: String) {
    guard phase == .serving else { return abandon(reason) }
    endReason = reason
    cancelCalls(.connectionLost)
    if let goaway = machine.fail(status, now: loop.now.nanoseconds) { output.goaway(goaway) }
    phase = .closing
    input = []
    isReadingPaused = false
    scheduleFlush()
    linger()
  }

  /// Closes at once.
  func abandon(_ reason: String) {
    guard phase != .closed else { return }
    if phase != .closing { endReason = reason }
    let hadCalls = phase == .serving
    phase = .closed
    if hadCalls { cancelCalls(.connectionLost) }
    loop.deregister(descriptor.number)
    // Says close_notify where the socket still takes it; there is nobody left to tell of a failure.
    if !isShutdownSent { _ = try? tls.shutdown() }
    descriptor.finishWriting()
    server.state.observer.connectionEnded(
      ConnectionRecord(
        connectionID: connectionID, peer: peer.description, client: client,
        organizationID: principal.flatMap { $0.isAnonymous ? nil : $0.organizationID },
        reason: endReason, isProtocolError: isProtocolError))
    server.forget(descriptor.number)
  }

  func cancelCalls(_ reason: Cancellation.Reason) {
    for call in Array(calls.values) { call.cancel(reason) }
  }

  // MARK: Time

  /// Looks at every bound on time; called a few times a second.
  func checkTimeouts() {
    let now = loop.now
    switch phase {
    case .handshake:
      if now.since(begunAt) >= settings.handshakeTimeout {
        server.metrics.handshakeFailures &+= 1
        abandon("the TLS handshake took more than \(settings.handshakeTimeout)")
      }
      return
    case .closed: return
    case .serving, .closing: break
    }
    if outflow.isStalled(now: now.nanoseconds) {
      server.metrics.slowReaders &+= 1
      return abandon("the peer read nothing, or too little, for \(settings.writeStallTimeout)")
    }
    checkKeyUpdates(now)
    expireAnonymity(now)
    expire(now)
    if input.isEmpty, output.isEmpty, calls.isEmpty { releaseBuffers() }
  }

  private func expire(_ now: Instant) {
    guard phase == .serving || phase == .closing else { return }
    guard let due = machine.nextDeadline, due <= now.nanoseconds else { return }
    do throws(ProtocolError) {
      while let timeout = try machine.expire(now: now.nanoseconds) {
        switch timeout {
        case .ping(let token):
          output.ping(token: token)
          scheduleFlush()
        case .drain(let goaway):
          output.goaway(goaway)
          scheduleFlush()
          closeIfDrained()
        case .drainExpired:
          cancelCalls(.draining)
          return end(CallError(.draining).status, "the drain took too long")
        case .close:
          return abandon(endReason)
        }
      }
    } catch {
      fail(error)
    }
  }

  /// Key updates cost this side a key derivation each and the peer next to nothing.
  func checkKeyUpdates(_ now: Instant) {
    if now.since(keyUpdatesSince) >= .seconds(60) {
      keyUpdatesSince = now
      keyUpdatesCounted = tls.keyUpdateCount
      boundKeyUpdates()
    } else if tls.keyUpdateCount - keyUpdatesCounted > settings.keyUpdatesPerMinuteMax {
      fail(.enhanceYourCalm(what: "TLS key updates"))
    }
  }

  /// Ends reading at once where there is one too many; one read could take hundreds.
  private func boundKeyUpdates() {
    tls.endInput(afterKeyUpdates: keyUpdatesCounted + settings.keyUpdatesPerMinuteMax)
  }

  private func releaseBuffers() {
    output.removeAll(keepingCapacity: false)
    if input.capacity > 0 { input = [] }
    if startedCalls.capacity > 0 { startedCalls = [] }
  }

  // MARK: Drain

  /// Lets open calls finish and the client open its next ones elsewhere.
  func drain() {
    guard phase == .serving else { return abandon("the server is shutting down") }
    guard let (goaway, token) = machine.startDrain(now: loop.now.nanoseconds) else { return }
    output.goaway(goaway)
    if let token { output.ping(token: token) }
    scheduleFlush()
    closeIfDrained()
  }

  /// Closes once nothing is open on a connection that takes no more calls.
  func closeIfDrained() {
    guard phase == .serving, machine.isDrained else { return }
    endReason = "drained"
    phase = .closing
    scheduleFlush()
  }
}
