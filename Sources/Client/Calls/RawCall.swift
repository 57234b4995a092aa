internal import EventLoop
internal import Synchronization

/// A call whose messages are bytes; the typed calls are made of it.
///
/// Letting go of it cancels the call unless it has ended, and so does cancelling a task that waits
/// in one of its methods. One task may send while another reads.
public final class RawCall: Sendable {
  private let mailbox: Mailbox
  private let channel: UInt64
  private let id: UInt64
  private let inbox = Mutex(Inbox())

  private struct Inbox {
    /// Messages that were fetched from the loop, the next one last.
    var messages: [[UInt8]] = []
    /// Bytes that the reader took since the loop was last told.
    var consumedBytes = 0
  }

  init(mailbox: Mailbox, channel: UInt64, id: UInt64) {
    self.mailbox = mailbox
    self.channel = channel
    self.id = id
  }

  deinit {
    let (channel, id) = (channel, id)
    mailbox.post { loop in ClientLoop.on(loop).channels[channel]?.forget(id) }
  }

  /// Ends the call; the server is told, and whoever waits gets CANCELLED.
  public func cancel() {
    onCall { call in call?.cancel() }
  }

  /// Sends a message; returns when it is on its way, which takes until the server gives room.
  ///
  /// - Throws: ``ClientError`` when the call has failed.
  public func send(_ message: [UInt8]) async throws(ClientError) {
    try await send(message, endOfRequests: false)
  }

  /// Says that no more messages follow.
  ///
  /// - Throws: ``ClientError`` when the call has failed.
  public func finishSending() async throws(ClientError) {
    try await send([], endOfRequests: true)
  }

  private func send(_ message: [UInt8], endOfRequests: Bool) async throws(ClientError) {
    let error: ClientError? = await waiting { promise in
      self.onCall { call in
        guard let call else { return promise.resolve(.closed) }
        call.send(message, endOfRequests: endOfRequests) { promise.resolve($0) }
      }
    }
    if let error { throw error }
  }

  /// The next message; nil when the server has ended the call in order.
  ///
  /// The server may send so much more as was taken.
  ///
  /// - Throws: ``ClientError`` when the call failed; what came before that is given first.
  public func next() async throws(ClientError) -> [UInt8]? {
    while true {
      let ready: [UInt8]? = inbox.withLock { inbox in
        guard let message = inbox.messages.popLast() else { return nil }
        inbox.consumedBytes += message.count
        return message
      }
      if let ready { return ready }
      switch await delivery() {
      case .messages(let messages):
        inbox.withLock { $0.messages.insert(contentsOf: messages.reversed(), at: 0) }
      case .end(.success): return nil
      case .end(.failure(let error)): throw error
      }
    }
  }

  /// The answer of a call that has one, once the server has ended it.
  ///
  /// - Throws: ``ClientError`` when the call failed.
  public func answer() async throws(ClientError) -> [UInt8] {
    while true {
      // Messages before the answer are none of this kind of call: the session refuses them.
      if case .end(let result) = await delivery() { return try result.get() }
    }
  }

  private func delivery() async -> LoopCall.Delivery {
    let consumed = inbox.withLock { inbox in
      defer { inbox.consumedBytes = 0 }
      return inbox.consumedBytes
    }
    return await waiting { promise in
      self.onCall { call in
        guard let call else { return promise.resolve(.end(.failure(.closed))) }
        if consumed > 0 { call.consume(consumed) }
        call.read { promise.resolve($0) }
      }
    }
  }

  /// Waits for a promise; the cancellation of the task cancels the call, which resolves it.
  private func waiting<Value: Sendable>(_ body: (Promise<Value>) -> Void) async -> Value {
    await withTaskCancellationHandler {
      await Promise.wait { promise in body(promise) }
    } onCancel: {
      cancel()
    }
  }

  private func onCall(_ body: @escaping @Sendable (LoopCall?) -> Void) {
    let (channel, id) = (channel, id)
    mailbox.post { loop in body(ClientLoop.on(loop).channels[channel]?.call(id)) }
  }
}
