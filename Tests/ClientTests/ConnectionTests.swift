import Client
import EventLoop
import Messages
import Synchronization
import TLS
import Testing
import Wire

private let read = MethodDescriptor(
  name: "test.Test/Read", kind: .unary, permission: "self", isAudited: false, idempotency: .read)
private let keyed = MethodDescriptor(
  name: "test.Test/Change", kind: .unary, permission: "self", isAudited: true, idempotency: .keyed)

/// Fails a test's call after a time that only a hanging test reaches.
private let options = CallOptions(
  timeout: .seconds(20), idempotencyKey: .automatic, traceparent: "00-trace")

@Suite(.timeLimit(.minutes(1)))
struct ConnectionTests {
  @Test("A unary call carries its method, timeout, key and trace, and gives the answer's bytes")
  func unary() async throws {
    let seen = Mutex<Frame.Call?>(nil)
    let server = try ScriptedServer.greeting { peer, frame, body in
      guard case .call(let call) = frame.body else { return }
      seen.withLock { $0 = call }
      peer.end(frame.stream, Array(body[call.message].reversed()))
    }
    let connection = try Connection(to: server.endpoint)
    #expect(try await connection.unaryRaw(keyed, [1, 2, 3], options) == [3, 2, 1])
    let call = try #require(seen.withLock { $0 })
    #expect((1...20_000).contains(call.timeoutMilliseconds))
    #expect(call.idempotencyKey.utf8.count == 32)
    #expect(call.traceparent == "00-trace")
    #expect(call.endOfRequests)
    await connection.close()
  }

  @Test("A typed call encodes its request and decodes its answer")
  func typed() async throws {
    let server = try ScriptedServer.greeting { peer, frame, body in
      guard case .call(let call) = frame.body else { return }
      peer.end(frame.stream, Array(body[call.message]))
    }
    let connection = try Connection(to: server.endpoint)
    var request = EchoRequest()
    request.payload = [7, 8]
    let answer: EchoResponse = try await connection.unary(read, request, options)
    #expect(answer.payload == [7, 8])
    await connection.close()
  }

  @Test("A status ends a call as an error with all that the server said")
  func status() async throws {
    var status = Status(.notFound, reason: "RUN_NOT_FOUND", message: "No run has this id.")
    status.requestID = "r-1"
    let sent = status
    let server = try ScriptedServer.greeting { peer, frame, _ in
      peer.output.end(stream: frame.stream, status: sent)
    }
    let connection = try Connection(to: server.endpoint)
    let error = await #expect(throws: ClientError.self) {
      try await connection.unaryRaw(read, [], options)
    }
    #expect(error == ClientError(.status, sent))
    #expect(server.journal.entries == ["Call 1"])
    await connection.close()
  }

  @Test(
    "A read and a keyed call are repeated with the same bytes, another call is not",
    arguments: [
      (read, CallOptions.IdempotencyKey.automatic, true), (keyed, .automatic, true),
      (keyed, .none, false),
    ])
  func repetition(
    method: MethodDescriptor, key: CallOptions.IdempotencyKey, isRepeated: Bool
  ) async throws {
    let seen = Mutex<[String]>([])
    let server = try ScriptedServer.greeting { peer, frame, body in
      guard case .call(let call) = frame.body else { return }
      let isFirst = seen.withLock { seen in
        seen.append("\(call.idempotencyKey) \(body[call.message])")
        return seen.count == 1
      }
      if isFirst { peer.hangUp() } else { peer.end(frame.stream, [1]) }
    }
    let connection = try Connection(to: server.endpoint)
    var options = options
    options.idempotencyKey = key
    let result = await Result { try await connection.unaryRaw(method, [5], options) }
    let calls = seen.withLock { $0 }
    if isRepeated {
      #expect(try result.get() == [1])
      #expect(calls.count == 2)
      #expect(calls.first == calls.last)
    } else {
      let error = #expect(throws: ClientError.self) { try result.get() }
      #expect(error?.kind == .connectionLost)
      #expect(calls.count == 1)
    }
    await connection.close()
  }

  @Test("UNAVAILABLE is tried again while the timeout lasts")
  func unavailable() async throws {
    let tries = Mutex(0)
    let server = try ScriptedServer.greeting { peer, frame, _ in
      let count = tries.withLock { count in
        count += 1
        return count
      }
      if count < 3 {
        peer.output.end(
          stream: frame.stream, status: Status(.unavailable, reason: "DATABASE_AWAY", message: ""))
      } else {
        peer.end(frame.stream, [9])
      }
    }
    let connection = try Connection(to: server.endpoint)
    #expect(try await connection.unaryRaw(read, [], options) == [9])
    await connection.close()
  }

  @Test("A call beyond its key's rate is sent again, with the same idempotency key")
  func rateLimited() async throws {
    let seen = Mutex<[String]>([])
    let server = try ScriptedServer.greeting { peer, frame, _ in
      guard case .call(let call) = frame.body else { return }
      let count = seen.withLock { seen in
        seen.append(call.idempotencyKey)
        return seen.count
      }
      guard count < 3 else { return peer.end(frame.stream, [9]) }
      var status = Status(.resourceExhausted, reason: "RATE_LIMITED", message: "")
      status.retryAfterMilliseconds = 30
      peer.output.end(stream: frame.stream, status: status)
    }
    let connection = try Connection(to: server.endpoint)
    #expect(try await connection.unaryRaw(keyed, [], options) == [9])
    let calls = seen.withLock { $0 }
    #expect(calls.count == 3)
    #expect(Set(calls).count == 1)
    await connection.close()
  }

  @Test("A call waits for a server that has no room for another connection")
  func tooManyConnections() async throws {
    let server = try ScriptedServer { peer, frame, _ in
      switch frame.body {
      case .hello where peer.number < 3:
        var status = Status(.resourceExhausted, reason: "TOO_MANY_CONNECTIONS", message: "")
        status.retryAfterMilliseconds = 20
        peer.output.goaway(Goaway(lastStream: 0, status: status))
      case .hello: peer.welcome()
      case .call: peer.end(frame.stream, [UInt8(peer.number)])
      default: break
      }
    }
    let connection = try Connection(to: server.endpoint)
    var options = options
    options.idempotencyKey = .none
    #expect(try await connection.unaryRaw(keyed, [], options) == [3])
    await connection.close()
  }

  @Test("A server's own certificate may be trusted without its issuer, and then only that one")
  func pinned() async throws {
    let server = try ScriptedServer.greeting { peer, frame, _ in peer.end(frame.stream, [1]) }
    var endpoint = server.endpoint
    endpoint.trust = .authority(pem: server.certificatePEM)
    let connection = try Connection(to: endpoint)
    #expect(try await connection.unaryRaw(read, [], options) == [1])
    await connection.close()

    let other = try ScriptedServer.greeting { _, _, _ in }
    endpoint.trust = .authority(pem: other.certificatePEM)
    let wrong = try Connection(to: endpoint)
    let error = await #expect(throws: ClientError.self) { try await wrong.open() }
    #expect(error?.kind == .tls)
    await wrong.close()
  }

  @Test("Without an answer a call ends by the client's own clock, and the server is told")
  func deadline() async throws {
    let cancelled = AsyncStream<UInt32>.makeStream()
    let server = try ScriptedServer.greeting { peer, frame, _ in
      if case .cancel = frame.body { cancelled.continuation.yield(frame.stream) }
    }
    let connection = try Connection(to: server.endpoint)
    _ = try await connection.open()
    var options = options
    options.timeout = .milliseconds(20)
    let error = await #expect(throws: ClientError.self) {
      try await connection.unaryRaw(read, [], options)
    }
    #expect(error?.code == .deadlineExceeded)
    #expect(await cancelled.stream.first { _ in true } == 1)
    await connection.close()
  }

  @Test("Cancelling the task of a call sends Cancel")
  func cancellation() async throws {
    let called = AsyncStream<Void>.makeStream()
    let cancelled = AsyncStream<UInt32>.makeStream()
    let server = try ScriptedServer.greeting { peer, frame, _ in
      switch frame.body {
      case .call: called.continuation.yield()
      case .cancel: cancelled.continuation.yield(frame.stream)
      default: break
      }
    }
    let connection = try Connection(to: server.endpoint)
    let task = Task { try await connection.unaryRaw(read, [], options) }
    _ = await called.stream.first { _ in true }
    task.cancel()
    let error = await #expect(throws: ClientError.self) { try await task.value }
    #expect(error?.reason == "CANCELLED")
    #expect(await cancelled.stream.first { _ in true } == 1)
    await connection.close()
  }

  @Test("A drain moves new calls to a new connection, and calls that were not started with them")
  func drain() async throws {
    let server = try ScriptedServer.greeting { peer, frame, _ in
      guard case .call = frame.body else { return }
      if peer.number == 1 {
        // Stream 1 is answered, stream 2 was never started.
        if frame.stream == 2 {
          peer.output.goaway(Goaway(lastStream: 1, status: nil))
          peer.end(1, [1])
        }
      } else {
        peer.end(frame.stream, [2])
      }
    }
    let connection = try Connection(to: server.endpoint)
    _ = try await connection.open()
    var options = options
    options.idempotencyKey = .none
    let chosen = options
    async let first = connection.unaryRaw(keyed, [], chosen)
    async let second = connection.unaryRaw(keyed, [], chosen)
    let answers = try await [first, second].map { $0[0] }.sorted()
    #expect(answers == [1, 2])
    await connection.close()
  }

  @Test("A refused key is told at once and not tried again")
  func unauthenticated() async throws {
    let status = Status(.unauthenticated, reason: "INVALID_API_KEY", message: "No such key.")
    let server = try ScriptedServer { peer, frame, _ in
      peer.output.goaway(Goaway(lastStream: 0, status: status))
    }
    let connection = try Connection(to: server.endpoint)
    let error = await #expect(throws: ClientError.self) { try await connection.open() }
    #expect(error == ClientError(.status, status))
    let other = await #expect(throws: ClientError.self) {
      try await connection.unaryRaw(read, [], options)
    }
    #expect(other?.code == .unauthenticated)
    await connection.close()
  }

  @Test("A server that nobody listens at is refused by name")
  func refused() async throws {
    let port = try ListeningSocket(host: "127.0.0.1", port: 0).address.port
    let endpoint = Endpoint(host: "127.0.0.1", port: port, apiKey: "k", trust: .system)
    let connection = try Connection(to: endpoint)
    let error = await #expect(throws: ClientError.self) { try await connection.open() }
    #expect(error?.kind == .refused)
    #expect(error?.status.message.contains("127.0.0.1:\(port)") == true)
    await connection.close()
  }

  @Test("A server with another authority's certificate is not trusted")
  func untrusted() async throws {
    let server = try ScriptedServer.greeting { _, _, _ in }
    let other = try ScriptedServer { _, _, _ in }
    var endpoint = server.endpoint
    endpoint.trust = other.endpoint.trust
    let connection = try Connection(to: endpoint)
    let error = await #expect(throws: ClientError.self) { try await connection.open() }
    #expect(error?.kind == .tls)
    await connection.close()
  }

  @Test("A server that breaks the protocol ends the connection, and the call says so")
  func violation() async throws {
    let server = try ScriptedServer.greeting { peer, frame, _ in
      peer.end(frame.stream + 1, [])
    }
    let connection = try Connection(to: server.endpoint)
    let error = await #expect(throws: ClientError.self) {
      try await connection.unaryRaw(read, [], options)
    }
    #expect(error?.kind == .protocolViolation)
    await connection.close()
  }

  @Test("A request that does not fit the server's frames is refused on this side")
  func tooLarge() async throws {
    let server = try ScriptedServer { peer, frame, _ in
      if case .hello = frame.body { peer.welcome { $0.frameBytesMax = 1_000 } }
    }
    let connection = try Connection(to: server.endpoint)
    let error = await #expect(throws: ClientError.self) {
      try await connection.unaryRaw(read, [UInt8](repeating: 0, count: 1_000), options)
    }
    #expect(error?.reason == "REQUEST_TOO_LARGE")
    #expect(server.journal.entries.isEmpty)
    await connection.close()
  }

  @Test("More calls than the server allows at once wait for their turn")
  func manyCalls() async throws {
    let server = try ScriptedServer { peer, frame, body in
      switch frame.body {
      case .hello: peer.welcome { $0.openStreamsMax = 4 }
      case .call(let call): peer.end(frame.stream, Array(body[call.message]))
      default: break
      }
    }
    let connection = try Connection(to: server.endpoint)
    let sum = try await withThrowingTaskGroup(of: Int.self) { group in
      for value in 0..<100 {
        group.addTask { Int(try await connection.unaryRaw(read, [UInt8(value)], options)[0]) }
      }
      return try await group.reduce(0, +)
    }
    #expect(sum == 4_950)
    await connection.close()
  }

  @Test("A Ping comes back")
  func ping() async throws {
    let server = try ScriptedServer.greeting { peer, frame, _ in
      if case .ping(let token) = frame.body { peer.output.pong(token: token) }
    }
    let connection = try Connection(to: server.endpoint)
    #expect(try await connection.ping() > .zero)
    await connection.close()
  }

  @Test("Closing ends open calls and later ones")
  func close() async throws {
    let called = AsyncStream<String>.makeStream()
    let server = try ScriptedServer.greeting { _, frame, _ in
      called.continuation.yield(frame.body.name)
    }
    let connection = try Connection(to: server.endpoint)
    let task = Task { try await connection.unaryRaw(read, [], options) }
    _ = await called.stream.first { _ in true }
    await connection.close()
    let error = await #expect(throws: ClientError.self) { try await task.value }
    #expect(error?.reason == "CLIENT_CLOSED")
    #expect(await called.stream.first { $0 == "Goaway" } != nil)
    #expect(server.journal.entries == ["Call 1", "Cancel 1", "Goaway 0"])
  }
}

extension Result where Failure == any Error {
  /// What `body` comes to.
  fileprivate init(_ body: () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }
}
