import EventLoop
import Glibc
import Testing
import Wire
import WireVectors

@testable import RPC

@Suite("Bad input")
struct BadInputTests {
  @Test("Frames that break a rule end their connection with its reason, and no other")
  func brokenFrames() throws {
    let server = try TestServer()
    let companion = try Companion(server)
    let vectors = try JSON.vectors("frames.json").filter {
      $0["error"] != nil && $0["max_frame_bytes"] == nil
        && $0["direction"]?.text != "server_to_client"
    }
    #expect(vectors.count > 40)
    for vector in vectors {
      let client = try RawClient(server)
      try client.send(bytes: vector["bytes"]?.bytes ?? [])
      let outcome = try client.receiveGoaway()
      #expect(
        outcome.hasSuffix(" \(vector["error"]?.text ?? "")"), "\(vector["name"]?.text ?? "")")
    }
    try companion.expectEcho()
    #expect(server.perform { $0.server.metrics.protocolErrors } == UInt64(vectors.count))
  }

  @Test(
    "A length that no frame has is refused before its bytes come",
    arguments: [
      (UInt32(0), "INVALID_ARGUMENT FRAME_EMPTY"),
      (4 << 20 + 1, "RESOURCE_EXHAUSTED FRAME_TOO_LARGE"),
      (.max, "RESOURCE_EXHAUSTED FRAME_TOO_LARGE"),
    ])
  func lengths(length: UInt32, outcome: String) throws {
    let server = try TestServer()
    let companion = try Companion(server)
    let client = try RawClient(server)
    try client.send(bytes: Proto.length(length))
    #expect(try client.receiveGoaway() == outcome)
    try companion.expectEcho()
  }

  @Test("What follows a broken frame is discarded, and the reason still arrives")
  func muchBehindTheError() throws {
    let server = try TestServer()
    let client = try RawClient(server)
    try client.send(bytes: Proto.length(0))
    _ = try client.sendSome([UInt8](repeating: 7, count: 1 << 20))
    #expect(try client.receiveGoaway() == "INVALID_ARGUMENT FRAME_EMPTY")
    #expect(server.eventually { $0.server.metrics.connections == 0 })
  }

  @Test("A frame that begins and does not go on is given up")
  func stalledFrame() throws {
    let server = try TestServer {
      $0.settings.wire.frameTimeout = .milliseconds(200)
      $0.settings.wire.frameBytesPerSecondMin = 1 << 40
    }
    let companion = try Companion(server)
    let client = try RawClient(server)
    try client.send(bytes: Proto.length(100) + [0x08])
    #expect(try client.receiveGoaway() == "DEADLINE_EXCEEDED FRAME_TIMEOUT")
    try companion.expectEcho()
  }

  @Test("A Hello that does not come, or stops in the middle, is given up")
  func stalledHello() throws {
    let server = try TestServer { $0.settings.wire.helloTimeout = .milliseconds(300) }
    let silent = try RawClient(server, key: nil)
    let slow = try RawClient(server, key: nil)
    try slow.send(bytes: Proto.length(50) + [0x12])
    #expect(try silent.receiveGoaway() == "DEADLINE_EXCEEDED HELLO_TIMEOUT")
    #expect(try slow.receiveGoaway() == "DEADLINE_EXCEEDED HELLO_TIMEOUT")
    #expect(server.eventually { $0.server.metrics.connections == 0 })
  }

  @Test(
    "A handshake that stops, at the start or within, is given up",
    arguments: [[], [0x16, 0x03, 0x01, 0x02, 0x00, 0x01]] as [[UInt8]])
  func stalledHandshake(_ bytes: [UInt8]) throws {
    let server = try TestServer {
      $0.settings.handshakeTimeout = .milliseconds(300)
    }
    let socket = try RawClient.connect(server)
    if !bytes.isEmpty { #expect(unsafe write(socket.number, bytes, bytes.count) == bytes.count) }
    #expect(server.eventually { $0.server.metrics.handshakeFailures == 1 })
    #expect(server.connections == 0)
    #expect(server.ended.connections.first?.reason.contains("handshake took more than") == true)
  }

  @Test("Bytes that are no TLS are refused")
  func noTLS() throws {
    let server = try TestServer()
    let companion = try Companion(server)
    let socket = try RawClient.connect(server)
    let bytes = Array("GET / HTTP/1.1\r\n\r\n".utf8)
    #expect(unsafe write(socket.number, bytes, bytes.count) == bytes.count)
    #expect(server.eventually { $0.server.metrics.handshakeFailures == 1 })
    try companion.expectEcho()
  }

  @Test("A method that does not exist is UNIMPLEMENTED, and the connection goes on")
  func unknownMethod() throws {
    let server = try TestServer()
    let client = try RawClient(server)
    for name in ["", "x", "needletail.rpc.v1.Server/echo", "needletail.rpc.v1.Server/Echo/", "ü/ß"]
    {
      let stream = try client.call(name)
      let answer = try client.receiveAnswer()
      #expect(answer?.stream == stream)
      #expect(answer?.outcome == "UNIMPLEMENTED METHOD_UNKNOWN")
      #expect(answer?.status?.message.contains("\"\(name)\"") == true)
      #expect(answer?.status?.requestID.hasSuffix("-\(stream)") == true)
    }
  }

  @Test("Unknown fields of frames and of requests are ignored")
  func unknownFields() throws {
    let server = try TestServer()
    let client = try RawClient(server)
    let unknown =
      Proto.field(100, text: "later") + Proto.field(101, varint: .max)
      + Proto.varint(102 << 3 | 5) + [1, 2, 3, 4] + Proto.varint(103 << 3 | 1)
      + [1, 2, 3, 4, 5, 6, 7, 8]
    let request = Proto.field(1, [42]) + unknown
    let call =
      Proto.field(1, text: "needletail.rpc.v1.Server/Echo") + unknown + Proto.field(5, request)
      + Proto.field(6, varint: 1)
    try client.send(
      bytes: Proto.frame(Proto.field(1, varint: 1) + unknown + Proto.field(4, call)))
    let answer = try client.receiveAnswer()
    #expect(answer?.outcome == "OK")
    #expect(answer?.message == Proto.field(1, [42]))
  }

  @Test("A peer that reads nothing is dropped, and what waits for it stays bounded")
  func neverReads() throws {
    let server = try TestServer {
      $0.settings.writeStallTimeout = .milliseconds(500)
      $0.settings.outputBytesPause = 256 << 10
    }
    let companion = try Companion(server)
    let client = try RawClient(server, receiveBufferBytes: 4_096)
    var frames = FrameWriter()
    let header = CallHeader(
      method: "needletail.rpc.v1.Server/GetDescriptors", endOfRequests: true)
    for stream in 1...5_000 {
      frames.call(stream: UInt32(stream), header, message: RawSpan())
    }
    try client.send(bytes: frames.bytes)
    server.settle()
    // Calls that run when reading pauses are answered still.
    let answerBytes = 128 << 10
    let waiting = server.perform { place in
      place.server.sessions.values.map { $0.output.count }.max() ?? 0
    }
    #expect(waiting < 256 << 10 + 256 * answerBytes)
    #expect(server.eventually { $0.server.metrics.slowReaders == 1 })
    try companion.expectEcho()
    #expect(server.ended.connections.contains { $0.reason.contains("read nothing") })
  }

  @Test("A peer that is reset while it is not read from is noticed")
  func resetWhilePaused() throws {
    let server = try TestServer()
    do {
      let client = try RawClient(server)
      let stream = try client.call("test.Calls/ClientStreaming", endOfRequests: false)
      server.settle()
      server.perform { place in
        for session in place.server.sessions.values { session.pauseReading(); session.watch() }
      }
      try client.data(stream, [1])
      client.reset()
    }
    #expect(server.eventually { $0.server.metrics.connections == 0 })
  }
}
