import EventLoop
import Messages
import Testing
import Wire
import WireVectors

@testable import RPC

@Suite("Rates of keys")
struct RateTests {
  private static let second: UInt64 = 1_000_000_000

  @Test("A bucket gives a second's tokens at once, then its rate, and never more")
  func bucket() {
    let bucket = SharedBucket(perSecond: 3)
    #expect(bucket.draw(upTo: 2, now: 5) == .tokens(2))
    #expect(bucket.draw(upTo: 2, now: 5) == .wait(1))
    var given: UInt64 = 2
    var now: UInt64 = 5
    for _ in 0..<1_000 {
      switch bucket.draw(upTo: 7, now: now) {
      case .tokens(let count): given += count
      case .wait(let time): now += time
      }
    }
    #expect(given <= 3 + 3 * (now - 5) / Self.second)
    #expect(given + 1 >= 3 * (now - 5) / Self.second)
  }

  @Test("What is charged beyond the bucket is paid back before anything is given")
  func debt() {
    let bucket = SharedBucket(perSecond: 100)
    bucket.charge(500, now: 0)
    #expect(bucket.draw(upTo: 1, now: 0) == .wait(4 * Self.second + Self.second / 100))
    #expect(bucket.draw(upTo: 9, now: 5 * Self.second) == .tokens(9))
    #expect(!bucket.isFull(now: 5 * Self.second))
    #expect(bucket.isFull(now: 6 * Self.second))
    let huge = SharedBucket(perSecond: 1)
    huge.charge(.max, now: 0)
    huge.charge(.max, now: .max - 1)
    #expect(huge.draw(upTo: .max, now: 1) != .tokens(1))
  }

  @Test(
    "Whatever is drawn and given back leaves no more than there was", arguments: [1, 7, 1_000_003])
  func giveBack(rate: UInt64) {
    let bucket = SharedBucket(perSecond: rate)
    var held: UInt64 = 0
    for round in 0..<100 {
      guard case .tokens(let count) = bucket.draw(upTo: rate, now: 0) else { break }
      held += count
      if round < 99 {
        bucket.giveBack(count)
        held -= count
      }
    }
    #expect(held <= rate)
  }

  @Test("The shares of several loops have one rate together")
  func shares() {
    let rate = KeyRate(callsPerSecond: 1_000, bytesPerSecond: 0)
    let shares = (0..<4).map { _ in RateShare(rate) }
    var calls = 0
    for _ in 0..<1_000 {
      for share in shares where share.takeCall(1 << 20, now: 0) == nil { calls += 1 }
    }
    #expect(calls == 1_000)
    #expect(shares[0].takeCall(0, now: Self.second / 1_000) == nil)
    #expect(shares[1].takeCall(0, now: Self.second / 1_000) != nil)
  }

  @Test("A request larger than a second's bytes passes, and its debt holds for every loop")
  func largeRequest() {
    let rate = KeyRate(callsPerSecond: 0, bytesPerSecond: 1_000)
    let shares = (0..<2).map { _ in RateShare(rate) }
    #expect(shares[0].takeCall(5_000, now: 0) == nil)
    #expect(shares[0].takeCall(1, now: 0) != nil)
    #expect(shares[1].takeCall(1, now: 0) != nil)
    #expect(shares[1].takeCall(1, now: 4 * Self.second) != nil)
    #expect(shares[1].takeCall(1, now: 5 * Self.second) == nil)
  }

  @Test("A key that connects anew finds the bucket that it left; full buckets are forgotten")
  func reconnecting() {
    var settings = ServerSettings(software: "test/1")
    settings.callsPerSecond = 10
    let rates = KeyRates(settings)
    for _ in 0..<3 {
      let share = RateShare(rates.take(NumberedKeys.id(1), now: 0))
      for _ in 0..<5 { _ = share.takeCall(0, now: 0) }
      share.close(now: 0)
      rates.release(NumberedKeys.id(1))
    }
    #expect(RateShare(rates.take(NumberedKeys.id(1), now: 0)).takeCall(0, now: 0) != nil)
    for number in UInt64(2)...5_000 {
      let id = NumberedKeys.id(number)
      _ = rates.take(id, now: number * Self.second)
      rates.release(id)
    }
    #expect(rates.count < 1_100)
  }

  @Test("Calls beyond the rate of their key are refused with the time to wait, and others' are not")
  func calls() throws {
    let server = try TestServer {
      $0.authenticator = NumberedKeys()
      $0.settings.callsPerSecond = 3
    }
    let first = try RawClient(server, key: "1/1")
    let second = try RawClient(server, key: "1/1")
    var answers: [RawClient.Received?] = []
    for client in [first, second, first, second, first, second] {
      try client.call("needletail.rpc.v1.Server/Echo")
      answers.append(try client.receiveAnswer())
    }
    let refused = answers.compactMap { $0 }.filter { $0.outcome != "OK" }
    #expect(!refused.isEmpty)
    for answer in refused {
      #expect(answer.outcome == "RESOURCE_EXHAUSTED RATE_LIMITED")
      #expect(1...334 ~= answer.status?.retryAfterMilliseconds ?? 0)
      #expect(answer.status?.requestID.hasSuffix("-\(answer.stream)") == true)
    }
    #expect(server.perform { $0.server.metrics.callsRateLimited } == UInt64(refused.count))
    try Companion(server, key: "2/1").expectEcho()
  }

  @Test("A connection that goes on calling beyond its rate is not read for a while, then goes on")
  func penalty() throws {
    let server = try TestServer {
      $0.authenticator = NumberedKeys()
      $0.settings.callsPerSecond = 3
      $0.settings.rateRefusalsPerSecondMax = 5
      $0.settings.rateRefusalPause = .milliseconds(1)
    }
    let client = try RawClient(server, key: "1/1")
    for _ in 0..<100 { try client.call("needletail.rpc.v1.Server/Echo") }
    var refused = 0
    for _ in 0..<100 where try client.receiveAnswer()?.outcome != "OK" { refused += 1 }
    // Every call is answered, however long it was left unread.
    #expect(refused >= 50)
    let penalties = server.perform { $0.server.metrics.connectionsPenalized }
    #expect((1...UInt64(refused - 5)).contains(penalties))
    try Companion(server, key: "2/1").expectEcho()
  }

  @Test(
    "A connection that goes on giving calls up is read slowly, then cut, and others feel nothing")
  func hastyCancels() throws {
    let server = try TestServer {
      $0.settings.wire.cancelsMax = 80
      $0.settings.wire.cancelsFree = 10
      $0.settings.cancelPause = .milliseconds(1)
    }
    let client = try RawClient(server)
    try Self.giveUp(1...10, client)
    for _ in 1...10 { #expect(try client.receiveAnswer()?.outcome == "CANCELLED CANCELLED") }
    #expect(server.perform { $0.server.metrics.connectionsPenalized } == 0)
    try Self.giveUp(11...81, client)
    #expect(try client.receiveGoaway() == "RESOURCE_EXHAUSTED ENHANCE_YOUR_CALM")
    // A pause for each cancel beyond those that are free, but the one that was too many.
    #expect(server.perform { $0.server.metrics.connectionsPenalized } == 70)
    try Companion(server).expectEcho()
  }

  /// Opens streams and cancels each in the same packet, so that no answer comes between.
  private static func giveUp(_ streams: ClosedRange<UInt32>, _ client: RawClient) throws {
    let echo = CallHeader(method: "needletail.rpc.v1.Server/Echo", endOfRequests: true)
    try client.send { writer in
      for stream in streams {
        unsafe writer.call(stream: stream, echo, message: [UInt8]().span.bytes)
        writer.cancel(stream: stream)
      }
    }
  }

  @Test("Bytes of answers count: a small call for much leaves its key in debt")
  func bytes() throws {
    let server = try TestServer {
      $0.authenticator = NumberedKeys()
      $0.settings.bytesPerSecond = 1_000
    }
    let client = try RawClient(server, key: "1/1")
    try client.call("needletail.rpc.v1.Server/GetDescriptors")
    let answer = try #require(try client.receiveAnswer())
    #expect(answer.outcome == "OK" && answer.message.count > 20_000)
    try client.call("needletail.rpc.v1.Server/Echo")
    let refused = try client.receiveAnswer()
    #expect(refused?.outcome == "RESOURCE_EXHAUSTED RATE_LIMITED")
    #expect(refused?.status?.retryAfterMilliseconds ?? 0 > 15_000)
    try Companion(server, key: "2/1").expectEcho()
  }

  private static func streaming() throws -> TestServer {
    try TestServer {
      $0.authenticator = NumberedKeys()
      $0.settings.bytesPerSecond = 20_000
      $0.settings.wire.streamWindowBytes = 2_000
    }
  }

  @Test("A stream of answers beyond the rate is slowed and not ended")
  func answers() throws {
    let server = try Self.streaming()
    let client = try RawClient(server, key: "1/1")
    let stream = try client.call("test.Calls/ServerStreaming")
    server.settle()
    server.perform { $0.stage.tell(stream, .stream(messages: 7, bytes: 5_000)) }
    for _ in 0..<7 {
      let frame = try client.receive()
      #expect(frame?.name == "Data" && frame?.message.count == 5_000)
    }
    // The first four are a second's bytes, all sent in one turn.
    #expect(server.perform { $0.server.metrics.streamsPaced } > 0)
    server.perform { $0.stage.tell(stream, .answer([])) }
    #expect(try client.receiveAnswer()?.outcome == "OK")
  }

  @Test("The Credit for requests beyond the rate comes later, and the stream goes on")
  func requests() throws {
    let server = try Self.streaming()
    let client = try RawClient(server, key: "1/1")
    let stream = try client.call("test.Calls/ClientStreaming", endOfRequests: false)
    for _ in 0..<2 {
      try client.data(stream, [UInt8](repeating: 0, count: 40_000))
      server.settle()
      server.perform { $0.stage.tell(stream, .consume(40_000)) }
      let credit = try client.receive()
      #expect(credit?.name == "Credit" && credit?.stream == stream)
    }
    #expect(server.perform { $0.server.metrics.streamsPaced } >= 2)
    server.perform { $0.stage.tell(stream, .answer([])) }
    #expect(try client.receiveAnswer()?.outcome == "OK")
  }

  @Test("Calls are not counted where no rate is set")
  func off() throws {
    let server = try TestServer { $0.authenticator = NumberedKeys() }
    try Companion(server, key: "1/1").expectEcho()
    #expect(server.perform { $0.server.sessions.values.allSatisfy { $0.rate == nil } })
    #expect(server.state.rates.count == 0)
  }
}
