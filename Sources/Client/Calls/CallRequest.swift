internal import EventLoop
internal import Messages
internal import TLS
internal import Wire

/// What a caller asked for.
struct CallRequest: Sendable {
  let method: MethodDescriptor
  /// The first message; empty for calls that open without one.
  let message: [UInt8]
  let hasNoMessage: Bool
  let idempotencyKey: String
  let traceparent: String
  /// When the call must have ended; nil for never.
  let deadline: Instant?
  /// When a call without a deadline must have found a connection.
  let openBy: Instant

  /// - Throws: ``ClientError`` for options that no server accepts.
  init(
    _ method: MethodDescriptor, _ message: [UInt8]?, _ options: CallOptions
  ) throws(ClientError) {
    self.method = method
    self.message = message ?? []
    hasNoMessage = message == nil
    let now = Instant.now()
    let isUnary = method.kind == .unary
    let timeout = options.timeout ?? (isUnary ? CallOptions.patienceDefault : nil)
    deadline = timeout.map { now.advanced(by: $0) }
    openBy = now.advanced(by: CallOptions.patienceDefault)
    switch options.idempotencyKey {
    case .automatic:
      idempotencyKey = isUnary && method.idempotency == .keyed ? Self.randomKey() : ""
    case .explicit(let key):
      guard (1...FieldBounds.idempotencyKeyBytesMax).contains(key.utf8.count) else {
        throw .settings(
          "An idempotency key has 1 to \(FieldBounds.idempotencyKeyBytesMax) bytes.")
      }
      idempotencyKey = key
    case .none: idempotencyKey = ""
    }
    guard options.traceparent.utf8.count <= FieldBounds.traceparentBytesMax else {
      throw .settings("A traceparent has at most \(FieldBounds.traceparentBytesMax) bytes.")
    }
    traceparent = options.traceparent
  }

  var kind: CallKind {
    switch method.kind {
    case .unary: .unary
    case .serverStreaming: .serverStreaming
    case .clientStreaming: .clientStreaming
    case .bidirectional: .bidirectional
    }
  }

  /// The Call of a try that may take `remaining`.
  func header(remaining: Duration?) -> CallHeader {
    var header = CallHeader(method: method.name, endOfRequests: !kind.streamsRequests)
    header.hasNoMessage = hasNoMessage
    header.idempotencyKey = idempotencyKey
    header.traceparent = traceparent
    if let remaining {
      // 0 would mean the server's own limit.
      header.timeoutMilliseconds = max(
        1, UInt32(clamping: remaining.wholeNanoseconds / 1_000_000))
    }
    return header
  }

  private static func randomKey() -> String {
    var key = ""
    for byte in randomBytes(count: 16) {
      key += byte < 16 ? "0" : ""
      key += String(byte, radix: 16)
    }
    return key
  }
}
