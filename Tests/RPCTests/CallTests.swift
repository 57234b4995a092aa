import EventLoop
import Messages
import Testing
import Wire

@testable import RPC

@Suite("Calls")
struct CallTests {
  @Test("A call ends when its time is over", arguments: [20, 0, 3_600_000] as [UInt32])
  func deadline(milliseconds: UInt32) throws {
    // 0 is the maximum, and more than the maximum is the maximum.
    let server = try TestServer { $0.settings.wire.callTimeoutMax = .milliseconds(100) }
    let client = try RawClient(server)
    try client.call("test.Calls/Unary") { $0.timeoutMilliseconds = milliseconds }
    #expect(try client.receiveAnswer()?.outcome == "DEADLINE_EXCEEDED DEADLINE_EXCEEDED")
    #expect(server.perform { $0.stage.running } == 0)
  }

  @Test("A stream has the deadline that it asks for, and none of its own accord")
  func streamDeadline() throws {
    let server = try TestServer { $0.settings.wire.callTimeoutMax = .milliseconds(1) }
    let client = try RawClient(server)
    let endless = try client.call("test.Calls/ServerStreaming")
    let bounded = try client.call("test.Calls/Bidirectional", endOfRequests: false) {
      $0.timeoutMilliseconds = 50
    }
    let answer = try client.receiveAnswer()
    #expect(answer?.stream == bounded)
    #expect(answer?.outcome == "DEADLINE_EXCEEDED DEADLINE_EXCEEDED")
    #expect(server.perform { $0.stage.deadline(endless) } == nil)
  }

  @Test("A cancelled call keeps its slot until its handler has stopped")
  func cancelledSlot() throws {
    let server = try TestServer { $0.settings.wire.openStreamsMax = 1 }
    let client = try RawClient(server)
    let first = try client.call("test.Calls/Unary")
    try client.send { $0.cancel(stream: first) }
    let second = try client.call("test.Calls/Unary")
    let refused = try client.receiveAnswer()
    #expect(refused?.stream == second)
    #expect(refused?.outcome == "RESOURCE_EXHAUSTED TOO_MANY_STREAMS")
    server.perform { $0.stage.tell(first, .fail(CallError(.cancelled))) }
    #expect(try client.receiveAnswer()?.outcome == "CANCELLED CANCELLED")
    let third = try client.call("test.Calls/Unary")
    server.settle()
    server.perform { $0.stage.tell(third, .answer([3])) }
    #expect(try client.receiveAnswer()?.message == [3])
  }

  @Test("As many calls run as streams may be open, and one more is refused")
  func manyStreams() throws {
    let server = try TestServer()
    let client = try RawClient(server)
    for _ in 1...256 { try client.call("test.Calls/Unary") }
    let last = try client.call("test.Calls/Unary")
    let refused = try client.receiveAnswer()
    #expect(refused?.stream == last)
    #expect(refused?.outcome == "RESOURCE_EXHAUSTED TOO_MANY_STREAMS")
    #expect(server.perform { $0.stage.running } == 256)
    #expect(server.perform { $0.server.metrics.streamsRefused } == 1)
  }

  @Test(
    "An answer larger than a frame is refused, in an End and in a stream",
    arguments: ["Unary", "ClientStreaming", "ServerStreaming", "Bidirectional"])
  func largeAnswer(method: String) throws {
    let server = try TestServer { $0.settings.wire.frameBytesMax = 10_000 }
    let client = try RawClient(server)
    let stream = try client.call("test.Calls/\(method)")
    server.settle()
    server.perform {
      if method == "Unary" || method == "ClientStreaming" {
        $0.stage.tell(stream, .answer([UInt8](repeating: 0, count: 9_977)))
      } else {
        $0.stage.tell(stream, .send(9_977))
      }
    }
    #expect(try client.receiveAnswer()?.outcome == "RESOURCE_EXHAUSTED RESPONSE_TOO_LARGE")
    let fitting = try client.call("test.Calls/Unary")
    server.settle()
    server.perform { $0.stage.tell(fitting, .answer([UInt8](repeating: 0, count: 9_976))) }
    #expect(try client.receiveAnswer()?.message.count == 9_976)
  }

  @Test(
    "A method that the key does not permit is denied, whatever its kind",
    arguments: ["Forbidden", "ForbiddenStream"])
  func permission(method: String) throws {
    let server = try TestServer()
    let client = try RawClient(server)
    try client.call("test.Calls/\(method)")
    let answer = try client.receiveAnswer()
    #expect(answer?.outcome == "PERMISSION_DENIED PERMISSION_MISSING")
    #expect(answer?.status?.message.contains("test.forbidden") == true)
    #expect(server.eventually { $0.server.metrics.openStreams == 0 })
  }

  @Test("A handler may go on after its connection has gone")
  func handlerOutlivesConnection() throws {
    let server = try TestServer()
    do {
      let client = try RawClient(server)
      for method in ["Unary", "ServerStreaming", "ClientStreaming", "Bidirectional"] {
        try client.call("test.Calls/\(method)")
      }
      server.settle()
      #expect(server.perform { $0.stage.running } == 4)
      server.perform { $0.stage.isDeaf = true }
    }
    #expect(server.eventually { $0.server.metrics.connections == 0 })
    #expect(server.perform { $0.stage.running } == 4)
    server.perform { place in for stream in 1...4 { place.stage.tell(UInt32(stream), .answer([])) }
    }
    #expect(server.eventually { $0.stage.running == 0 && $0.server.metrics.openStreams == 0 })
    try Companion(server).expectEcho()
  }

  @Test("A call is told apart by its request id, in its answer and in the record")
  func requestID() throws {
    let server = try TestServer()
    let client = try RawClient(server)
    let stream = try client.call("test.Calls/Unary")
    server.settle()
    server.perform { $0.stage.tell(stream, .fail(.internal("the disk is on fire"))) }
    let answer = try client.receiveAnswer()
    #expect(answer?.outcome == "INTERNAL INTERNAL")
    #expect(answer?.status?.message.contains("fire") == false)
    let record = try #require(server.ended.calls.first)
    #expect(record.requestID == answer?.status?.requestID)
    #expect(record.cause == "the disk is on fire")
  }
}
