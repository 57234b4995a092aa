import EventLoop
import Messages
import WireVectors

@testable import RPC

/// A message that is its bytes.
struct Raw: Message {
  static var fullName: String { "test.Raw" }
  var bytes: [UInt8] = []

  init() {}
  init(_ bytes: [UInt8]) { self.bytes = bytes }

  static func decode(_ bytes: RawSpan) throws(MessageError) -> Raw {
    Raw(unsafe bytes.withUnsafeBytes { unsafe Array($0) })
  }

  func withEncoded<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(bytes.span.bytes)
  }
}

/// What a test tells a handler to do.
enum Command: Sendable {
  /// End with OK.
  case answer([UInt8])
  /// End with an error.
  case fail(CallError)
  /// Be done with so many bytes of requests.
  case consume(Int)
  /// Send so many zero bytes when the window allows it, or else say that it is closed.
  case send(Int)
  /// Send so many messages of so many bytes each, waiting for window.
  case stream(messages: Int, bytes: Int)
}

/// The handlers of `test.Calls`, which do what a test tells them; on the server's loop.
final class Stage {
  /// What happened to handlers, in the words of the golden vectors.
  private(set) var journal: [JSON] = []
  /// Handlers that run, by stream; tests use one connection.
  private var acts: [UInt32: Act] = [:]
  private let loop: Loop

  init(_ loop: Loop) { self.loop = loop }

  /// Whether handlers do not hear that their connection has gone.
  var isDeaf = false

  var running: Int { acts.count }

  func take() -> [JSON] {
    defer { journal = [] }
    return journal
  }

  func tell(_ stream: UInt32, _ command: Command) {
    acts[stream]?.commands.append(command)
    acts[stream]?.arrived.notify()
  }

  func note(_ name: String, _ value: JSON) { journal.append(.object([name: value])) }

  /// One handler that runs.
  final class Act {
    var commands: [Command] = []
    let arrived = Signal()
    var sent = 0
    let call: CallContext
    init(_ call: CallContext) { self.call = call }
  }

  /// How many messages the handler of `stream` has sent.
  func sent(_ stream: UInt32) -> Int { acts[stream]?.sent ?? -1 }

  /// When the call of `stream` must end.
  func deadline(_ stream: UInt32) -> Instant? { acts[stream]?.call.deadline }

  // MARK: Methods

  /// One method of each kind, and one that the tests' key may not call.
  static var methods: [ServedMethod] {
    [
      ServedMethod.unary(descriptor("Unary", .unary)) {
        (_: Raw, call: CallContext) async throws(CallError) -> Raw in
        try await play(call, nil, nil)
      },
      ServedMethod.serverStreaming(descriptor("ServerStreaming", .serverStreaming)) {
        (_: Raw, responses: ResponseStream<Raw>, call: CallContext) async throws(CallError) in
        _ = try await play(call, nil, responses)
      },
      ServedMethod.clientStreaming(descriptor("ClientStreaming", .clientStreaming)) {
        (requests: RequestStream<Raw>, call: CallContext) async throws(CallError) -> Raw in
        try await play(call, requests, nil)
      },
      ServedMethod.bidirectional(descriptor("Bidirectional", .bidirectional)) {
        (
          requests: RequestStream<Raw>, responses: ResponseStream<Raw>, call: CallContext
        ) async throws(CallError) in
        _ = try await play(call, requests, responses)
      },
      ServedMethod.unary(descriptor("Forbidden", .unary, permission: "test.forbidden")) {
        (request: Raw, _: CallContext) -> Raw in request
      },
      ServedMethod.unary(
        descriptor("Open", .unary, permission: Router.anonymousPermission)
      ) { (_: Raw, call: CallContext) async throws(CallError) -> Raw in
        try await play(call, nil, nil)
      },
      ServedMethod.clientStreaming(
        descriptor("ForbiddenStream", .clientStreaming, permission: "test.forbidden")
      ) { (_: RequestStream<Raw>, _: CallContext) -> Raw in Raw() },
    ]
  }

  private static func descriptor(
    _ name: String, _ kind: MethodKind, permission: String = "test.call"
  ) -> MethodDescriptor {
    MethodDescriptor(
      name: "test.Calls/\(name)", kind: kind, permission: permission, isAudited: false,
      idempotency: .read)
  }

  private static func play(
    _ call: CallContext, _ requests: RequestStream<Raw>?, _ responses: ResponseStream<Raw>?
  ) async throws(CallError) -> Raw {
    guard let stage = (call.loop.attachment as? Place)?.stage else {
      throw .internal("no stage")
    }
    return try await stage.run(Act(call), requests, responses)
  }

  private func run(
    _ act: Act, _ requests: RequestStream<Raw>?, _ responses: ResponseStream<Raw>?
  ) async throws(CallError) -> Raw {
    let call = act.call
    acts[call.stream] = act
    defer { acts[call.stream] = nil }
    note("start", .number(Int(call.stream)))
    call.cancellation.onCancel { [self] reason in
      if reason == .cancelled {
        note("cancel", .number(Int(call.stream)))
      } else if !isDeaf {
        act.commands.append(.fail(CallError(reason)))
      }
      act.arrived.notify()
    }
    if let requests { watch(call, requests) }
    while true {
      while act.commands.isEmpty { await act.arrived.wait(unless: { !act.commands.isEmpty }) }
      switch act.commands.removeFirst() {
      case .answer(let bytes): return Raw(bytes)
      case .fail(let error): throw error
      case .consume(let bytes): requests?.consumed(bytes)
      case .send(let bytes): try await send(bytes, act, responses)
      case .stream(let messages, let bytes):
        for _ in 0..<messages {
          try await responses?.send(Raw([UInt8](repeating: 0, count: bytes)))
          act.sent += 1
        }
      }
    }
  }

  private func send(
    _ bytes: Int, _ act: Act, _ responses: ResponseStream<Raw>?
  ) async throws(CallError) {
    let call = act.call
    if call.canRespond {
      try await responses?.send(Raw([UInt8](repeating: 0, count: bytes)))
      act.sent += 1
    } else {
      note("blocked", .number(Int(call.stream)))
      _ = call.mayRespond.next { [self] in note("sendable", .number(Int(call.stream))) }
    }
  }

  /// Notes every request as it comes, without being done with it.
  private func watch(_ call: CallContext, _ requests: RequestStream<Raw>) {
    var isFirst = call.isFirstUncounted
    loop.spawn { [self] in
      do throws(CallError) {
        while let (request, _) = try await requests.take() {
          let isLast = call.requests.isEnded && call.requests.isEmpty
          if !isFirst {
            note(
              "deliver",
              .object([
                "stream": .number(Int(call.stream)), "message": .text(hex(request.bytes)),
                "end_of_requests": .bool(isLast),
              ]))
          }
          isFirst = false
          if isLast { return }
        }
        if !isFirst || !call.isFirstUncounted { note("half_close", .number(Int(call.stream))) }
      } catch {
        // The command loop hears of the cancellation itself.
      }
    }
  }
}
