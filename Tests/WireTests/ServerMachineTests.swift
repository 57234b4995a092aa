internal import Testing
internal import Wire

@Suite("A server's connection")
struct ServerMachineTests {
  private static func opened(_ change: (inout WireLimits) -> Void) throws -> ServerMachine {
    var limits = WireLimits()
    change(&limits)
    var machine = ServerMachine(limits: limits, now: 0)
    let hello = Hello(apiKey: "k", client: "", streamWindowBytes: 100)
    _ = try machine.receive(Frame(stream: 0, body: .hello(hello)), now: 0)
    machine.welcome(now: 0)
    return machine
  }

  private static func call(_ stream: UInt32) -> Frame {
    Frame(
      stream: stream,
      body: .call(Frame.Call(method: 0..<0, message: 0..<0, endOfRequests: true)))
  }

  @Test("Streams that wait for the connection's window are named once each, when it opens")
  func connectionCredit() throws {
    var machine = try Self.opened { $0.answerConnectionWindowBytes = 10 }
    for stream in UInt32(1)...3 {
      _ = try machine.receive(Self.call(stream), now: 0)
      expect(machine.accept(stream, kind: .serverStreaming) == nil)
    }
    expect(machine.canSend(on: 1))
    machine.didSend(12, on: 1)
    for stream in UInt32(1)...3 { expect(!machine.canSend(on: stream)) }
    expect(machine.nextSendable() == nil)
    let credit = Frame(stream: 0, body: .credit(bytes: 2))
    expect(try machine.receive(credit, now: 0) == .ignore)
    expect(try machine.receive(credit, now: 0) == .connectionSendable)
    var named: Set<UInt32> = []
    while let stream = machine.nextSendable() { named.insert(stream) }
    expect(named == [1, 2, 3])
  }

  @Test("A stream that waits and ends is not named")
  func endedWaiter() throws {
    var machine = try Self.opened { $0.answerConnectionWindowBytes = 1 }
    for stream in UInt32(1)...2 {
      _ = try machine.receive(Self.call(stream), now: 0)
      _ = machine.accept(stream, kind: .serverStreaming)
    }
    _ = machine.canSend(on: 1)
    machine.didSend(1, on: 1)
    expect(!machine.canSend(on: 1) && !machine.canSend(on: 2))
    expect(machine.release(2) == 0)
    let credit = Frame(stream: 0, body: .credit(bytes: 1))
    expect(try machine.receive(credit, now: 0) == .connectionSendable)
    expect(machine.nextSendable() == 1 && machine.nextSendable() == nil)
  }

  @Test("Cancels and Credits that crossed their End are not held against a client")
  func crossed() throws {
    var machine = try Self.opened { _ in }
    for stream in UInt32(1)...200 {
      _ = try machine.receive(Self.call(stream), now: 0)
      _ = machine.accept(stream, kind: .serverStreaming)
      expect(machine.canSend(on: stream))
      machine.didSend(10, on: stream)
    }
    for stream in UInt32(1)...200 { _ = machine.release(stream) }
    for stream in UInt32(1)...200 {
      _ = try machine.receive(Frame(stream: stream, body: .cancel), now: 0)
      _ = try machine.receive(Frame(stream: stream, body: .credit(bytes: 10)), now: 0)
    }
    // From here on each is one to no effect.
    for _ in 0..<50 { _ = try machine.receive(Frame(stream: 1, body: .cancel), now: 0) }
    #expect(throws: ProtocolError.enhanceYourCalm(what: "control frames")) {
      try machine.receive(Frame(stream: 1, body: .cancel), now: 0)
    }
  }

  @Test("Cancelled streams are counted anew after the period")
  func cancelPeriod() throws {
    var machine = try Self.opened { $0.cancelsMax = 1 }
    for stream in UInt32(1)...2 {
      let now = UInt64(stream) * 10_000_000_000
      _ = try machine.receive(Self.call(stream), now: now)
      _ = machine.accept(stream, kind: .unary)
      expect(
        try machine.receive(Frame(stream: stream, body: .cancel), now: now)
          == .cancel(stream: stream))
      _ = machine.release(stream)
    }
  }

  @Test("A drain ends what is still open when its time is over, once")
  func drainExpires() throws {
    var machine = try Self.opened { _ in }
    _ = try machine.receive(Self.call(1), now: 0)
    _ = machine.accept(1, kind: .unary)
    let drain = machine.startDrain(now: 0)
    #expect(drain?.goaway == Goaway(lastStream: .max, status: nil))
    #expect(drain?.pingToken != nil)
    let again = machine.startDrain(now: 0)
    expect(again == nil && machine.nextDeadline == 1_000_000_000)
    let final = Goaway(lastStream: 1, status: nil)
    expect(try machine.expire(now: 1_000_000_000) == .drain(final))
    expect(machine.nextDeadline == 30_000_000_000)
    expect(try machine.expire(now: 30_000_000_000) == .drainExpired)
    expect(try machine.expire(now: 30_000_000_000) == nil && !machine.isDrained)
    _ = machine.release(1)
    expect(machine.isDrained)
  }

  @Test("Hundreds of streams open and close in any order")
  func table() throws {
    var machine = try Self.opened { $0.openStreamsMax = 300 }
    var random = SeededGenerator(seed: 7)
    var open: [UInt32] = []
    for stream in UInt32(1)...5_000 {
      _ = try machine.receive(Self.call(stream), now: 0)
      expect(machine.accept(stream, kind: .unary) == nil)
      open.append(stream)
      while open.count > Int.random(in: 0..<300, using: &random) {
        let index = Int.random(in: 0..<open.count, using: &random)
        let stream = open.remove(at: index)
        expect(machine.isOpen(stream))
        _ = machine.release(stream)
        expect(!machine.isOpen(stream))
      }
      expect(machine.openStreams == open.count)
    }
    for stream in open { expect(machine.isOpen(stream)) }
  }
}
