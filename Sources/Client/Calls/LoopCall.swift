internal import EventLoop
internal import Messages
internal import Wire

/// One call over all its tries.
///
/// Lives on a loop.
///
/// Ends once, with ``result``; messages that came before an orderly end can be read after it.
final class LoopCall: CallHandler {
  /// What a reader gets.
  enum Delivery: Sendable {
    /// Messages, in order; more may come.
    case messages([[UInt8]])
    /// No more messages; the bytes are the answer of a call that has one.
    case end(Result<[UInt8], ClientError>)
  }

  private struct Sending {
    var message: [UInt8]
    var endOfRequests: Bool
    var done: (ClientError?) -> Void
  }

  let id: UInt64
  let request: CallRequest
  let isHeld: Bool
  unowned let channel: Channel
  /// How the call ended.
  private(set) var result: Result<[UInt8], ClientError>?

  private var repetition: Repetition
  private var backoff = Backoff(first: .milliseconds(50), longest: .seconds(5))
  private var session: ClientSession?
  private var stream: UInt32 = 0
  private var timer: Timer?
  private var received: [[UInt8]] = []
  private var readers: [(Delivery) -> Void] = []
  private var sendings: [Sending] = []

  /// Makes a call; `isHeld` when somebody will ask for it by its number after its end.
  init(_ id: UInt64, _ request: CallRequest, on channel: Channel, isHeld: Bool) {
    self.id = id
    self.isHeld = isHeld
    self.request = request
    self.channel = channel
    repetition = Repetition(request.method, idempotencyKey: request.idempotencyKey)
  }

  /// Starts the clock: without an answer by then, or without a connection, the call ends.
  func arm() { arm(request.deadline ?? request.openBy) }

  private func arm(_ moment: Instant) {
    if let timer { channel.loop.cancel(timer) }
    timer = channel.loop.schedule(after: moment.since(channel.loop.now)) { [weak self] in
      guard let self else { return }
      timer = nil
      if request.deadline != nil || session == nil { expire() }
    }
  }

  // MARK: Tries

  /// Sends the call on a session that has room.
  func begin(on session: ClientSession) {
    guard result == nil else { return }
    let remaining = request.deadline.map { $0.since(channel.loop.now) }
    let header = request.header(remaining: remaining)
    let bytes = FrameWriter.callBytes(header, messageBytes: request.message.count)
    guard bytes <= Int(session.frameBytesMax) else {
      return finish(.failure(.requestTooLarge(bytes: bytes, max: session.frameBytesMax)))
    }
    let message = request.message
    do throws(OpenRefusal) {
      stream = try session.start(
        header, kind: request.kind, message: unsafe message.span.bytes, handler: self)
      self.session = session
      sendWaiting()
    } catch {
      channel.enqueue(self)
    }
  }

  /// Waits a little and sends the call again, unless its time is over before.
  private func repeatLater(after error: ClientError) {
    var random = SystemRandomNumberGenerator()
    let delay = backoff.next(after: error.status.advice, using: &random)
    let end = channel.loop.now.advanced(by: delay)
    guard let deadline = request.deadline, end < deadline else {
      return finish(.failure(error))
    }
    channel.loop.schedule(after: delay) { [weak self] in
      guard let self, result == nil else { return }
      channel.enqueue(self)
    }
  }

  // MARK: What the session tells

  func callReceived(_ stream: UInt32, _ message: RawSpan) {
    received.append(unsafe message.withUnsafeBytes { unsafe Array($0) })
    deliver()
  }

  func callMaySend(_ stream: UInt32) { sendWaiting() }

  func callEnded(_ stream: UInt32, _ status: Status?, _ message: RawSpan) {
    endTry()
    guard let status else {
      return finish(.success(unsafe message.withUnsafeBytes { unsafe Array($0) }))
    }
    if repetition.isAllowed(after: status) { return repeatLater(after: .status(status)) }
    finish(.failure(.status(status)))
  }

  func callLost(_ stream: UInt32, _ error: ClientError, mayHaveStarted: Bool) {
    endTry()
    // Messages that were sent on a stream are gone; only its own protocol knows where to resume.
    guard !request.kind.streamsRequests,
      repetition.isAllowed(afterLoss: error, mayHaveStarted: mayHaveStarted)
    else { return finish(.failure(error)) }
    if mayHaveStarted { return repeatLater(after: error) }
    if request.deadline == nil {
      arm(channel.loop.now.advanced(by: CallOptions.patienceDefault))
    }
    channel.enqueue(self)
  }

  private func endTry() {
    session = nil
    stream = 0
  }

  // MARK: The end

  /// The caller no longer wants the answer.
  func cancel() { giveUp(.cancelled) }

  private func expire() {
    // A call that never found a connection says why there was none.
    giveUp(session == nil ? channel.lastError ?? .deadlineExceeded : .deadlineExceeded)
  }

  func giveUp(_ error: ClientError) {
    guard result == nil else { return }
    session?.abandon(stream)
    endTry()
    received = []
    finish(.failure(error))
  }

  private func finish(_ result: Result<[UInt8], ClientError>) {
    guard self.result == nil else { return }
    self.result = result
    if let timer { channel.loop.cancel(timer) }
    timer = nil
    channel.ended(self)
    let error: ClientError? = if case .failure(let error) = result { error } else { nil }
    // What was not sent when the server ended the call in order is not missed by it.
    let unsent = sendings
    sendings = []
    for sending in unsent { sending.done(error) }
    deliver()
  }

  // MARK: Reading

  /// Gives the next messages, or the end, to `reader`; one batch at a time.
  func read(_ reader: @escaping (Delivery) -> Void) {
    readers.append(reader)
    deliver()
  }

  /// So many bytes of messages were used.
  func consume(_ bytes: Int) { session?.consume(bytes, on: stream) }

  private func deliver() {
    while !readers.isEmpty {
      if !received.isEmpty {
        let messages = received
        received = []
        readers.removeFirst()(.messages(messages))
      } else if let result {
        readers.removeFirst()(.end(result))
      } else {
        return
      }
    }
  }

  // MARK: Sending

  /// Sends a message in its turn; `done` is told when it is on its way, or why it never will be.
  func send(_ message: [UInt8], endOfRequests: Bool, _ done: @escaping (ClientError?) -> Void) {
    if let result {
      if case .failure(let error) = result { return done(error) }
      return done(nil)
    }
    sendings.append(Sending(message: message, endOfRequests: endOfRequests, done: done))
    sendWaiting()
  }

  private func sendWaiting() {
    while let session, let next = sendings.first {
      let bytes = next.message.count + FrameWriter.messageFrameOverheadMax
      if bytes > Int(session.frameBytesMax) {
        sendings.removeFirst()
        next.done(.requestTooLarge(bytes: bytes, max: session.frameBytesMax))
        continue
      }
      let message = next.message
      let isSent = session.send(
        unsafe message.span.bytes, on: stream, endOfRequests: next.endOfRequests)
      guard isSent else { return }
      sendings.removeFirst()
      next.done(nil)
    }
  }
}
