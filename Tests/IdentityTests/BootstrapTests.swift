import EventLoop
import Messages
import Postgres
import RPC
import Storage
import TestSupport
import Testing
import Wire

@testable import Identity

/// The first organization and its keys, on a migrated database of their own.
///
/// The schema's roles belong to a whole cluster, so the cluster is not the one that others share.
@Suite(.serialized)
struct BootstrapTests {
  private static let permissions: Set<String> = ["run.get", "run.create"]

  private let cluster: TestCluster
  private let connection: String

  init() async throws {
    cluster = try TestCluster.start()
    connection = try cluster.createDatabase()
    try await Self.with(connection, role: nil) { database in
      let migrator = Migrator(
        database, migrations: Migration.embedded, settings: MigratorSettings())
      _ = try await migrator.up(to: nil)
    }
  }

  /// Runs `body` with a database on a loop of its own.
  private static func with<Value: Sendable>(
    _ connection: String, role: String?,
    _ body: @escaping @Sendable (Database) async throws -> Value
  ) async throws -> Value {
    try await onLoop { loop in
      var settings = DatabaseSettings(connection: connection)
      settings.role = role
      settings.poolSize = 1
      let database = try Database(
        loop: loop, settings: settings, shared: DatabaseShared(settings, loops: 1))
      database.start()
      defer { database.close() }
      return try await body(database)
    }
  }

  private func bootstrap(_ whenThere: Bootstrap.WhenThere) async throws -> Bootstrap.Result {
    try await Self.with(connection, role: "needletail_maintenance") { database in
      try await Bootstrap.run(database, whenThere: whenThere)
    }
  }

  private func authenticate(_ key: String) async throws -> Principal {
    try await Self.with(connection, role: "needletail_app") { database in
      try await KeyAuthenticator(permissions: Self.permissions).authenticate(
        key, from: SocketAddress(host: "127.0.0.1", port: 1), database: database,
        deadline: database.loop.now.advanced(by: .seconds(30)))
    }
  }

  @Test("An installation is made once; every key of its administrator opens the same organization")
  func keys() async throws {
    defer { cluster.destroy() }
    let first = try await bootstrap(.addKey)
    let again = try await bootstrap(.keep(#require(first.key).text))
    let recovered = try await bootstrap(.addKey)
    #expect(again.key == nil)
    #expect(first.projectID != nil)
    for later in [again, recovered] {
      #expect(later.organizationID == first.organizationID)
      #expect(later.projectID == first.projectID)
    }
    let keys = try [#require(first.key), #require(recovered.key)]
    #expect(keys[0].text != keys[1].text)
    var principals: [Principal] = []
    for key in keys { principals.append(try await authenticate(key.text)) }
    for principal in principals {
      #expect(principal.organizationID == first.organizationID)
      #expect(principal.kind == "user")
      #expect(principal.role == "admin")
      #expect(principal.permissions == Self.permissions)
    }
    #expect(principals[0].id == principals[1].id)
    #expect(principals[0].apiKeyID != principals[1].apiKeyID)
    let counts = try cluster.sql(
      """
      select count(*) from organizations;
      select count(*) from users;
      select count(*) from projects;
      select count(*) from api_keys;
      """, in: connection)
    #expect(counts.split(separator: "\n") == ["1", "1", "1", "2"])
    let texts = try cluster.sql("select api_keys::text from api_keys", in: connection)
    for key in keys { #expect(!texts.contains(key.text.suffix(49))) }
  }

  @Test("Starts at the same moment make one installation")
  func atOnce() async throws {
    defer { cluster.destroy() }
    let results = try await withThrowingTaskGroup(of: Bootstrap.Result.self) { group in
      for _ in 0..<4 { group.addTask { try await bootstrap(.addKey) } }
      var results: [Bootstrap.Result] = []
      for try await result in group { results.append(result) }
      return results
    }
    #expect(Set(results.map(\.organizationID)).count == 1)
    #expect(Set(results.compactMap(\.key?.text)).count == 4)
  }

  @Test(
    "A key that was kept and opens nothing here any more is replaced by another",
    arguments: ["", "ntl_", APIKey.random().text, nil])
  func kept(text: String?) async throws {
    defer { cluster.destroy() }
    let first = try #require(try await bootstrap(.addKey).key)
    if text == nil { try cluster.sql("update api_keys set revoked_at = now()", in: connection) }
    let other = try #require(try await bootstrap(.keep(text ?? first.text)).key)
    #expect(try await refusal(other.text) == nil)
    #expect(try await bootstrap(.keep(other.text)).key == nil)
  }

  /// Changes that make a good key a bad one, and what undoes them.
  private static let spoils = [
    ("update api_keys set expires_at = now()", "update api_keys set expires_at = null"),
    ("update api_keys set revoked_at = now()", "update api_keys set revoked_at = null"),
    ("update api_keys set deleted_at = now()", "update api_keys set deleted_at = null"),
    (
      "update api_keys set secret_hash = sha256('x')",
      "update api_keys set secret_hash = decode(current_setting('test.hash'), 'hex')"
    ),
    (
      "update api_keys set allowed_cidrs = '{10.0.0.0/8}'",
      "update api_keys set allowed_cidrs = '{}'"
    ),
    (
      "update organizations set subscription_status = 'suspended'",
      "update organizations set subscription_status = 'active'"
    ),
    (
      "update organizations set deleted_at = now()", "update organizations set deleted_at = null"
    ),
    ("update users set is_active = false", "update users set is_active = true"),
    ("update users set deleted_at = now()", "update users set deleted_at = null"),
    (
      "update organization_memberships set deleted_at = now()",
      "update organization_memberships set deleted_at = null"
    ),
    (
      "update organization_memberships set is_active = false",
      "update organization_memberships set is_active = true"
    ),
  ]

  @Test("Every key that is not good gets the same answer, whatever is wrong with it")
  func refusals() async throws {
    defer { cluster.destroy() }
    let key = try #require(try await bootstrap(.addKey).key)
    var refusals: [(String, CallError?)] = []
    let otherSecret = APIKey.random().text.dropFirst(16)
    for text in [
      "", "x", "ntl_", key.id, String(key.text.dropLast()), key.text + "0",
      key.text.lowercased(), APIKey.random().text, String(key.text.prefix(16)) + otherSecret,
      "ntl_\(key.id)'; drop table api_keys; --", String(repeating: "x", count: 2_000), "\u{0}é",
    ] {
      refusals.append((text, try await refusal(text)))
    }
    let hash = try cluster.sql(
      "select encode(secret_hash, 'hex') from api_keys", in: connection
    ).prefix(64)
    for (spoil, repair) in Self.spoils {
      try cluster.sql(spoil, in: connection)
      refusals.append((spoil, try await refusal(key.text)))
      try cluster.sql("set test.hash = '\(hash)'; \(repair)", in: connection)
      #expect(try await refusal(key.text) == nil, "after \(repair)")
    }
    let expected = try #require(refusals.first?.1)
    #expect(expected.status.reason == "INVALID_API_KEY")
    #expect(expected.status.code == .unauthenticated)
    #expect(expected.cause == nil)
    for (what, refusal) in refusals { #expect(refusal == expected, "\(what)") }
  }

  private func refusal(_ key: String) async throws -> CallError? {
    do {
      _ = try await authenticate(key)
      return nil
    } catch let error as CallError {
      return error
    }
  }

  @Test("A key has its scopes and its user's role, and what lies ahead of its expiry is good")
  func principal() async throws {
    defer { cluster.destroy() }
    let key = try #require(try await bootstrap(.addKey).key)
    try cluster.sql(
      """
      update api_keys set scopes = '{run.*}', expires_at = now() + interval '1 hour';
      update organization_memberships set role = 'viewer';
      """, in: connection)
    let principal = try await authenticate(key.text)
    #expect(principal.role == "viewer")
    #expect(principal.permissions == ["run.get"])
    try cluster.sql("update api_keys set scopes = '{}'", in: connection)
    #expect(try await authenticate(key.text).permissions.isEmpty)
  }
}
