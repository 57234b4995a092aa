internal import EventLoop
public import Messages

/// The requests of a client stream that have come and wait.
struct RequestQueue {
  private var messages: [[UInt8]] = []
  private var first = 0
  /// No more will come.
  var isEnded = false

  var isEmpty: Bool { first == messages.count }
  /// How many taken messages may hold a place in a queue that never runs dry.
  private static let takenMax = 64
  /// Places that are held, those of messages that were taken included.
  var placesCount: Int { messages.count }

  mutating func append(_ message: [UInt8]) {
    messages.append(message)
  }

  mutating func popFirst() -> [UInt8]? {
    guard first < messages.count else { return nil }
    let message = messages[first]
    messages[first] = []
    first += 1
    if first == messages.count {
      messages.removeAll(keepingCapacity: true)
      first = 0
    } else if first >= RequestQueue.takenMax, first * 2 >= messages.count {
      messages.removeFirst(first)
      first = 0
    }
    return message
  }

  /// Empties the queue and says how many messages waited in it.
  mutating func discardAll() -> Int {
    let count = messages.count - first
    messages = []
    first = 0
    return count
  }
}

/// The requests of a client-streaming or bidirectional call, in their order.
///
/// The peer may send as much as its window; the window opens again by what the handler consumed.
public struct RequestStream<Request: Message> {
  private let call: CallContext

  init(_ call: CallContext) { self.call = call }

  /// Whether a request has come that was not taken.
  public var isWaiting: Bool { !call.requests.isEmpty }

  /// The next request, consumed at once; nil when the caller has sent its last.
  public func next() async throws(CallError) -> Request? {
    guard let taken = try await take() else { return nil }
    consumed(taken.sizeBytes)
    return taken.request
  }

  /// The next request; its bytes keep the peer's window closed until ``consumed(_:)`` is told of
  /// `sizeBytes`.
  public func take() async throws(CallError) -> (request: Request, sizeBytes: Int)? {
    while call.requests.isEmpty {
      if call.requests.isEnded { return nil }
      try await call.wait(
        for: call.requestArrived, unless: { !call.requests.isEmpty || call.requests.isEnded })
    }
    try call.checkCancellation()
    guard let (bytes, windowBytes) = call.takeRequest() else { return nil }
    do throws(MessageError) {
      return (try Request.decode(bytes), windowBytes)
    } catch {
      throw CallError(error)
    }
  }

  /// Returns when a request waits, when the last was taken, or when `isOver`, which is looked at
  /// again behind each ``wake()``.
  public func arrival(unless isOver: () -> Bool) async throws(CallError) {
    while call.requests.isEmpty, !call.requests.isEnded, !isOver() {
      try await call.wait(
        for: call.requestArrived,
        unless: { !call.requests.isEmpty || call.requests.isEnded || isOver() })
    }
    try call.checkCancellation()
  }

  /// Lets ``arrival(unless:)`` look again.
  public func wake() { call.requestArrived.notify() }

  /// Whether the last request was taken, and none comes any more.
  public var isOver: Bool { call.requests.isEmpty && call.requests.isEnded }

  /// Opens the peer's window by the size of what is done with.
  public func consumed(_ sizeBytes: Int) {
    call.returnCredit(sizeBytes)
  }
}

/// The responses of a server-streaming or bidirectional call.
public struct ResponseStream<Response: Message> {
  private let call: CallContext

  init(_ call: CallContext) { self.call = call }

  /// Sends one response; waits while the peer's window is closed or the connection is full.
  public func send(_ response: Response) async throws(CallError) {
    try call.checkCancellation()
    while !call.canRespond {
      try await call.wait(for: call.mayRespond, unless: { call.canRespond })
    }
    try response.withEncoded { (message) throws(CallError) in try call.respond(message) }
  }
}
