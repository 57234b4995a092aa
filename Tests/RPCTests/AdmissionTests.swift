import EventLoop
import Postgres
import Testing
import Wire

@testable import RPC

/// Takes keys "<key>/<organization>", two numbers.
struct NumberedKeys: UnchangingKeys {
  func authenticate(
    _ apiKey: String, from peer: SocketAddress, database: Database, deadline: Instant
  ) async throws(CallError) -> Principal {
    let numbers = apiKey.split(separator: "/").compactMap { UInt64($0) }
    guard numbers.count == 2 else {
      throw CallError(Reason("INVALID_API_KEY", .unauthenticated), "No such key.")
    }
    return Principal(
      organizationID: NumberedKeys.id(numbers[1]), id: .zero, kind: "user", label: "",
      apiKeyID: NumberedKeys.id(numbers[0]), role: "admin", permissions: ["test.call"])
  }

  static func id(_ number: UInt64) -> UUID { UUID(high: 0, low: number) }
}

@Suite("Bounds on connections")
struct AdmissionTests {
  private static func server(
    _ change: @escaping (inout ServerSettings) -> Void = { _ in }
  ) throws -> TestServer {
    try TestServer {
      $0.authenticator = NumberedKeys()
      change(&$0.settings)
    }
  }

  private static func goaway(_ server: TestServer, _ key: String) throws -> RawClient.Received? {
    let client = try RawClient(server, key: nil)
    try client.send { $0.hello(Hello(apiKey: key, client: "", streamWindowBytes: 0)) }
    return try client.receive()
  }

  private static func refused(_ server: TestServer, _ limit: ConnectionLimit) -> UInt64 {
    server.state.connectionsRefused[limit.rawValue]
  }

  @Test("A key has so many connections, and may have another when one of them ends")
  func perKey() throws {
    let server = try Self.server { $0.connectionsPerKeyMax = 2 }
    let first = try RawClient(server, key: "1/1")
    do {
      let second = try RawClient(server, key: "1/1")
      let goaway = try #require(try Self.goaway(server, "1/1"))
      #expect(goaway.name == "Goaway")
      #expect(goaway.outcome == "RESOURCE_EXHAUSTED TOO_MANY_CONNECTIONS")
      #expect(goaway.status?.details == ["limit": "key", "max": "2"])
      #expect(goaway.status?.retryAfterMilliseconds == 1_000)
      #expect(Self.refused(server, .key) == 1)
      // Another key of the organization has its own.
      _ = try RawClient(server, key: "2/1")
      try second.finish()
      while try second.receive() != nil {}
    }
    #expect(server.eventually { $0.server.metrics.connections == 1 })
    _ = try RawClient(server, key: "1/1")
    _ = first
  }

  @Test("An organization has so many connections, whatever their keys are")
  func perOrganization() throws {
    let server = try Self.server { $0.connectionsPerOrganizationMax = 2 }
    let open = try [RawClient(server, key: "1/1"), RawClient(server, key: "2/1")]
    #expect(
      try Self.goaway(server, "3/1")?.outcome == "RESOURCE_EXHAUSTED TOO_MANY_CONNECTIONS")
    #expect(Self.refused(server, .organization) == 1)
    _ = try RawClient(server, key: "3/2")
    _ = open
  }

  @Test("An address has so many connections; one more is closed when it is accepted")
  func perAddress() throws {
    let server = try Self.server { $0.connectionsPerAddressMax = 2 }
    let open = try [RawClient(server, key: "1/1"), RawClient(server, key: "2/2")]
    #expect(throws: (any Error).self) { try RawClient(server, key: "3/3") }
    #expect(Self.refused(server, .address) == 1)
    _ = open
  }

  @Test(
    "Connections that are not greeted are bounded, of an address and in all; a Hello makes room",
    arguments: [ConnectionLimit.unauthenticated, .unauthenticatedAddress])
  func unauthenticated(limit: ConnectionLimit) throws {
    let server = try Self.server {
      if limit == .unauthenticated {
        $0.unauthenticatedMax = 2
      } else {
        $0.unauthenticatedPerAddressMax = 2
      }
    }
    let silent = try RawClient(server, key: nil)
    let socket = try RawClient.connect(server)
    #expect(server.eventually { $0.server.metrics.connections == 2 })
    #expect(throws: (any Error).self) { try RawClient(server, key: "1/1") }
    #expect(Self.refused(server, limit) == 1)
    try silent.send { $0.hello(Hello(apiKey: "2/2", client: "", streamWindowBytes: 0)) }
    #expect(try silent.receive()?.name == "Welcome")
    _ = try RawClient(server, key: "1/1")
    _ = socket
  }

  @Test("Connections are counted to none, whichever way they end")
  func exact() throws {
    let server = try Self.server {
      $0.connectionsPerKeyMax = 1
      $0.handshakeTimeout = .milliseconds(700)
      $0.wire.helloTimeout = .milliseconds(700)
    }
    do {
      let good = try RawClient(server, key: "1/1")
      #expect(try Self.goaway(server, "1/1")?.name == "Goaway")
      #expect(try Self.goaway(server, "wrong")?.name == "Goaway")
      let silent = try RawClient(server, key: nil)
      let stalled = try RawClient.connect(server)
      let reset = try RawClient(server, key: "2/2")
      try reset.call("test.Calls/Unary")
      reset.reset()
      let broken = try RawClient(server, key: "3/3")
      try broken.send(bytes: Proto.length(0))
      #expect(try broken.receiveGoaway() == "INVALID_ARGUMENT FRAME_EMPTY")
      #expect(try silent.receiveGoaway() == "DEADLINE_EXCEEDED HELLO_TIMEOUT")
      try good.finish()
      _ = stalled
      #expect(server.eventually { $0.server.metrics.handshakeFailures == 1 })
    }
    #expect(server.eventually { $0.server.metrics.connections == 0 })
    #expect(server.state.connectionCount == 0)
    #expect(server.state.admission.countedNames == 0)
  }

  @Test("A permit that nobody gives back is given back by itself, and once")
  func permits() throws {
    let admission = Admission(ServerSettings(software: "test/1"))
    let peer = SocketAddress(host: "192.0.2.1", port: 1)
    do {
      let permit = try admission.arrive(from: peer).get()
      #expect(admission.connectionCount == 1)
      let other = try admission.arrive(from: peer).get()
      other.end()
      other.end()
      #expect(admission.connectionCount == 1)
      _ = permit
    }
    #expect(admission.connectionCount == 0)
    #expect(admission.countedNames == 0)
  }

  @Test("A flood of refused connections is a line in the log, not a flood of lines")
  func log() throws {
    let server = try Self.server { $0.connectionsMax = 1 }
    let open = try RawClient(server, key: "1/1")
    for _ in 0..<5 {
      #expect(throws: (any Error).self) { try RawClient(server, key: "2/2") }
    }
    #expect(Self.refused(server, .total) == 5)
    #expect(server.ended.notes.count { $0.contains("too many are open") } < 5)
    _ = open
  }

  @Test(
    "IPv4 is counted by address, also when it is written as IPv6, and IPv6 by its first half",
    arguments: [
      ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false),
      ("::ffff:192.0.2.1", "192.0.2.1", true), ("::1", "::2", true), ("::1", "0.0.0.1", false),
      ("2001:db8:1:2:3::4", "2001:db8:1:2:ffff::1", true),
      ("2001:db8:1:2::", "2001:db8:1:3::", false), ("fe80::1%eth0", "fe80::1%eth1", true),
      ("", "nonsense", true),
    ])
  func blocks(left: String, right: String, isSame: Bool) {
    let blocks = [left, right].map { AddressBlock(SocketAddress(host: $0, port: 1)) }
    #expect((blocks[0] == blocks[1]) == isSame)
  }
}

@Suite("Hellos that fail")
struct FailedHelloTests {
  private static let minute: UInt64 = 60_000_000_000
  private static func block(_ number: Int) -> AddressBlock {
    let host = "10.\(number >> 16).\(number >> 8 & 255).\(number & 255)"
    return AddressBlock(SocketAddress(host: host, port: 1))
  }

  @Test("An address that fails twenty times in a minute is suspect, and another is not")
  func bucket() {
    var table = FailedHellos(perMinute: 20)
    let (bad, good) = (Self.block(1), Self.block(2))
    for count in 0..<20 {
      #expect(!table.isSuspect(bad, now: 1), "after \(count)")
      table.failed(bad, now: 1)
    }
    #expect(table.isSuspect(bad, now: 1))
    #expect(!table.isSuspect(good, now: 1))
    // A token comes back every three seconds.
    #expect(table.isSuspect(bad, now: Self.minute / 20))
    #expect(!table.isSuspect(bad, now: Self.minute / 20 + 1))
    for _ in 0..<1_000 { table.failed(bad, now: 1) }
    #expect(!table.isSuspect(bad, now: Self.minute / 20 + 1))
  }

  @Test("The table stays as large as it is, and keeps whoever fails most")
  func bounded() {
    var table = FailedHellos(perMinute: 20, capacity: 64)
    for _ in 0..<20 { table.failed(Self.block(0), now: 1) }
    for number in 1...10_000 { table.failed(Self.block(number), now: 1) }
    #expect(table.isSuspect(Self.block(0), now: 1))
    #expect(!table.isSuspect(Self.block(10_000), now: 1))
  }

  @Test("Beyond the bound good and bad keys are answered late, and alike")
  func late() throws {
    let server = try TestServer {
      $0.authenticator = NumberedKeys()
      $0.settings.failedHellosPerMinuteMax = 2
      $0.settings.failedHelloDelay = .milliseconds(300)
    }
    func delayed() -> UInt64 { server.perform { $0.server.metrics.helloDelayed } }
    func refuse() throws -> Status? {
      let client = try RawClient(server, key: nil)
      try client.send { $0.hello(Hello(apiKey: "x", client: "", streamWindowBytes: 0)) }
      return try client.receive()?.status
    }
    let early = try #require(try refuse())
    _ = try refuse()
    #expect(delayed() == 0)
    let start = Instant.now()
    #expect(try refuse() == early)
    #expect(delayed() == 1)
    try Companion(server, key: "1/1").expectEcho()
    #expect(delayed() == 2)
    #expect(Instant.now().since(start) >= .milliseconds(600))
    // Whoever goes before the answer leaves nothing behind.
    do {
      let client = try RawClient(server, key: nil)
      try client.send { $0.hello(Hello(apiKey: "1/1", client: "", streamWindowBytes: 0)) }
      #expect(server.eventually { $0.server.metrics.helloDelayed == 3 })
    }
    #expect(server.eventually { $0.server.metrics.connections == 0 })
    #expect(server.state.admission.countedNames == 0)
  }
}
