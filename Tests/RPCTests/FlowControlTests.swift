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

  @Test("Calls wait while the answers of their connection are not read, and all are answered later")
  func callsWait() throws {
    let server = try TestServer { $0.settings.outputBytesPause = 256 << 10 }
    let client = try RawClient(server, receiveBufferBytes: 64 << 10)
    func callAll() throws {
      for _ in 1...200 { try client.call("needletail.rpc.v1.Server/GetDescriptors") }
      server.settle()
    }
    try callAll()
    #expect(server.perform { $0.server.sessions.values.first?.isReadingPaused } == true)
    let started = server.perform { $0.server.metrics.bytesRead }
    try callAll()
    #expect(server.perform { $0.server.metrics.bytesRead } == started)
    for stream in 1...400 {
      let answer = try client.receive()
      guard answer?.stream == UInt32(stream), answer?.outcome == "OK" else {
        Issue.record("stream \(stream): \(answer?.name ?? "closed") \(answer?.outcome ?? "")")
        return
      }
    }
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
