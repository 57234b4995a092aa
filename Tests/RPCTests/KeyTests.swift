import EventLoop
import Messages
import Postgres
import Storage
import TestSupport
import Testing
import Tracking
import Wire

@testable import Identity
@testable import RPC

/// A migrated database with its first organization, and servers on it.
struct Installation: Sendable {
  let connection: String
  let key: String
  let projectID: String

  init() async throws {
    let connection = try TestCluster.shared().createDatabase()
    let bootstrapped = try await onLoop { loop in
      let owner = try Installation.database(loop, connection, role: nil)
      defer { owner.close() }
      _ = try await Migrator(
        owner, migrations: Migration.embedded, settings: MigratorSettings()
      ).up(to: nil)
      let maintenance = try Installation.database(
        loop, connection, role: "needletail_maintenance")
      defer { maintenance.close() }
      return try await Bootstrap.run(maintenance, whenThere: .addKey)
    }
    self.connection = connection
    key = try #require(bootstrapped.key).text
    projectID = try #require(bootstrapped.projectID).description
  }

  private static func database(
    _ loop: Loop, _ connection: String, role: String?
  ) throws -> Database {
    var settings = DatabaseSettings(connection: connection)
    settings.role = role
    let database = try Database(
      loop: loop, settings: settings, shared: DatabaseShared(settings, loops: 1))
    database.start()
    return database
  }

  func server() throws -> TestServer {
    let methods =
      ServerMethods.all + IdentityMethods.all + RegistryMethods.all + TrackingMethods.all
      + TracingMethods.all
    let permissions = Set(methods.filter(\.hasPermission).map(\.permission))
    return try TestServer {
      $0.database = DatabaseSettings(connection: connection)
      $0.database.role = "needletail_app"
      $0.usesDatabase = true
      $0.authenticator = KeyAuthenticator(permissions: permissions)
      $0.reasons = TrackingService.reasons
      $0.reasons.merge(IdentityService.reasons)
      $0.methods =
        ServerState.ownMethods + IdentityService(permissions: permissions).methods
        + TrackingService().methods
    }
  }

  @discardableResult
  func sql(_ text: String) throws -> String {
    try TestCluster.shared().sql(text, in: connection)
  }

  /// Makes another key for the administrator; `assignments` change its row.
  func makeKey(_ assignments: String = "") throws -> String {
    let key = APIKey.random()
    let hash = key.hash.map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }.joined()
    try sql(
      """
      insert into api_keys (
        organization_id, id, user_id, name, key_id, key_prefix, secret_hash, scopes, created_by,
        created_at, updated_at)
      select organization_id, gen_random_uuid(), user_id, 'test', '\(key.id)', key_prefix,
        '\\x\(hash)', scopes, created_by, created_at, updated_at
      from api_keys where name = 'first administrator key';
      """)
    if !assignments.isEmpty {
      try sql("update api_keys set \(assignments) where key_id = '\(key.id)';")
    }
    return key.text
  }
}

@Suite("Keys and permissions")
struct KeyTests {
  @Test("Every key that is not good is answered alike, and others' connections go on")
  func badKeys() async throws {
    let installation = try await Installation()
    let server = try installation.server()
    let good = try RawClient(server, key: installation.key)
    let key = installation.key
    var mistyped = Array(key)
    mistyped[30] = mistyped[30] == "a" ? "b" : "a"
    let keys: [String: String] = [
      "wrong": APIKey.random().text,
      "another secret": "\(key.prefix(17))\(APIKey.random().text.dropFirst(17))",
      "truncated": String(key.dropLast()),
      "mistyped": String(mistyped),
      "blank": " ",
      "long": String(repeating: "x", count: 900),
      "quoted": "'; drop table api_keys; --",
      "expired": try installation.makeKey("expires_at = now() - interval '1 second'"),
      "revoked": try installation.makeKey("revoked_at = now(), revoked_by = user_id"),
      "bound to other addresses": try installation.makeKey("allowed_cidrs = '{10.0.0.0/8}'"),
    ]
    var seen: Set<String> = []
    for (name, key) in keys {
      let client = try RawClient(server, key: nil)
      try client.send { $0.hello(Hello(apiKey: key, client: "", streamWindowBytes: 0)) }
      let goaway = try #require(try client.receive())
      #expect(goaway.name == "Goaway")
      #expect(goaway.outcome == "UNAUTHENTICATED INVALID_API_KEY", "\(name)")
      #expect(try client.receive() == nil)
      #expect(client.closedCleanly == true)
      seen.insert("\(String(describing: goaway.status))")
    }
    #expect(seen.count == 1, "\(seen)")
    try good.call("needletail.identity.v1.Identity/WhoAmI")
    #expect(try good.receiveAnswer()?.outcome == "OK")
    #expect(!server.ended.connections.contains { "\($0)".contains(installation.key) })
  }

  @Test("A key's scopes and its user's role bound what may be called")
  func permissions() async throws {
    let installation = try await Installation()
    let server = try installation.server()
    let narrow = try RawClient(
      server, key: try installation.makeKey("scopes = '{run.get,experiment.*}'"))
    let request =
      Proto.field(1, text: installation.projectID) + Proto.field(2, text: "an experiment")
    func outcome(_ client: RawClient, _ method: String, _ request: [UInt8]) throws -> String? {
      try client.call("needletail.tracking.v1.Tracking/\(method)", request)
      return try client.receiveAnswer()?.outcome
    }
    #expect(try outcome(narrow, "CreateExperiment", request) == "OK")
    #expect(try outcome(narrow, "CreateRun", []) == "PERMISSION_DENIED PERMISSION_MISSING")
    #expect(try outcome(narrow, "AppendMetrics", []) == "PERMISSION_DENIED PERMISSION_MISSING")
    #expect(try outcome(narrow, "GetRun", []) == "INVALID_ARGUMENT FIELD_INVALID")
    try installation.sql("update organization_memberships set role = 'viewer';")
    let viewer = try RawClient(server, key: installation.key)
    #expect(
      try outcome(viewer, "CreateExperiment", request) == "PERMISSION_DENIED PERMISSION_MISSING")
    #expect(try outcome(viewer, "ListRuns", []) != "PERMISSION_DENIED PERMISSION_MISSING")
    try viewer.call("needletail.rpc.v1.Server/Health")
    #expect(try viewer.receiveAnswer()?.outcome == "OK")
  }

  @Test("Two callers who race for a name both hear who lost, by the constraint's reason")
  func raceForName() async throws {
    let installation = try await Installation()
    let server = try installation.server()
    let clients = try (0..<4).map { _ in try RawClient(server, key: installation.key) }
    let request = Proto.field(1, text: installation.projectID) + Proto.field(2, text: "the one")
    for client in clients {
      try client.call("needletail.tracking.v1.Tracking/CreateExperiment", request)
    }
    let outcomes = try clients.map { try $0.receiveAnswer()?.outcome ?? "closed" }
    #expect(outcomes.filter { $0 == "OK" }.count == 1)
    #expect(outcomes.filter { $0 == "ALREADY_EXISTS EXPERIMENT_NAME_TAKEN" }.count == 3)
    try clients[0].call(
      "needletail.tracking.v1.Tracking/CreateExperiment",
      Proto.field(1, text: UUID.zero.description) + Proto.field(2, text: "nowhere"))
    #expect(try clients[0].receiveAnswer()?.outcome == "NOT_FOUND PROJECT_NOT_FOUND")
  }

  @Test("Without a database Hello says that, and not that the key is wrong")
  func databaseAway() async throws {
    let server = try TestServer {
      $0.database = DatabaseSettings(connection: "host=/nonexistent dbname=none")
      $0.database.awayPatience = .milliseconds(50)
      $0.usesDatabase = true
      $0.authenticator = KeyAuthenticator(permissions: [])
    }
    let client = try RawClient(server, key: nil)
    try client.send {
      $0.hello(Hello(apiKey: APIKey.random().text, client: "", streamWindowBytes: 0))
    }
    #expect(try client.receiveGoaway() == "UNAVAILABLE DATABASE_AWAY")
  }
}
