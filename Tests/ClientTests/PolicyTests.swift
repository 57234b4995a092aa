import EventLoop
import Messages
import Testing
import Wire

@testable import Client

private func method(_ kind: MethodKind, _ idempotency: MethodIdempotency) -> MethodDescriptor {
  MethodDescriptor(
    name: "t.T/M", kind: kind, permission: "self", isAudited: false, idempotency: idempotency)
}

/// How often a call is sent again after one status, 100 at most.
private func repetitions(of method: MethodDescriptor, key: String, after status: Status) -> Int {
  var repetition = Repetition(method, idempotencyKey: key)
  var count = 0
  while count < 100, repetition.isAllowed(after: status) { count += 1 }
  return count
}

@Suite struct PolicyTests {
  @Test(
    "Only what is safe is repeated after a status",
    arguments: [
      (MethodKind.unary, MethodIdempotency.read, "", StatusCode.unavailable, true),
      (.unary, .keyed, "k", .unavailable, true), (.unary, .keyed, "", .unavailable, false),
      (.unary, .read, "", .internal, false), (.unary, .read, "", .deadlineExceeded, false),
      (.serverStreaming, .read, "", .unavailable, false),
      (.bidirectional, .sequenced, "", .unavailable, false),
    ])
  func status(
    kind: MethodKind, idempotency: MethodIdempotency, key: String, code: StatusCode, isAllowed: Bool
  ) {
    let status = Status(code, reason: "", message: "")
    let repetitions = repetitions(of: method(kind, idempotency), key: key, after: status)
    #expect((repetitions > 0) == isAllowed)
  }

  @Test("A call that was never started is repeated whatever it is")
  func neverStarted() {
    let lost = ClientError.connectionLost("")
    for kind in MethodKind.allCases {
      let repetition = Repetition(method(kind, .sequenced), idempotencyKey: "")
      #expect(repetition.isAllowed(afterLoss: lost, mayHaveStarted: false))
      #expect(!repetition.isAllowed(afterLoss: lost, mayHaveStarted: true))
    }
    let keyed = Repetition(method(.unary, .keyed), idempotencyKey: "k")
    #expect(keyed.isAllowed(afterLoss: lost, mayHaveStarted: true))
    #expect(!keyed.isAllowed(afterLoss: .tls(""), mayHaveStarted: true))
  }

  @Test(
    "A call that the server refused to start is repeated whatever it changes, a few times",
    arguments: ["TOO_MANY_STREAMS", "RATE_LIMITED"])
  func refused(reason: String) {
    let status = Status(.resourceExhausted, reason: reason, message: "")
    let change = method(.unary, .keyed)
    #expect(repetitions(of: change, key: "", after: status) == Repetition.refusalsMax)
    #expect(repetitions(of: method(.bidirectional, .sequenced), key: "", after: status) == 0)
    let other = Status(.resourceExhausted, reason: "PLAN_LIMIT", message: "")
    #expect(repetitions(of: method(.unary, .read), key: "", after: other) == 0)
  }

  @Test("Advice to wait longer than its bound is the caller's to take")
  func longAdvice() {
    var status = Status(.resourceExhausted, reason: "RATE_LIMITED", message: "")
    status.retryAfterMilliseconds = 60_000
    #expect(repetitions(of: method(.unary, .read), key: "", after: status) > 0)
    status.retryAfterMilliseconds += 1
    #expect(repetitions(of: method(.unary, .read), key: "", after: status) == 0)
  }

  @Test("A wait is at least what is advised, and drawn beyond it")
  func advised() {
    var backoff = Backoff(first: .milliseconds(100), longest: .seconds(1))
    var random = SystemRandomNumberGenerator()
    let waits = (0..<20).map { _ in backoff.next(after: .seconds(3), using: &random) }
    #expect(waits.allSatisfy { $0 >= .seconds(3) && $0 <= .seconds(4) })
    #expect(Set(waits).count > 1)
  }

  @Test("Waits double up to their bound, are drawn from zero on, and start over after a success")
  func backoff() {
    var backoff = Backoff(first: .milliseconds(100), longest: .seconds(1))
    var random = SystemRandomNumberGenerator()
    for bound in [100, 200, 400, 800, 1_000, 1_000] {
      #expect(backoff.bound == .milliseconds(bound))
      let wait = backoff.next(using: &random)
      #expect(wait >= .zero && wait <= .milliseconds(bound))
    }
    backoff.reset()
    #expect(backoff.bound == .milliseconds(100))
  }

  @Test("Handlers are found by their streams, whatever the order of their ends")
  func callTable() {
    var table = CallTable()
    for stream in 1...100 as ClosedRange<UInt32> { table.insert(stream, Handler(stream)) }
    for stream in stride(from: 2, through: 100, by: 2) {
      #expect((table.remove(UInt32(stream)) as? Handler)?.stream == UInt32(stream))
    }
    for stream in 1...100 as ClosedRange<UInt32> {
      #expect((table[stream] as? Handler)?.stream == (stream % 2 == 1 ? stream : nil))
    }
    #expect(table.count == 50)
    #expect(table.remove(2) == nil)
    for stream in table.streams { _ = table.remove(stream) }
    #expect(table.count == 0)
  }

  @Test("Only calls that change something get a key of their own, a new one each")
  func keys() throws {
    func key(_ idempotency: MethodIdempotency, _ choice: CallOptions.IdempotencyKey) throws
      -> String
    {
      let options = CallOptions(timeout: nil, idempotencyKey: choice, traceparent: "")
      return try CallRequest(method(.unary, idempotency), [], options).idempotencyKey
    }
    #expect(try key(.read, .automatic) == "")
    #expect(try key(.keyed, .automatic).utf8.count == 32)
    #expect(try key(.keyed, .automatic) != key(.keyed, .automatic))
    #expect(try key(.keyed, .explicit("mine")) == "mine")
    #expect(try key(.keyed, .none) == "")
    #expect(throws: ClientError.self) { try key(.keyed, .explicit("")) }
    #expect(throws: ClientError.self) {
      try key(.keyed, .explicit(String(repeating: "k", count: 65)))
    }
  }

  @Test(
    "The timeout that is sent is what is left, and never zero",
    arguments: [
      (Duration.seconds(2), 2_000), (.microseconds(10), 1), (.seconds(1 << 40), .max),
    ] as [(Duration, UInt32)])
  func timeouts(remaining: Duration, milliseconds: UInt32) throws {
    let request = try CallRequest(method(.unary, .read), [], CallOptions())
    #expect(request.header(remaining: remaining).timeoutMilliseconds == milliseconds)
    #expect(request.header(remaining: nil).timeoutMilliseconds == 0)
  }
}

private final class Handler: CallHandler {
  let stream: UInt32
  init(_ stream: UInt32) { self.stream = stream }
  func callReceived(_ stream: UInt32, _ message: RawSpan) {}
  func callMaySend(_ stream: UInt32) {}
  func callEnded(_ stream: UInt32, _ status: Status?, _ message: RawSpan) {}
  func callLost(_ stream: UInt32, _ error: ClientError, mayHaveStarted: Bool) {}
}
