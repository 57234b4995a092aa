public import EventLoop
public import TLS
public import Wire

/// One connection to a server, from dialing to its end.
///
/// Lives on a loop.
///
/// The session carries calls as they are started, without a task or a queue of its own: what one
/// turn of the loop starts is written once, at the turn's end. It does not reconnect.
public final class ClientSession {
  /// The life of a session.
  enum Phase: Equatable {
    case dialing
    case handshaking
    /// Hello is sent, Welcome is still to come.
    case greeting
    case open
    case closed
  }

  /// The loop that the session lives on.
  public let loop: Loop
  /// Whom the session talks to.
  public let endpoint: Endpoint
  /// What Welcome said; nil before.
  public internal(set) var welcome: Welcome?

  /// Held until the session's end, which is told to it.
  private(set) var owner: (any SessionOwner)?
  let shared: ClientLoop
  let context: TLSContext
  var phase = Phase.dialing
  var machine: ClientMachine
  var calls = CallTable()
  /// The socket of an attempt to connect that has not ended.
  var dialed: Descriptor?
  var transport: Transport?
  /// Numeric addresses that were not tried yet.
  var addresses: [String] = []

  /// Bytes of a frame that is not complete.
  var partial: [UInt8] = []
  var output = FrameWriter()
  /// How much of `output` was sent.
  var sentBytes = 0
  var isInEndOfTurn = false
  /// Input was left behind in order to let others have their turn.
  var mustReadOn = false
  /// Whether the socket must become writable before anything goes on.
  var waitsToWrite = false
  var timer: Timer?
  var timerDue = Instant(nanoseconds: .max)

  /// The longest time from the start of dialing to Welcome.
  public static let openTimeout = Duration.seconds(10)

  /// A session that dials at once; `owner` is told what becomes of it, never from within here.
  ///
  /// The session lives as long as its socket is open, whoever holds it.
  ///
  /// - Parameters:
  ///   - loop: The loop to live on; its attachment is the client's.
  ///   - endpoint: Whom to talk to.
  ///   - context: Made on this loop, from ``Endpoint/makeContext()``.
  ///   - owner: Held until the session's end.
  public init(
    on loop: Loop, to endpoint: Endpoint, context: TLSContext, owner: any SessionOwner
  ) {
    self.loop = loop
    self.endpoint = endpoint
    self.context = context
    self.owner = owner
    shared = ClientLoop.on(loop)
    var limits = WireLimits()
    limits.streamWindowBytes = Int64(clamping: endpoint.streamWindowBytes)
    limits.helloTimeout = ClientSession.openTimeout
    machine = ClientMachine(limits: limits, now: loop.now.nanoseconds)
    arm()
    dial()
  }

  // MARK: State

  /// Whether another call can be started now.
  public var hasRoom: Bool {
    phase == .open && !isDraining && machine.openStreams < machine.limits.openStreamsMax
  }

  /// Whether Welcome came and the session has not ended.
  public var isOpen: Bool { phase == .open }

  /// The largest frame that the server accepts, in bytes.
  public var frameBytesMax: UInt32 { machine.frameBytesMax }

  /// No new call is started: the server drains, or this side does.
  public internal(set) var isDraining = false

  // MARK: Calls

  /// Starts a call and says its stream; the Call is written at the end of the turn.
  ///
  /// - Throws: ``OpenRefusal`` when ``hasRoom`` is false. A message that does not fit a frame is
  ///   the caller's to refuse: see ``frameBytesMax``.
  public func start(
    _ header: CallHeader, kind: CallKind, message: RawSpan, handler: any CallHandler
  ) throws(OpenRefusal) -> UInt32 {
    guard phase == .open, !isDraining else { throw .draining }
    let stream = try machine.open(kind, endOfRequests: header.endOfRequests)
    calls.insert(stream, handler)
    output.call(stream: stream, header, message: message)
    flushLater()
    return stream
  }

  /// Sends one more message of a call, or says that its window is used up; then the handler is
  /// told when it may send.
  public func send(_ message: RawSpan, on stream: UInt32, endOfRequests: Bool) -> Bool {
    guard phase == .open, machine.isOpen(stream) else { return true }
    // An empty message with the end is only the half-close, which takes no window.
    guard message.isEmpty && endOfRequests || machine.canSend(on: stream) else { return false }
    output.data(stream: stream, message: message, endOfRequests: endOfRequests)
    if !(message.isEmpty && endOfRequests) { machine.didSend(message.byteCount, on: stream) }
    if endOfRequests { machine.didHalfClose(stream) }
    flushLater()
    return true
  }

  /// Counts bytes of answers as used, so that the server may send as many more.
  public func consume(_ bytes: Int, on stream: UInt32) {
    guard phase == .open else { return }
    write(machine.consume(bytes, on: stream), on: stream)
  }

  /// Gives a call up: the server is told, the handler is told no more.
  public func abandon(_ stream: UInt32) {
    guard calls.remove(stream) != nil, phase == .open else { return }
    if machine.cancel(stream) {
      output.cancel(stream: stream)
      flushLater()
    } else {
      release(stream)
    }
  }

  /// Forgets answers of an ended call that nobody will use.
  func release(_ stream: UInt32) {
    guard phase == .open, !machine.isOpen(stream) else { return }
    let bytes = machine.release(stream)
    if bytes > 0 { write(CreditDue(streamBytes: 0, connectionBytes: bytes), on: stream) }
  }

  private func write(_ due: CreditDue, on stream: UInt32) {
    if due.streamBytes > 0 { output.credit(stream: stream, bytes: due.streamBytes) }
    if due.connectionBytes > 0 { output.credit(stream: 0, bytes: due.connectionBytes) }
    if !due.isNone { flushLater() }
  }

  /// Sends a Ping and says its token; the owner is told of the answer.
  ///
  /// At most 10 a second.
  public func ping() -> UInt64? {
    guard phase == .open else { return nil }
    let token = machine.ping()
    output.ping(token: token)
    flushLater()
    return token
  }

  // MARK: The end

  /// Starts no more calls and closes when the open ones have ended.
  public func drain() {
    guard phase == .open else { return close(.closed) }
    guard !isDraining else { return }
    isDraining = true
    output.goaway(machine.startDrain())
    flushLater()
    closeIfDrained()
  }

  /// Says goodbye and closes now; calls that are open are lost.
  public func leave() {
    if phase == .open, !isDraining { output.goaway(machine.startDrain()) }
    flush()
    close(.closed)
  }

  func closeIfDrained() {
    if isDraining, machine.openStreams == 0, phase == .open {
      flush()
      close(.closed)
    }
  }

  /// Ends the session now; open calls are lost to `error`.
  public func close(_ error: ClientError) {
    guard phase != .closed else { return }
    phase = .closed
    if let timer { loop.cancel(timer) }
    timer = nil
    transport?.farewell()
    if let number = transport?.number ?? dialed?.number { loop.deregister(number) }
    transport = nil
    dialed = nil
    output.removeAll(keepingCapacity: false)
    for stream in calls.streams.sorted() {
      calls.remove(stream)?.callLost(stream, error, mayHaveStarted: true)
    }
    let told = owner
    owner = nil
    told?.sessionClosed(self, error)
  }

  /// Ends the session for a broken rule, and tells the server which.
  func fail(_ error: ProtocolError) {
    if let goaway = machine.fail(error.status), phase == .greeting || phase == .open {
      output.goaway(goaway)
      flush()
    }
    let isSilence = error == .pongTimeout || error == .welcomeTimeout
    close(isSilence ? .connectionLost(error.message) : .protocolViolation(error.message))
  }

  // MARK: Time

  /// Keeps one timer at the machine's next deadline.
  ///
  /// Input only moves deadlines on, so a timer that comes early just sets itself again.
  func arm() {
    guard let deadline = machine.nextDeadline, deadline < timerDue.nanoseconds else { return }
    if let timer { loop.cancel(timer) }
    timerDue = Instant(nanoseconds: deadline)
    timer = loop.schedule(after: timerDue.since(loop.now)) { [weak self] in self?.timerFired() }
  }

  private func timerFired() {
    timer = nil
    timerDue = Instant(nanoseconds: .max)
    guard phase != .closed else { return }
    do throws(ProtocolError) {
      if let token = try machine.expire(now: loop.now.nanoseconds) {
        output.ping(token: token)
        flushLater()
      }
    } catch {
      if phase == .dialing || phase == .handshaking {
        return close(.refused("\(endpoint.address) did not answer in time."))
      }
      return fail(error)
    }
    arm()
  }
}
