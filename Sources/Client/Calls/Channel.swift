internal import EventLoop
internal import TLS
internal import Wire

/// The calls of one connection object, and the session that carries them.
///
/// Lives on a loop.
///
/// Dials when a call needs it, keeps calls while the server is away, and moves to a new session
/// when the server drains the old one.
final class Channel: SessionOwner {
  /// How many calls wait for a session at most.
  static let waitingMax = 65_536

  let number: UInt64
  let loop: Loop
  private let endpoint: Endpoint
  private let context: Result<TLSContext, ClientError>
  private var session: ClientSession?
  private var draining: [ClientSession] = []
  private var calls: [UInt64: LoopCall] = [:]
  private var waiting = WaitingLine<LoopCall>()
  private var openers: [(Result<Welcome, ClientError>) -> Void] = []
  private var pings: [Ping: (sent: Instant, done: (Result<Duration, ClientError>) -> Void)] = [:]
  private var backoff = Backoff(first: .milliseconds(100), longest: .seconds(10))
  private var redialTimer: Timer?
  private var redialAt = Instant(nanoseconds: 0)
  private var isClosed = false
  /// Why the last session, or the last attempt at one, ended.
  private(set) var lastError: ClientError?

  /// Sessions number their Pings each for itself.
  private struct Ping: Hashable {
    let session: ObjectIdentifier
    let token: UInt64

    init(_ session: ClientSession, _ token: UInt64) {
      self.session = ObjectIdentifier(session)
      self.token = token
    }
  }

  init(_ number: UInt64, on loop: Loop, to endpoint: Endpoint) {
    self.number = number
    self.loop = loop
    self.endpoint = endpoint
    context = Result { () throws(ClientError) in try endpoint.makeContext() }
  }

  // MARK: Calls

  /// The call of a number, as long as somebody may want something of it.
  func call(_ id: UInt64) -> LoopCall? { calls[id] }

  /// Takes a call on.
  func start(_ call: LoopCall) {
    calls[call.id] = call
    if isClosed { return call.giveUp(.closed) }
    call.arm()
    enqueue(call)
  }

  /// The caller holds nothing of the call any more.
  func forget(_ id: UInt64) {
    calls.removeValue(forKey: id)?.cancel()
  }

  func ended(_ call: LoopCall) {
    if !call.isHeld { calls[call.id] = nil }
  }

  /// Sends the call as soon as a session has room for it.
  func enqueue(_ call: LoopCall) {
    guard waiting.count < Channel.waitingMax else {
      return call.giveUp(
        .status(
          Status(
            .resourceExhausted, reason: "TOO_MANY_CALLS",
            message: "\(Channel.waitingMax) calls wait for a connection already.")))
    }
    waiting.append(call)
    pump()
  }

  private func pump() {
    guard !waiting.isEmpty || !openers.isEmpty else { return }
    guard let session else { return redial() }
    while session.hasRoom, let call = nextWaiting() { call.begin(on: session) }
  }

  // MARK: Sessions

  /// Dials, or waits until it is time to.
  private func redial() {
    guard !isClosed, redialTimer == nil, session == nil else { return }
    switch context {
    case .failure(let error): failWaiting(error)
    case .success(let context):
      guard redialAt > loop.now else {
        session = ClientSession(on: loop, to: endpoint, context: context, owner: self)
        return
      }
      redialTimer = loop.schedule(after: redialAt.since(loop.now)) { [weak self] in
        self?.redialTimer = nil
        self?.pump()
      }
    }
  }

  func sessionOpened(_ session: ClientSession, _ welcome: Welcome) {
    backoff.reset()
    lastError = nil
    let due = openers
    openers = []
    for opener in due { opener(.success(welcome)) }
    pump()
  }

  func sessionHasRoom(_ session: ClientSession) {
    if !waiting.isEmpty { pump() }
  }

  func sessionDrains(_ session: ClientSession) {
    guard session === self.session else { return }
    self.session = nil
    draining.append(session)
    pump()
  }

  func sessionClosed(_ session: ClientSession, _ error: ClientError) {
    draining.removeAll { $0 === session }
    for ping in pings.keys where ping.session == ObjectIdentifier(session) {
      pings.removeValue(forKey: ping)?.done(.failure(error))
    }
    guard session === self.session else { return }
    self.session = nil
    lastError = error
    var random = SystemRandomNumberGenerator()
    let advice = min(error.status.advice, Repetition.adviceMax)
    redialAt = loop.now.advanced(by: backoff.next(after: advice, using: &random))
    let due = openers
    openers = []
    for opener in due { opener(.failure(error)) }
    // What will not get better by itself is told at once.
    if error.isRetryable { pump() } else { failWaiting(error) }
  }

  func sessionPonged(_ session: ClientSession, _ token: UInt64) {
    guard let ping = pings.removeValue(forKey: Ping(session, token)) else { return }
    ping.done(.success(Instant.now().since(ping.sent)))
  }

  private func failWaiting(_ error: ClientError) {
    let due = openers
    openers = []
    for opener in due { opener(.failure(error)) }
    while let call = nextWaiting() { call.giveUp(error) }
  }

  /// The first call that has not ended meanwhile.
  private func nextWaiting() -> LoopCall? {
    while let call = waiting.popFirst() {
      if call.result == nil { return call }
    }
    return nil
  }

  // MARK: The connection itself

  /// Tells `done` when a session is open, or that one attempt at it failed.
  func open(_ done: @escaping (Result<Welcome, ClientError>) -> Void) {
    if isClosed { return done(.failure(.closed)) }
    if let welcome = session?.welcome { return done(.success(welcome)) }
    openers.append(done)
    pump()
  }

  /// Measures a round trip.
  func ping(_ done: @escaping (Result<Duration, ClientError>) -> Void) {
    guard let session, let token = session.ping() else {
      return done(.failure(lastError ?? .connectionLost("There is no connection.")))
    }
    pings[Ping(session, token)] = (Instant.now(), done)
  }

  /// Ends everything: open calls are given up.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    if let redialTimer { loop.cancel(redialTimer) }
    redialTimer = nil
    for call in calls.values.sorted(by: { $0.id < $1.id }) { call.giveUp(.closed) }
    failWaiting(.closed)
    // Every call has been given up, so that there is nothing to wait for.
    let left = draining + [session].compactMap { $0 }
    session = nil
    for session in left { session.leave() }
  }
}
