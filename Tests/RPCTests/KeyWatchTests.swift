import EventLoop
import Messages
import Postgres
import Synchronization
import Testing
import Wire

@testable import RPC

/// Takes every key, and says of their standing what a test wants.
private final class WatchedKeys: Authenticator {
  private struct State {
    var changed: [KeyStanding] = []
    var looks = 0
    var uses: [KeyUse] = []
  }
  private let held = Mutex(State())

  var looks: Int { held.withLock { $0.looks } }
  var uses: [KeyUse] { held.withLock { $0.uses } }

  func say(_ standing: KeyStanding) { held.withLock { $0.changed = [standing] } }

  func authenticate(
    _ apiKey: String, from peer: SocketAddress, database: Database, deadline: Instant
  ) async throws(CallError) -> Principal {
    Principal(
      organizationID: .zero, id: .zero, kind: "user", label: "", apiKeyID: Self.id(apiKey),
      role: "admin", permissions: ["test.call"])
  }

  /// The key "7" is number 7.
  static func id(_ apiKey: String) -> UUID {
    UUID("00000000-0000-0000-0000-00000000000\(apiKey)") ?? .zero
  }

  func standings(
    of keys: [KeySeen], database: Database, deadline: Instant
  ) async throws(PostgresError) -> [KeyStanding] {
    held.withLock { state in
      state.looks += 1
      return state.changed.filter { standing in
        keys.contains { $0.apiKeyID == standing.apiKeyID && $0.version != standing.version }
      }
    }
  }

  func recordUses(
    _ uses: [KeyUse], database: Database, deadline: Instant
  ) async throws(PostgresError) {
    held.withLock { $0.uses += uses }
  }
}

extension KeyStanding {
  fileprivate static func of(
    _ key: String, version: Int64 = 1, isUsable: Bool = true, expiresAt: Int64? = nil,
    permissions: Set<String> = ["test.call"],
    admits: @escaping @Sendable (SocketAddress) -> Bool = { _ in true }
  ) -> KeyStanding {
    KeyStanding(
      apiKeyID: WatchedKeys.id(key), version: version, isUsable: isUsable, expiresAt: expiresAt,
      role: "viewer", permissions: permissions, admits: admits)
  }
}

@Suite("The keys of open connections")
struct KeyWatchTests {
  private static func serve() throws -> (TestServer, WatchedKeys) {
    let keys = WatchedKeys()
    return (try TestServer { $0.authenticator = keys }, keys)
  }

  @Test(
    "A connection ends when its key is unusable, has expired or is not taken from its address",
    arguments: [
      KeyStanding.of("1", isUsable: false), .of("1", expiresAt: 1),
      .of("1", admits: { $0.host == "10.0.0.1" }),
    ])
  func ends(standing: KeyStanding) throws {
    let (server, keys) = try Self.serve()
    let both = try (0..<2).map { _ in try RawClient(server, key: "1") }
    let other = try RawClient(server, key: "2")
    keys.say(standing)
    for client in both { #expect(try client.receiveGoaway() == "UNAUTHENTICATED KEY_REVOKED") }
    try other.call("needletail.rpc.v1.Server/Echo")
    #expect(try other.receiveAnswer()?.outcome == "OK")
    #expect(server.eventually { $0.server.metrics.keysEnded == 2 })
    #expect(server.eventually { $0.server.metrics.connections == 1 })
  }

  @Test("A key that expires while nobody can be asked ends its connections all the same")
  func expires() throws {
    let (server, keys) = try Self.serve()
    let client = try RawClient(server, key: "1")
    keys.say(.of("1", expiresAt: WallClock.microseconds() + 800_000))
    #expect(try client.receiveGoaway() == "UNAUTHENTICATED KEY_REVOKED")
  }

  @Test("A change that is told is looked at, however many tell it")
  func told() throws {
    let (server, keys) = try Self.serve()
    let client = try RawClient(server, key: "1")
    keys.say(.of("1", isUsable: false))
    server.perform { place in
      for _ in 0..<100 { place.server.feed.received(WatchedKeys.id("1").description) }
      place.server.feed.receivedNothingForAWhile()
    }
    #expect(try client.receiveGoaway() == "UNAUTHENTICATED KEY_REVOKED")
    #expect(keys.looks < 10)
  }

  @Test("New permissions count for the next call, and one that is under way goes on")
  func permissions() throws {
    let (server, keys) = try Self.serve()
    let client = try RawClient(server, key: "1")
    let open = try client.call("test.Calls/Unary")
    keys.say(.of("1", version: 5, permissions: []))
    #expect(
      server.eventually { place in
        place.server.sessions.values.contains { $0.principal?.permissions == [] }
      })
    try client.call("test.Calls/Unary")
    let refused = try #require(try client.receiveAnswer())
    #expect(refused.outcome == "PERMISSION_DENIED PERMISSION_MISSING" && refused.stream != open)
    keys.say(.of("1", version: 6))
    #expect(
      server.eventually { place in
        place.server.sessions.values.contains { $0.principal?.permissions == ["test.call"] }
      })
    let late = try RawClient(server, key: "1")
    try late.call("needletail.rpc.v1.Server/Echo")
    #expect(try late.receiveAnswer()?.outcome == "OK")
  }

  @Test("The use of a key is noted once for many connections and calls, also when they are gone")
  func use() throws {
    let (server, keys) = try Self.serve()
    for _ in 0..<3 {
      let client = try RawClient(server, key: "1")
      try client.call("needletail.rpc.v1.Server/Echo")
      #expect(try client.receiveAnswer()?.outcome == "OK")
    }
    #expect(server.eventually { _ in !keys.uses.isEmpty })
    let client = try RawClient(server, key: "1")
    try client.call("needletail.rpc.v1.Server/Echo")
    #expect(try client.receiveAnswer()?.outcome == "OK")
    let looks = keys.looks
    #expect(server.eventually { _ in keys.looks >= looks + 2 })
    #expect(keys.uses.map(\.apiKeyID) == [WatchedKeys.id("1")])
  }
}
