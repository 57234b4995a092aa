import Messages
import Testing
import Wire

@testable import RPC

@Suite("Connections without an API key")
struct AnonymousTests {
  private func greeted(_ server: TestServer) throws -> (client: RawClient, welcome: Welcome) {
    let client = try RawClient(server, key: nil)
    try client.send { $0.hello(Hello(apiKey: "", client: "", streamWindowBytes: 0)) }
    let received = try #require(try client.receive())
    guard case .welcome(let welcome) = received.frame.body else {
      throw Failure("greeted with \(received.outcome)")
    }
    return (client, welcome)
  }

  @Test("They are welcomed as nobody")
  func welcome() throws {
    let welcome = try greeted(TestServer()).welcome
    #expect(welcome.organizationID.isEmpty && welcome.userID.isEmpty && welcome.apiKeyID.isEmpty)
    #expect(!welcome.connectionID.isEmpty && (welcome.limits?.frameBytesMax ?? 0) > 0)
  }

  @Test(
    "They may call what needs no key, and are told of everything else that it needs one",
    arguments: [
      "test.Calls/Unary", "test.Calls/Forbidden", "test.Calls/ServerStreaming",
      "needletail.rpc.v1.Server/Health",
    ])
  func methods(refused: String) throws {
    let server = try TestServer()
    let client = try greeted(server).client
    try client.call(refused)
    #expect(try client.receiveAnswer()?.outcome == "UNAUTHENTICATED API_KEY_NEEDED")
    let stream = try client.call("test.Calls/Open")
    #expect(server.eventually { $0.stage.running == 1 })
    server.perform { $0.stage.tell(stream, .answer([7])) }
    let answer = try #require(try client.receiveAnswer())
    #expect(answer.outcome == "OK" && answer.message == [7])
  }

  @Test("Who has a key may call what needs none")
  func withKey() throws {
    let server = try TestServer()
    let client = try RawClient(server)
    let stream = try client.call("test.Calls/Open")
    #expect(server.eventually { $0.stage.running == 1 })
    server.perform { $0.stage.tell(stream, .answer([])) }
    #expect(try client.receiveAnswer()?.outcome == "OK")
  }

  @Test("All their life they count among those that are not authenticated")
  func bound() throws {
    let server = try TestServer { $0.settings.unauthenticatedPerAddressMax = 2 }
    var clients = [try greeted(server).client]
    _ = try RawClient(server)
    clients.append(try greeted(server).client)
    #expect(throws: (any Error).self) { try RawClient(server) }
    clients.removeFirst()
    #expect(server.eventually { $0.server.metrics.connections == 1 })
    _ = try RawClient(server)
    #expect(clients.count == 1)
  }

  @Test("They end after their time, those that wait for an answer once they have it")
  func timeout() throws {
    let server = try TestServer { $0.settings.anonymousTimeout = .milliseconds(300) }
    let (idle, busy) = (try greeted(server).client, try greeted(server).client)
    let known = try RawClient(server)
    let stream = try busy.call("test.Calls/Open")
    #expect(server.eventually { $0.stage.running == 1 })
    #expect(try idle.receiveGoaway() == "UNAUTHENTICATED API_KEY_NEEDED")
    let first = try #require(try busy.receiveAnswer())
    #expect(first.name == "Goaway" && first.status == nil)
    server.perform { $0.stage.tell(stream, .answer([1])) }
    var end: RawClient.Received?
    while let received = try busy.receive() {
      if received.name == "End" { end = received }
    }
    #expect(end?.outcome == "OK" && busy.closedCleanly == true)
    try known.call("needletail.rpc.v1.Server/Health")
    #expect(try known.receiveAnswer()?.outcome == "OK")
  }
}

@Suite("Failures that are remembered")
struct FailureTableTests {
  private static let period: UInt64 = 900

  @Test("Whoever fails ten times waits until there is a token, and again after each failure")
  func wait() {
    var table = FailureTable<String>(max: 10, period: Self.period)
    for count in 0..<10 {
      #expect(table.wait(for: "a", now: 1) == nil, "after \(count)")
      table.failed("a", now: 1)
    }
    #expect(table.wait(for: "a", now: 1) == 90)
    #expect(table.wait(for: "a", now: 90) == 1)
    #expect(table.wait(for: "a", now: 91) == nil)
    table.failed("a", now: 91)
    #expect(table.wait(for: "a", now: 91) == 90)
    #expect(table.wait(for: "b", now: 91) == nil)
  }

  @Test("One failure can be taken back, and all be forgiven")
  func forgive() {
    var table = FailureTable<String>(max: 2, period: Self.period)
    for _ in 0..<2 { table.failed("a", now: 1) }
    table.takeBack("a")
    #expect(table.wait(for: "a", now: 1) == nil)
    table.failed("a", now: 1)
    #expect(table.wait(for: "a", now: 1) == 450)
    table.forgive("a")
    table.failed("a", now: 1)
    #expect(table.wait(for: "a", now: 1) == nil)
    table.takeBack("unknown")
    table.forgive("unknown")
  }
}
