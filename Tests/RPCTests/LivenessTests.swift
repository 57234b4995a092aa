import Glibc
import TLS
import Testing
import Wire
import WireVectors

@testable import RPC

@Suite("Connections over their life")
struct LivenessTests {
  @Test("A silent peer is pinged, and dropped when it does not answer")
  func idle() throws {
    let server = try TestServer {
      $0.settings.wire.idleTimeout = .milliseconds(100)
      $0.settings.wire.pongTimeout = .milliseconds(300)
    }
    let client = try RawClient(server)
    for _ in 0..<2 {
      guard case .ping(let token) = try client.receive()?.frame.body else {
        Issue.record("no Ping")
        return
      }
      try client.send { $0.pong(token: token) }
    }
    #expect(try client.receive()?.name == "Ping")
    #expect(try client.receiveGoaway() == "DEADLINE_EXCEEDED PONG_TIMEOUT")
  }

  @Test("A drain lets open calls end, starts none behind its second step, and then closes")
  func drain() throws {
    let server = try TestServer()
    let client = try RawClient(server)
    let first = try client.call("test.Calls/Unary")
    server.settle()
    server.perform { place in place.server.drain { place.stage.note("drained", .bool(true)) } }
    #expect(try client.receive()?.frame.body == .goaway(Goaway(lastStream: .max, status: nil)))
    guard case .ping(let token) = try client.receive()?.frame.body else {
      Issue.record("no Ping")
      return
    }
    let second = try client.call("test.Calls/Unary")
    try client.send { $0.pong(token: token) }
    #expect(try client.receive()?.frame.body == .goaway(Goaway(lastStream: second, status: nil)))
    try client.call("test.Calls/Unary")
    server.settle()
    #expect(server.perform { $0.stage.running } == 2)
    server.perform { place in
      place.stage.tell(second, .answer([2]))
      place.stage.tell(first, .answer([1]))
    }
    #expect(try client.receive()?.message == [2])
    #expect(try client.receive()?.message == [1])
    #expect(try client.receive() == nil)
    #expect(client.closedCleanly == true)
    try client.finish()
    #expect(server.eventually { $0.server.metrics.connections == 0 })
    let journal = server.perform { $0.stage.take() }
    #expect(journal.contains(.object(["drained": .bool(true)])))
  }

  @Test("A drain that takes too long ends what is open")
  func drainExpires() throws {
    let server = try TestServer {
      $0.settings.wire.drainTimeout = .milliseconds(100)
      $0.settings.wire.drainPingTimeout = .milliseconds(10)
    }
    let client = try RawClient(server)
    try client.call("test.Calls/Unary")
    server.settle()
    server.perform { $0.server.drain {} }
    #expect(try client.receiveGoaway() == "UNAVAILABLE DRAINING")
    #expect(server.eventually { $0.server.metrics.connections == 0 && $0.stage.running == 0 })
  }

  @Test("A connection that arrives when the server drains is not served for ever")
  func drainMeetsArrival() throws {
    let server = try TestServer()
    server.perform { $0.server.drain {} }
    server.state.drain()
    let client = try? RawClient(server)
    #expect(client == nil)
    #expect(server.eventually { $0.server.metrics.connections == 0 })
  }

  @Test("A peer that keeps changing its keys is told to calm down")
  func keyUpdates() throws {
    let server = try TestServer()
    let client = try RawClient(server)
    for token in 1...12 {
      try client.updateKeys()
      try client.send { $0.ping(token: UInt64(token)) }
    }
    #expect(try client.receiveGoaway() == "RESOURCE_EXHAUSTED ENHANCE_YOUR_CALM")
  }

  @Test("One connection too many is closed, and a place that becomes free is taken")
  func connectionsMax() throws {
    let server = try TestServer { $0.settings.connectionsMax = 2 }
    let first = try Companion(server)
    do {
      let second = try Companion(server)
      #expect(throws: (any Error).self) { try RawClient(server) }
      try second.expectEcho()
    }
    #expect(server.eventually { $0.server.metrics.connections == 1 })
    try Companion(server).expectEcho()
    try first.expectEcho()
    #expect(server.ended.notes.contains { $0.contains("too many are open") })
    #expect(server.state.connectionsRefused[ConnectionLimit.total.rawValue] == 1)
  }

  @Test("Session tickets outlive a reload and one change of their keys, and no second")
  func ticketKeys() throws {
    let keys = TicketKeys.random()
    let server = try TestServer { $0.tls.ticketKeys = keys }
    let identity = try Credentials.shared.get().identity
    let first = try RawClient(server)
    #expect(!first.isResumed)
    func change(_ body: @escaping @Sendable (LoopServer) throws -> Void) {
      let isDone = server.perform { place in (try? body(place.server)) != nil }
      #expect(isDone)
    }
    let second = keys.rotated()
    change { try $0.useTicketKeys(second) }
    #expect(try RawClient(server, resuming: first).isResumed)
    change { try $0.reload(identity) }
    #expect(try RawClient(server, resuming: first).isResumed)
    change { try $0.useTicketKeys(second.rotated()) }
    #expect(try !RawClient(server, resuming: first).isResumed)
  }

  @Test("A connection goes to the loop with the fewest, and one that ends makes room there")
  func fewest() {
    let load = LoopLoad(loops: 3)
    #expect((0..<7).map { _ in load.take() } == [0, 1, 2, 0, 1, 2, 0])
    load.release(2)
    load.release(2)
    load.release(1)
    #expect((0..<4).map { _ in load.take() } == [2, 1, 2, 1])
  }

  @Test("A server without descriptors pauses accepting, and takes the connection later")
  func descriptorLimit() async {
    await #expect(processExitsWith: .success) {
      let server = try TestServer()
      let companion = try Companion(server)
      let highest = dup(0)
      var limit = rlimit(rlim_cur: rlim_t(highest) + 2, rlim_max: rlim_t(highest) + 200)
      let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
      try #require(unsafe setrlimit(resource, &limit) == 0)
      // All but one descriptor are taken; the client's end of the connection takes that.
      var fillers: [Int32] = []
      while case let filler = dup(0), filler >= 0 { fillers.append(filler) }
      close(fillers.removeLast())
      do {
        let waiting = try RawClient.connect(server)
        #expect(server.eventually { _ in server.ended.notes.contains { $0.contains("pauses") } })
        try companion.expectEcho()
        for filler in fillers { close(filler) }
        close(highest)
        limit.rlim_cur = limit.rlim_max
        #expect(unsafe setrlimit(resource, &limit) == 0)
        #expect(server.eventually { $0.server.metrics.connections == 2 })
        _ = waiting
      }
      try Companion(server).expectEcho()
    }
  }
}
