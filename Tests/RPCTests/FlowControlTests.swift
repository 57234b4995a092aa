import Testing
import Wire

@testable import RPC

@Suite("Flow control")
struct FlowControlTests {
  @Test("A handler that is not done with its requests keeps the peer's window closed")
  func requestsWait() throws {
    let server = try TestServer { $0.settings.wire.streamWindowBytes = 1_000 }
    let client = try RawClient(server)
    let stream = try client.call("test.Calls/ClientStreaming", endOfRequests: false)
    for _ in 0..<10 { try client.data(stream, [UInt8](repeating: 1, count: 100)) }
    server.settle()
    #expect(try client.available().isEmpty)
    server.perform { $0.stage.tell(stream, .consume(1_000)) }
    let credit = try client.receive()
    #expect(credit?.stream == stream)
    #expect(credit?.frame.body == .credit(bytes: 1_000))
    try client.data(stream, [UInt8](repeating: 1, count: 1_000))
    server.settle()
    try client.data(stream, [1])
    #expect(try client.receiveGoaway() == "FAILED_PRECONDITION WINDOW_OVERRUN")
  }

  @Test("A client that gives no credit stops the answers of its stream alone, until it gives some")
  func streamCredit() throws {
    let server = try TestServer()
    let client = try RawClient(server, window: 100 << 10)
    let stream = try client.call("test.Calls/ServerStreaming")
    server.settle()
    server.perform { $0.stage.tell(stream, .stream(messages: 200, bytes: 1_024)) }
    for _ in 0..<100 { #expect(try client.receive()?.message.count == 1_024) }
    server.settle()
    #expect(try client.available().isEmpty)
    #expect(server.perform { $0.stage.sent(stream) } == 100)
    let other = try client.call("test.Calls/ServerStreaming")
    server.settle()
    server.perform { $0.stage.tell(other, .stream(messages: 1, bytes: 8)) }
    #expect(try client.receive()?.stream == other)
    try client.send { $0.credit(stream: stream, bytes: 50 << 10) }
    for _ in 0..<50 { #expect(try client.receive()?.stream == stream) }
    server.settle()
    #expect(try client.available().isEmpty)
    #expect(server.perform { $0.server.metrics.creditStalls } > 0)
  }

  @Test("The connection's window bounds the answers of all its streams together")
  func connectionCredit() throws {
    let server = try TestServer()
    let client = try RawClient(server, window: 1 << 40)
    let streams = [
      try client.call("test.Calls/ServerStreaming"), try client.call("test.Calls/Bidirectional"),
    ]
    server.settle()
    for stream in streams {
      server.perform { $0.stage.tell(stream, .stream(messages: 20, bytes: 1 << 20)) }
    }
    for _ in 0..<8 { #expect(try client.receive()?.message.count == 1 << 20) }
    server.settle()
    #expect(try client.available().isEmpty)
    try client.send { $0.credit(stream: 0, bytes: 3 << 20) }
    for _ in 0..<3 { #expect(try client.receive()?.name == "Data") }
    server.settle()
    #expect(try client.available().isEmpty)
    let sent = server.perform { place in streams.reduce(0) { $0 + place.stage.sent($1) } }
    #expect(sent == 11)
  }

  @Test("A client that reads slowly is never buffered more for than the bound")
  func slowReader() throws {
    // More than the sockets hold, so that the buffer never runs empty.
    let bound = 6 << 20
    let server = try TestServer { $0.settings.outputBytesMax = bound }
    let client = try RawClient(server, window: 1 << 40, receiveBufferBytes: 64 << 10)
    try client.send { $0.credit(stream: 0, bytes: 1 << 40) }
    let stream = try client.call("test.Calls/ServerStreaming")
    server.settle()
    let (messages, bytes) = (800, 64 << 10)
    server.perform { $0.stage.tell(stream, .stream(messages: messages, bytes: bytes)) }
    var buffered = 0
    for index in 0..<messages {
      let received = try client.receive()
      guard received?.message.count == bytes else {
        Issue.record("message \(index): \(received?.name ?? "closed") \(received?.outcome ?? "")")
        return
      }
      let now = server.perform { $0.server.sessions.values.first?.output.count ?? 0 }
      buffered = max(buffered, now)
    }
    #expect(buffered > bound)
    #expect(buffered < 3 * bound)
  }

  @Test("Calls wait while the answers of their connection are not read, and start when they are")
  func callsWait() throws {
    let server = try TestServer { $0.settings.outputBytesPause = 256 << 10 }
    let client = try RawClient(server, receiveBufferBytes: 64 << 10)
    for _ in 1...16 { try client.call("test.Calls/Unary") }
    #expect(server.eventually { $0.stage.running == 16 })
    // More than the sockets hold.
    server.perform { place in
      let answer = [UInt8](repeating: 1, count: 1 << 20)
      for stream in 1...16 { place.stage.tell(UInt32(stream), .answer(answer)) }
    }
    server.settle()
    #expect(server.perform { $0.server.sessions.values.first?.isReadingPaused } == true)
    for _ in 1...16 { try client.call("test.Calls/Unary") }
    server.settle()
    #expect(server.perform { $0.stage.running } == 0)
    for stream in 1...16 {
      let answer = try client.receive()
      #expect(answer?.stream == UInt32(stream))
      #expect(answer?.message.count == 1 << 20)
    }
    #expect(server.eventually { $0.stage.running == 16 })
  }

  @Test(
    "Calls wait while those at work hold as many bytes as may wait, and start when they end",
    arguments: ["Unary", "ClientStreaming"])
  func callsAtWork(_ method: String) throws {
    let server = try TestServer { $0.settings.outputBytesPause = 256 << 10 }
    let client = try RawClient(server)
    let request = [UInt8](repeating: 1, count: 64 << 10)
    let isUnary = method == "Unary"
    for _ in 1...8 { try client.call("test.Calls/\(method)", request) }
    // A stream's first request counts until its handler takes it, which these do at once.
    let atOnce = isUnary ? 5 : 8
    #expect(server.eventually { $0.stage.running == atOnce })
    server.settle()
    #expect(server.perform { $0.stage.running } == atOnce)
    #expect(server.perform { $0.server.sessions.values.first?.isReadingPaused } == isUnary)
    for stream in 1...UInt32(atOnce) { server.perform { $0.stage.tell(stream, .answer([])) } }
    for _ in 0..<atOnce { #expect(try client.receiveAnswer()?.outcome == "OK") }
    #expect(server.eventually { $0.stage.running == 8 - atOnce })
    #expect(server.perform { $0.server.sessions.values.first?.isReadingPaused } == false)
    server.perform { place in
      for stream in 6...8 as ClosedRange<UInt32> { place.stage.tell(stream, .answer([])) }
    }
    for _ in atOnce..<8 { #expect(try client.receiveAnswer()?.outcome == "OK") }
    #expect(server.eventually { $0.server.sessions.values.first?.callBytes == 0 })
  }

  @Test("A stream of requests that never runs dry does not grow its queue")
  func queueStaysSmall() throws {
    var queue = RequestQueue()
    queue.append([0])
    for round in 1...10_000 {
      queue.append([UInt8(truncatingIfNeeded: round)])
      #expect(queue.popFirst() == [UInt8(truncatingIfNeeded: round - 1)])
    }
    #expect(queue.placesCount < 200)
    #expect(queue.discardAll() == 1)
  }
}
