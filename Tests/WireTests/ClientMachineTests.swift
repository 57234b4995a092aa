internal import Testing
internal import Wire

private let second: UInt64 = 1_000_000_000

private func welcome(_ limits: Limits?) -> Frame {
  Frame(
    stream: 0,
    body: .welcome(
      Welcome(
        server: "s", organizationID: "o", userID: "u", apiKeyID: "k", connectionID: "c",
        limits: limits)))
}

private func data(_ stream: UInt32, _ bytes: Int) -> Frame {
  Frame(stream: stream, body: .data(Frame.Data(message: 0..<bytes, endOfRequests: false)))
}

private func end(_ stream: UInt32) -> Frame {
  Frame(stream: stream, body: .end(Frame.End(status: nil, message: 0..<0)))
}

private func opened(_ limits: WireLimits = WireLimits()) throws -> ClientMachine {
  var machine = ClientMachine(limits: limits, now: 0)
  _ = try machine.receive(welcome(WireLimits().announced), now: 0)
  return machine
}

@Suite("A client's connection")
struct ClientMachineTests {
  @Test("Calls may be opened before Welcome, Data waits for it")
  func beforeWelcome() throws {
    var machine = ClientMachine(limits: WireLimits(), now: 0)
    expect(machine.frameBytesMax == 4096)
    let stream = try machine.open(.bidirectional, endOfRequests: false)
    expect(stream == 1 && !machine.canSend(on: stream))
    _ = try machine.receive(welcome(nil), now: 0)
    expect(machine.nextSendable() == stream && machine.nextSendable() == nil)
    expect(machine.canSend(on: stream) && machine.frameBytesMax == 4 << 20)
  }

  @Test(
    "Before Welcome only Welcome and Goaway may come",
    arguments: [Frame.Body.cancel, .ping(token: 1), .credit(bytes: 1), .pong(token: 1)])
  func welcomeExpected(_ body: Frame.Body) {
    var machine = ClientMachine(limits: WireLimits(), now: 0)
    let error = #expect(throws: ProtocolError.self) {
      try machine.receive(Frame(stream: 0, body: body), now: 0)
    }
    expect(error?.reason == "WELCOME_EXPECTED")
  }

  @Test("The announced limits are taken over")
  func limits() throws {
    var announced = WireLimits().announced
    announced.openStreamsMax = 1
    announced.streamWindowBytes = 4
    announced.frameBytesMax = 100
    var machine = ClientMachine(limits: WireLimits(), now: 0)
    _ = try machine.receive(welcome(announced), now: 0)
    let stream = try machine.open(.clientStreaming, endOfRequests: false)
    #expect(throws: OpenRefusal.tooManyStreams) {
      try machine.open(.unary, endOfRequests: true)
    }
    expect(machine.frameBytesMax == 100 && machine.canSend(on: stream))
    machine.didSend(5, on: stream)
    expect(!machine.canSend(on: stream))
    let credit = Frame(stream: stream, body: .credit(bytes: 1))
    expect(try machine.receive(credit, now: 0) == .ignore)
    expect(try machine.receive(credit, now: 0) == .sendable(stream: stream))
  }

  @Test("A server's frames in the wrong place are refused")
  func refused() throws {
    let cases: [(Frame, String)] = [
      (welcome(nil), "GREETING_REPEATED"),
      (end(9), "STREAM_NEVER_OPENED"),
      (data(9, 1), "STREAM_NEVER_OPENED"),
      (end(0), "STREAM_MISPLACED"),
      (Frame(stream: 1, body: .ping(token: 1)), "STREAM_MISPLACED"),
      (Frame(stream: 1, body: .cancel), "FRAME_NOT_ALLOWED"),
      (data(1, 1), "FRAME_NOT_ALLOWED"),
      (end(2), "FRAME_AFTER_END"),
      (data(2, 0), "FRAME_AFTER_END"),
      (Frame(stream: 0, body: .credit(bytes: .max)), "WINDOW_OVERFLOW"),
    ]
    for (frame, reason) in cases {
      var machine = try opened()
      _ = try machine.open(.unary, endOfRequests: true)
      let streaming = try machine.open(.serverStreaming, endOfRequests: true)
      _ = try machine.receive(end(streaming), now: 0)
      let error = #expect(throws: ProtocolError.self) { try machine.receive(frame, now: 0) }
      expect(error?.reason == reason)
    }
  }

  @Test("Messages can be consumed after their End, and are returned once")
  func consumeAfterEnd() throws {
    var limits = WireLimits()
    limits.answerConnectionWindowBytes = 10
    var machine = try opened(limits)
    let stream = try machine.open(.serverStreaming, endOfRequests: true)
    expect(
      try machine.receive(data(stream, 4), now: 0)
        == .message(
          stream: 1,
          .init(
            message: 0..<4, endOfRequests: false)))
    _ = try machine.receive(data(stream, 3), now: 0)
    _ = try machine.receive(end(stream), now: 0)
    expect(machine.openStreams == 0 && !machine.isOpen(stream))
    expect(machine.consume(4, on: stream).isNone)
    expect(machine.consume(3, on: stream) == CreditDue(streamBytes: 0, connectionBytes: 7))
    expect(machine.release(stream) == 0)
  }

  @Test("What is never consumed goes back to the connection when the stream is released")
  func release() throws {
    var limits = WireLimits()
    limits.answerConnectionWindowBytes = 10
    var machine = try opened(limits)
    let stream = try machine.open(.serverStreaming, endOfRequests: true)
    _ = try machine.receive(data(stream, 7), now: 0)
    _ = try machine.receive(end(stream), now: 0)
    expect(machine.release(stream) == 7)
  }

  @Test("A stream that is half-closed still returns credit for what it reads")
  func halfClosedCredit() throws {
    var limits = WireLimits()
    limits.streamWindowBytes = 10
    var machine = try opened(limits)
    let stream = try machine.open(.serverStreaming, endOfRequests: true)
    _ = try machine.receive(data(stream, 12), now: 0)
    #expect(throws: ProtocolError.windowOverrun(stream: 1)) {
      try machine.receive(data(stream, 1), now: 0)
    }
    expect(machine.consume(12, on: stream).streamBytes == 12)
    #expect(throws: Never.self) { try machine.receive(data(stream, 1), now: 0) }
  }

  @Test("After Cancel answers are discarded, and End still comes")
  func cancel() throws {
    var limits = WireLimits()
    limits.answerConnectionWindowBytes = 10
    var machine = try opened(limits)
    let stream = try machine.open(.serverStreaming, endOfRequests: true)
    expect(machine.cancel(stream))
    expect(!machine.cancel(stream))
    expect(try machine.receive(data(stream, 6), now: 0) == .credit(connectionBytes: 6))
    _ = try machine.receive(end(stream), now: 0)
    expect(machine.openStreams == 0 && !machine.cancel(stream))
  }

  @Test("A drain lets open streams end and opens no others")
  func drain() throws {
    var machine = try opened()
    let first = try machine.open(.unary, endOfRequests: true)
    let second = try machine.open(.unary, endOfRequests: true)
    let goaway = Frame(stream: 0, body: .goaway(Goaway(lastStream: 1, status: nil)))
    expect(try machine.receive(goaway, now: 0) == .drain(lastStream: 1))
    #expect(throws: OpenRefusal.draining) { try machine.open(.unary, endOfRequests: true) }
    expect(machine.release(second) == 0)
    expect(!machine.isDrained)
    _ = try machine.receive(end(first), now: 0)
    expect(machine.isDrained)
  }

  @Test("A Goaway with a status ends the connection")
  func ended() throws {
    var machine = try opened()
    let status = Status(.unauthenticated, reason: "KEY_REVOKED", message: "")
    let goaway = Frame(stream: 0, body: .goaway(Goaway(lastStream: 0, status: status)))
    expect(try machine.receive(goaway, now: 0) == .ended(status))
    expect(!machine.isOpen && machine.nextDeadline == nil && machine.fail(status) == nil)
  }

  @Test("Silence leads to a Ping, and without Pong to the end")
  func silence() throws {
    var machine = try opened()
    expect(machine.nextDeadline == 60 * second)
    expect(try machine.expire(now: 59 * second) == nil)
    let token = try #require(try machine.expire(now: 60 * second))
    let pong = Frame(stream: 0, body: .pong(token: token))
    expect(try machine.receive(pong, now: 61 * second) == .ponged(token: token))
    expect(try machine.receive(pong, now: 61 * second) == .ignore)
    expect(machine.nextDeadline == 121 * second)
    _ = try machine.expire(now: 121 * second)
    machine.frameIncomplete(declaredBytes: nil, now: 130 * second)
    expect(machine.nextDeadline == 150 * second)
    #expect(throws: ProtocolError.pongTimeout) { try machine.expire(now: 150 * second) }
  }

  @Test("Welcome must come in time")
  func welcomeTimeout() {
    var machine = ClientMachine(limits: WireLimits(), now: 0)
    expect(machine.nextDeadline == 10 * second)
    #expect(throws: ProtocolError.welcomeTimeout) { try machine.expire(now: 10 * second) }
  }
}

@Suite("Times and codes")
struct LimitTests {
  @Test(
    "A call's deadline is clamped for unary calls only",
    arguments: [
      (UInt32(0), CallKind.unary, UInt64?(61_000_000_000)),
      (500, .unary, 1_500_000_000),
      (60_001, .unary, 61_000_000_000),
      (0, .bidirectional, nil),
      (120_000, .serverStreaming, 121_000_000_000),
    ])
  func deadline(timeout: UInt32, kind: CallKind, expected: UInt64?) {
    let deadline = WireLimits().deadline(timeoutMilliseconds: timeout, kind: kind, arrival: second)
    expect(deadline == expected)
  }

  @Test("A code that this version does not know keeps its number")
  func unknownCode() {
    var status = Status(.ok, reason: "", message: "")
    status.codeNumber = 99
    expect(status.code == .unknown && status.codeNumber == 99 && !status.isOK)
    expect(StatusCode.allCases.map(\.rawValue) == Array(0...16))
  }

  @Test("While the server does not read, silence is not held against the client")
  func pause() throws {
    var machine = ServerMachine(limits: WireLimits(), now: 0)
    let hello = Hello(apiKey: "k", client: "", streamWindowBytes: 0)
    expect(
      try machine.receive(Frame(stream: 0, body: .hello(hello)), now: 0) == .authenticate(hello))
    expect(!machine.wantsFrames && machine.nextDeadline == nil)
    machine.welcome(now: second)
    machine.frameIncomplete(declaredBytes: 100, now: second)
    machine.pauseReading()
    expect(machine.nextDeadline == nil)
    expect(try machine.expire(now: 1_000 * second) == nil)
    machine.resumeReading(now: 1_000 * second)
    expect(machine.nextDeadline == 1_060 * second)
  }
}
