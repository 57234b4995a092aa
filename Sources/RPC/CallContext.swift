public import EventLoop
public import Messages
public import Postgres
internal import Wire

/// One call, from its Call frame to its End: who asks, what for, until when.
///
/// Lives on a loop.
public final class CallContext {
  /// Who asks.
  public private(set) var principal: Principal
  /// What is asked.
  public let method: MethodDescriptor
  /// The loop that everything of this call runs on.
  public let loop: Loop
  /// This loop's way to the database.
  public let database: Database
  /// Tells when the answer is no longer wanted.
  public private(set) lazy var cancellation = Cancellation()
  /// When the answer is no longer wanted; nil = never.
  public let deadline: Instant?
  /// The caller's key for this change; empty = none.
  public let idempotencyKey: String
  /// W3C Trace Context; empty = none.
  public let traceparent: String
  /// When the Call arrived.
  public let startedAt: Instant

  let methodIndex: Int
  let stream: UInt32
  /// The request's bytes, kept only where an idempotency key asks for their digest.
  private(set) var requestBytes: [UInt8]
  /// Message bytes of the Call that the session counts until the handler is done with them.
  var heldBytes = 0
  /// Request bytes whose Credit waits until the key's rate allows more.
  var unreturnedBytes = 0
  /// Requests of a client stream that wait for the handler.
  var requests = RequestQueue()
  /// Whether the first request in the queue came with the Call, which no window counts.
  var isFirstUncounted = false
  /// Told when a request has come, or none will.
  private(set) lazy var requestArrived = Signal()
  /// Told when a response may be sent again.
  private(set) lazy var mayRespond = Signal()

  // Let go of with the call's end: the session holds its open calls.
  private let session: Session
  private(set) var isFinished = false
  private var deadlineTimer: Timer?

  init(
    session: Session, opening: Opening, methodIndex: Int, method: MethodDescriptor,
    requestBytes: [UInt8]
  ) {
    self.session = session
    self.methodIndex = methodIndex
    self.method = method
    self.requestBytes = requestBytes
    principal = opening.principal
    loop = session.loop
    database = session.server.database
    stream = opening.stream
    deadline = opening.deadline
    idempotencyKey = opening.idempotencyKey
    traceparent = opening.traceparent
    startedAt = opening.arrival
  }

  /// What a Call frame says beside its method and message.
  struct Opening {
    var principal: Principal
    var stream: UInt32
    var arrival: Instant
    var deadline: Instant?
    var idempotencyKey: String
    var traceparent: String
  }

  /// Names this call in answers, in the log and in the audit log: "<connection id>-<stream>".
  public var requestID: String { "\(session.connectionID)-\(stream)" }
  /// The connection's id.
  public var connectionID: UUID { session.connectionID }
  /// What the client calls itself.
  public var client: String { session.client }
  /// Where the client connects from.
  public var peer: SocketAddress { session.peer }
  /// Wakes the watchers of what was changed.
  public var feed: ChangeFeed { session.server.feed }
  var audit: AuditJournal { session.server.audit }
  /// What is known of roles in projects.
  var access: AccessCache { session.server.access }
  /// Looks for a role that is not known.
  func look(for role: RoleKey) -> AccessCache.Look {
    defer { session.server.metrics.rolesRead = access.lookCount }
    return access.look(role)
  }
  /// A time-ordered identifier.
  public func nextID() -> UUID { session.server.nextID() }
  /// What a service keeps on this loop: one of each type, made when it is asked for first.
  public func keptOnLoop<Value: AnyObject>(_ make: () -> Value) -> Value {
    session.server.kept(make)
  }
  /// What the whole server shares.
  public var server: ServerState { session.server.state }
  /// What the database is told of this call: its tenant, its deadline, its end.
  public var work: Work {
    Work(
      scope: principal.isAnonymous ? .none : .organization(principal.organizationID),
      deadline: deadline, cancellation: cancellation)
  }

  /// Where the client connects from, as addresses are counted.
  public var addressBlock: AddressBlock { session.permit.block }
  /// What the loop counts.
  var metrics: ServerMetrics {
    get { session.server.metrics }
    _modify { yield &session.server.metrics }
  }

  /// Lets an anonymous call act for whom its request has proved to come from.
  ///
  /// From here on its statements, its audit entry and its idempotency key are theirs; the
  /// connection stays anonymous.
  public func become(_ principal: Principal) { self.principal = principal }

  /// Lets replays be compared by `request`, which is the call's own without its passwords: what is
  /// kept of a request for a day must not be a quick way to try passwords.
  public func compareReplays(by request: some Message) {
    if !idempotencyKey.isEmpty { requestBytes = request.encoded }
  }

  // MARK: The end

  /// Answers a unary or client-streaming call.
  func finish<Response: Message>(_ response: Response) {
    guard !isFinished else { return }
    isFinished = true
    response.withEncoded { session.end(self, message: $0) }
    clean()
  }

  /// Ends a call that has streamed its answers.
  func finish() {
    guard !isFinished else { return }
    isFinished = true
    session.end(self, message: RawSpan())
    clean()
  }

  /// Ends the call with an error.
  func fail(_ error: CallError) {
    guard !isFinished else { return }
    isFinished = true
    session.fail(self, error)
    clean()
  }

  private func clean() {
    if let deadlineTimer { loop.cancel(deadlineTimer) }
    deadlineTimer = nil
  }

  /// Starts the deadline's clock; called when the handler has suspended, so that a call which is
  /// answered at once costs no timer.
  func watchDeadline() {
    guard !isFinished, let deadline else { return }
    deadlineTimer = loop.schedule(after: deadline.since(loop.now)) { [weak self] in
      self?.cancel(.deadlineExceeded)
    }
  }

  /// Stops the work; the handler ends the call when it notices.
  func cancel(_ reason: Cancellation.Reason) {
    guard !isFinished else { return }
    cancellation.cancel(reason)
    requestArrived.notify()
    mayRespond.notify()
  }

  /// Throws when the answer is no longer wanted.
  public func checkCancellation() throws(CallError) {
    if let reason = cancellation.reason { throw CallError(reason) }
  }

  /// Waits for `signal`, at most `patience`, unless `isOver` already.
  ///
  /// - Throws: ``CallError`` when the call is cancelled meanwhile.
  public func wait(
    for signal: Signal, atMost patience: Duration? = nil, unless isOver: () -> Bool
  ) async throws(CallError) {
    try checkCancellation()
    var timer: Timer?
    var signalToken: Signal.Token?
    var cancelToken: Cancellation.Token?
    await Waiter.suspend(unless: isOver) { waiter in
      var isDone = false
      func go() {
        guard !isDone else { return }
        isDone = true
        waiter.resume()
      }
      signalToken = signal.next { go() }
      cancelToken = cancellation.onCancel { _ in go() }
      if let patience { timer = loop.schedule(after: patience) { go() } }
    }
    if let signalToken { signal.remove(signalToken) }
    if let cancelToken { cancellation.remove(cancelToken) }
    if let timer { loop.cancel(timer) }
    try checkCancellation()
  }

  // MARK: Streams

  /// Decodes a request, or ends the call and returns nil.
  func decode<Request: Message>(_ type: Request.Type, _ message: RawSpan) -> Request? {
    do throws(MessageError) {
      return try Request.decode(message)
    } catch {
      fail(CallError(error))
      return nil
    }
  }

  /// Takes a request from the queue, with the bytes that its window counts.
  func takeRequest() -> (bytes: [UInt8], windowBytes: Int)? {
    guard let bytes = requests.popFirst() else { return nil }
    session.requestTaken(by: self)
    defer { isFirstUncounted = false }
    return (bytes, isFirstUncounted ? 0 : bytes.count)
  }

  func returnCredit(_ bytes: Int) { session.returnCredit(self, bytes) }
  var canRespond: Bool { session.canRespond(self) }
  func respond(_ message: RawSpan) throws(CallError) { try session.respond(self, message) }
}
