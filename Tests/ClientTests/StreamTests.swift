import Client
import EventLoop
import Messages
import Synchronization
import Testing
import Wire

private let list = MethodDescriptor(
  name: "test.Test/List", kind: .serverStreaming, permission: "self", isAudited: false,
  idempotency: .read)
private let collect = MethodDescriptor(
  name: "test.Test/Collect", kind: .clientStreaming, permission: "self", isAudited: false,
  idempotency: .sequenced)
private let talk = MethodDescriptor(
  name: "test.Test/Talk", kind: .bidirectional, permission: "self", isAudited: false,
  idempotency: .sequenced)

/// Fails a test's call after a time that only a hanging test reaches.
private let options = CallOptions(
  timeout: .seconds(20), idempotencyKey: .automatic, traceparent: "")

@Suite(.timeLimit(.minutes(1)))
struct StreamTests {
  @Test("A stream of answers arrives in order, and credit is returned as it is read")
  func serverStream() async throws {
    let count = 40
    let size = 100_000
    let sent = Mutex(0)
    // Sends only what the windows allow: 1 MiB, and then as much as was credited.
    let server = try ScriptedServer.greeting { peer, frame, _ in
      switch frame.body {
      case .call:
        for _ in 0..<10 { peer.data(frame.stream, [UInt8](repeating: 1, count: size)) }
        sent.withLock { $0 = 10 }
      case .credit(let bytes) where frame.stream > 0:
        let next = sent.withLock { sent in
          let next = min(count - sent, Int(bytes) / size)
          sent += next
          return next
        }
        for _ in 0..<next { peer.data(frame.stream, [UInt8](repeating: 1, count: size)) }
        if next > 0, sent.withLock({ $0 }) == count { peer.end(frame.stream, []) }
      default: break
      }
    }
    let connection = try Connection(to: server.endpoint)
    let call = try await connection.startRaw(list, [], options)
    var received = 0
    while let message = try await call.next() {
      #expect(message.count == size)
      received += 1
    }
    #expect(received == count)
    await connection.close()
  }

  @Test("A stream of requests waits for window and then goes on")
  func clientStream() async throws {
    let messages = 30
    let taken = Mutex(0)
    let server = try ScriptedServer.greeting { peer, frame, _ in
      guard case .data(let data) = frame.body else { return }
      if data.isOnlyHalfClose {
        return peer.end(frame.stream, [UInt8(taken.withLock { $0 })])
      }
      taken.withLock { $0 += 1 }
      peer.output.credit(stream: frame.stream, bytes: UInt64(data.message.count))
      peer.output.credit(stream: 0, bytes: UInt64(data.message.count))
    }
    let connection = try Connection(to: server.endpoint)
    let call = try await connection.startRaw(collect, nil, options)
    for _ in 0..<messages { try await call.send([UInt8](repeating: 2, count: 200_000)) }
    try await call.finishSending()
    #expect(try await call.answer() == [UInt8(messages)])
    await connection.close()
  }

  @Test("Both sides of a call may talk in turn")
  func duplex() async throws {
    let server = try ScriptedServer.greeting { peer, frame, body in
      guard case .data(let data) = frame.body else { return }
      if data.isOnlyHalfClose { return peer.end(frame.stream, []) }
      peer.data(frame.stream, Array(body[data.message]))
    }
    let connection = try Connection(to: server.endpoint)
    let call = try await connection.startRaw(talk, nil, options)
    for value: UInt8 in 1...5 {
      try await call.send([value])
      #expect(try await call.next() == [value])
    }
    try await call.finishSending()
    #expect(try await call.next() == nil)
    await connection.close()
  }

  @Test("Letting go of a stream cancels it")
  func letGo() async throws {
    let cancelled = AsyncStream<UInt32>.makeStream()
    let server = try ScriptedServer.greeting { peer, frame, _ in
      switch frame.body {
      case .call: peer.data(frame.stream, [1])
      case .cancel: cancelled.continuation.yield(frame.stream)
      default: break
      }
    }
    let connection = try Connection(to: server.endpoint)
    do {
      let call = try await connection.startRaw(list, [], options)
      #expect(try await call.next() == [1])
    }
    #expect(await cancelled.stream.first { _ in true } == 1)
    await connection.close()
  }
}
