public import EventLoop
public import Messages
internal import Synchronization
public import Wire

/// A way to a server that outlives its connections: it dials when a call needs it, again after a
/// loss, and elsewhere while a server drains.
///
/// Any thread may use it.
///
/// Calls that only read, and calls with an idempotency key, are repeated with the same bytes while
/// their timeout lasts when the server is away or the connection breaks.
public final class Connection: Sendable {
  private let mailbox: Mailbox
  /// The loops that end with this; nil when they are the caller's.
  private let ownLoops: LoopGroup?
  private let number: UInt64
  private let lastCall = Atomic<UInt64>(0)

  /// A connection with a thread of its own.
  ///
  /// - Throws: ``ClientError`` when the process has no descriptors left.
  public convenience init(to endpoint: Endpoint) throws(ClientError) {
    do throws(SystemError) {
      let loops = try LoopGroup(count: 1) { _, _ in }
      self.init(to: endpoint, on: loops.mailboxes[0], ownLoops: loops)
    } catch {
      throw .settings("The client's thread cannot start: \(error).")
    }
  }

  /// A connection on a loop that the client shares with nobody else.
  public convenience init(to endpoint: Endpoint, on mailbox: Mailbox) {
    self.init(to: endpoint, on: mailbox, ownLoops: nil)
  }

  private init(to endpoint: Endpoint, on mailbox: Mailbox, ownLoops: LoopGroup?) {
    let number = lastConnection.add(1, ordering: .relaxed).newValue
    self.number = number
    self.mailbox = mailbox
    self.ownLoops = ownLoops
    mailbox.post { loop in
      ClientLoop.on(loop).channels[number] = Channel(number, on: loop, to: endpoint)
    }
  }

  deinit { end() }

  /// Connects now, in one attempt, so that a server that is away or refuses is told at once.
  ///
  /// - Throws: ``ClientError`` that says why there is no connection.
  public func open() async throws(ClientError) -> Welcome {
    let result: Result<Welcome, ClientError> = await Promise.wait { promise in
      onChannel { channel in
        guard let channel else { return promise.resolve(.failure(.closed)) }
        channel.open { promise.resolve($0) }
      }
    }
    return try result.get()
  }

  /// Measures the time of a Ping to the server and back; at most 10 a second are allowed.
  ///
  /// - Throws: ``ClientError`` when there is no connection, or it breaks.
  public func ping() async throws(ClientError) -> Duration {
    _ = try await open()
    let result: Result<Duration, ClientError> = await Promise.wait { promise in
      onChannel { channel in
        guard let channel else { return promise.resolve(.failure(.closed)) }
        channel.ping { promise.resolve($0) }
      }
    }
    return try result.get()
  }

  /// Ends all calls with CLIENT_CLOSED, says goodbye and waits until the threads have ended.
  public func close() async {
    end()
    await ownLoops?.waitUntilStopped()
  }

  private func end() {
    let number = number
    mailbox.post { loop in ClientLoop.on(loop).channels.removeValue(forKey: number)?.close() }
    ownLoops?.stop()
  }

  private func onChannel(_ body: @escaping @Sendable (Channel?) -> Void) {
    let number = number
    mailbox.post { loop in body(ClientLoop.on(loop).channels[number]) }
  }
}

// The four kinds of calls, typed: what the generated stubs call.
extension Connection {
  /// One request, one answer.
  ///
  /// - Throws: ``ClientError``.
  public func unary<Request: Message, Response: Message>(
    _ method: MethodDescriptor, _ request: Request, _ options: CallOptions
  ) async throws(ClientError) -> Response {
    let answer = try await unaryRaw(method, request.encoded, options)
    return try Response.decodeAnswer(answer)
  }

  /// One request, a stream of answers.
  ///
  /// - Throws: ``ClientError`` for options that no server accepts.
  public func serverStreaming<Request: Message, Response: Message>(
    _ method: MethodDescriptor, _ request: Request, _ options: CallOptions
  ) async throws(ClientError) -> ResponseReader<Response> {
    ResponseReader(try await startRaw(method, request.encoded, options))
  }

  /// A stream of requests, one answer.
  ///
  /// - Throws: ``ClientError`` for options that no server accepts.
  public func clientStreaming<Request: Message, Response: Message>(
    _ method: MethodDescriptor, _ options: CallOptions
  ) async throws(ClientError) -> RequestWriter<Request, Response> {
    RequestWriter(try await startRaw(method, nil, options))
  }

  /// A stream of requests, a stream of answers.
  ///
  /// - Throws: ``ClientError`` for options that no server accepts.
  public func bidirectional<Request: Message, Response: Message>(
    _ method: MethodDescriptor, _ options: CallOptions
  ) async throws(ClientError) -> DuplexCall<Request, Response> {
    DuplexCall(try await startRaw(method, nil, options))
  }
}

// Calls whose messages are bytes, for generic clients.
extension Connection {
  /// One request, one answer.
  ///
  /// Cancelling the task cancels the call.
  ///
  /// - Throws: ``ClientError``.
  public func unaryRaw(
    _ method: MethodDescriptor, _ request: [UInt8], _ options: CallOptions
  ) async throws(ClientError) -> [UInt8] {
    let request = try CallRequest(method, request, options)
    let id = lastCall.add(1, ordering: .relaxed).newValue
    // The cancellation may overtake the start on its way to the loop.
    let isCancelled = Flag()
    let delivery: LoopCall.Delivery = await withTaskCancellationHandler {
      await Promise.wait { promise in
        onChannel { channel in
          guard let channel else { return promise.resolve(.end(.failure(.closed))) }
          let call = LoopCall(id, request, on: channel, isHeld: false)
          call.read { promise.resolve($0) }
          if isCancelled.isSet { call.cancel() } else { channel.start(call) }
        }
      }
    } onCancel: {
      isCancelled.set()
      onChannel { channel in channel?.call(id)?.cancel() }
    }
    guard case .end(let result) = delivery else {
      throw .protocolViolation("The server streamed answers to a call with one.")
    }
    return try result.get()
  }

  /// Starts a call of any kind; does not wait for the server.
  ///
  /// - Parameters:
  ///   - method: What to call.
  ///   - first: The only request of a call with one; nil where requests follow by
  ///     ``RawCall/send(_:)``.
  ///   - options: How to call it.
  /// - Returns: The call, which ends when it is let go of.
  /// - Throws: ``ClientError`` for options that no server accepts.
  public func startRaw(
    _ method: MethodDescriptor, _ first: [UInt8]?, _ options: CallOptions
  ) async throws(ClientError) -> RawCall {
    let isStream = method.kind == .clientStreaming || method.kind == .bidirectional
    precondition(
      (first == nil) == isStream, "a call with one request has it at the start")
    let request = try CallRequest(method, first, options)
    let id = lastCall.add(1, ordering: .relaxed).newValue
    onChannel { channel in
      guard let channel else { return }
      channel.start(LoopCall(id, request, on: channel, isHeld: true))
    }
    return RawCall(mailbox: mailbox, channel: number, id: id)
  }
}

/// Something that is set once, by any thread.
private final class Flag: Sendable {
  private let value = Atomic<Bool>(false)

  var isSet: Bool { value.load(ordering: .acquiring) }
  func set() { value.store(true, ordering: .releasing) }
}

private let lastConnection = Atomic<UInt64>(0)
