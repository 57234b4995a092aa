import EventLoop
import Messages
import Postgres
import Testing
import Wire

@testable import Identity
@testable import RPC

extension RawClient {
  /// Makes a call and reads its answer; nil with the outcome that it failed with.
  fileprivate func ask<Response: Message>(
    _ method: MethodDescriptor, _ request: some Message, key: String = "",
    for type: Response.Type
  ) throws -> (answer: Response?, outcome: String, status: Status?) {
    try call(method.name, request.encoded) { $0.idempotencyKey = key }
    guard let received = try receiveAnswer() else { throw Failure("the server has closed") }
    let outcome = received.outcome
    guard outcome == "OK" else { return (nil, outcome, received.status) }
    return (try Response.decode(received.message), outcome, nil)
  }

  fileprivate func create(
    _ change: (inout CreateApiKeyRequest) -> Void = { _ in }, key: String = ""
  ) throws -> (answer: CreateApiKeyResponse?, outcome: String, status: Status?) {
    var request = CreateApiKeyRequest()
    request.name = "laptop"
    request.scopes = ["*"]
    change(&request)
    return try ask(IdentityMethods.createApiKey, request, key: key, for: CreateApiKeyResponse.self)
  }

  fileprivate func get(_ id: String) throws -> (ApiKey?, String) {
    let (answer, outcome, _) = try ask(
      IdentityMethods.getApiKey, GetApiKeyRequest(id: id), for: GetApiKeyResponse.self)
    return (answer?.apiKey, outcome)
  }

  fileprivate func revoke(_ id: String) throws -> String {
    try ask(
      IdentityMethods.revokeApiKey, RevokeApiKeyRequest(id: id), for: RevokeApiKeyResponse.self
    ).outcome
  }

  fileprivate func update(
    _ id: String, _ change: (inout UpdateApiKeyRequest) -> Void
  ) throws -> (answer: UpdateApiKeyResponse?, outcome: String, status: Status?) {
    var request = UpdateApiKeyRequest()
    request.id = id
    change(&request)
    return try ask(IdentityMethods.updateApiKey, request, for: UpdateApiKeyResponse.self)
  }

  fileprivate func rotate(
    _ id: String, overlapSeconds: UInt32, key: String = ""
  ) throws -> (answer: RotateApiKeyResponse?, outcome: String, status: Status?) {
    var request = RotateApiKeyRequest()
    request.id = id
    request.overlapSeconds = overlapSeconds
    return try ask(IdentityMethods.rotateApiKey, request, key: key, for: RotateApiKeyResponse.self)
  }

  fileprivate func list(
    _ change: (inout ListApiKeysRequest) -> Void = { _ in }
  ) throws -> ListApiKeysResponse {
    var request = ListApiKeysRequest()
    change(&request)
    let (answer, outcome, _) = try ask(
      IdentityMethods.listApiKeys, request, for: ListApiKeysResponse.self)
    guard let answer else { throw Failure(outcome) }
    return answer
  }

  fileprivate var whoAmI: String {
    get throws {
      try ask(IdentityMethods.whoAmI, WhoAmIRequest(), for: WhoAmIResponse.self).outcome
    }
  }
}

extension Installation {
  /// Adds a member with a role, and a key of theirs; returns their id and the key.
  fileprivate func addMember(_ role: String) throws -> (id: String, key: String) {
    let user = try sql(
      """
      with person as (
        insert into users (id, email, display_name)
        values (gen_random_uuid(), gen_random_uuid() || '@example.com', 'Member') returning id)
      insert into organization_memberships (organization_id, id, user_id, role)
      select organizations.id, gen_random_uuid(), person.id, '\(role)' from organizations, person
      returning user_id;
      """
    ).trimmed
    return (user, try makeKey("user_id = '\(user)', created_by = '\(user)'"))
  }
}

extension String {
  fileprivate var trimmed: String { String(filter { !$0.isWhitespace }) }
}

@Suite("API keys")
struct APIKeyCallTests {
  private let installation: Installation
  private let server: TestServer
  private let admin: RawClient

  init() async throws {
    installation = try await Installation()
    server = try installation.server()
    admin = try RawClient(server, key: installation.key)
  }

  @Test("A new key opens connections, and only its creation shows its secret")
  func create() throws {
    let made = try #require(
      try admin.create {
        $0.allowedCidrs = ["127.0.0.0/8", "2001:DB8::/32"]
        $0.scopes = ["run.*", "api_key.get"]
        $0.expiresAt = Timestamp(microseconds: WallClock.microseconds() + 3_600_000_000)
      }.answer)
    let key = try #require(made.apiKey)
    #expect(key.allowedCidrs == ["127.0.0.0/8", "2001:db8::/32"])
    #expect(key.scopes == ["run.*", "api_key.get"] && key.prefix == made.secret.prefix(8) + "…")
    let client = try RawClient(server, key: made.secret)
    #expect(try client.whoAmI == "OK")
    #expect(try client.get(key.id).0?.name == "laptop")
    let entry = try installation.sql(
      """
      select action, details->'after'->>'scopes', actor_label from audit_logs
        where resource_id = '\(key.id)';
      select type from events where resource_id = '\(key.id)';
      select count(*) from audit_logs
        where details::text like '%\(made.secret.dropFirst(17).prefix(20))%';
      """)
    #expect(
      entry.split(separator: "\n") == [
        "api_key.create|run.* api_key.get|admin@localhost.localdomain", "api_key.created", "0",
      ])
  }

  @Test("A key of what is not, or of the past, is refused with every bad field")
  func badFields() throws {
    let now = Timestamp(microseconds: WallClock.microseconds())
    func refused(_ field: String, _ change: (inout CreateApiKeyRequest) -> Void) throws {
      let refused = try admin.create(change)
      #expect(refused.outcome == "INVALID_ARGUMENT FIELD_INVALID")
      #expect(refused.status?.fieldViolations.map(\.field) == [field])
    }
    try refused("name") { $0.name = "" }
    try refused("scopes") { $0.scopes = [] }
    try refused("scopes") { $0.scopes = ["run.fly"] }
    try refused("scopes") { $0.scopes = ["models.*"] }
    try refused("scopes") { $0.scopes = Array(repeating: "*", count: 101) }
    try refused("allowed_cidrs") { $0.allowedCidrs = ["10.0.0.1/8"] }
    try refused("allowed_cidrs") { $0.allowedCidrs = Array(repeating: "::1", count: 101) }
    try refused("expires_at") { $0.expiresAt = now }
    try refused("user_id") { $0.userID = "me" }
    let all = try admin.create {
      $0.name = ""
      $0.scopes = []
      $0.expiresAt = now
    }
    #expect(all.status?.fieldViolations.map(\.field) == ["name", "scopes", "expires_at"])
  }

  @Test("Nobody hands on more than their own key permits, by any way")
  func scopes() throws {
    let wide = try #require(try admin.create { $0.name = "wide" }.answer?.apiKey)
    let narrow = try RawClient(
      server, key: try installation.makeKey("scopes = '{run.get,api_key.*}'"))
    let tooWide = "PERMISSION_DENIED SCOPE_TOO_WIDE"
    #expect(try narrow.create().outcome == tooWide)
    #expect(try narrow.create { $0.scopes = ["run.get", "run.*"] }.outcome == tooWide)
    let made = try #require(
      try narrow.create { $0.scopes = ["run.get", "api_key.list"] }.answer?.apiKey)
    #expect(try narrow.update(made.id) { $0.scopes = Scopes(values: ["*"]) }.outcome == tooWide)
    #expect(try narrow.rotate(wide.id, overlapSeconds: 60).outcome == tooWide)
    #expect(try narrow.rotate(made.id, overlapSeconds: 60).outcome == "OK")
    #expect(try admin.get(wide.id).0?.expiresAt == nil)
  }

  @Test(
    "Others' keys are not there for members, and an administrator sees and makes them all",
    arguments: ["developer", "viewer"])
  func ownKeys(role: String) throws {
    let member = try installation.addMember(role)
    let client = try RawClient(server, key: member.key)
    let other = try #require(try admin.create().answer?.apiKey)
    let notFound = "NOT_FOUND API_KEY_NOT_FOUND"
    #expect(try client.get(other.id).1 == notFound)
    #expect(try client.update(other.id) { $0.name = "mine" }.outcome == notFound)
    #expect(try client.revoke(other.id) == notFound)
    #expect(try client.rotate(other.id, overlapSeconds: 0).outcome == notFound)
    #expect(try client.list { $0.userID = other.userID }.apiKeys.isEmpty)
    #expect(
      try client.create { $0.userID = other.userID }.outcome
        == "PERMISSION_DENIED PERMISSION_MISSING")
    let own = try #require(try client.create { $0.name = "own" }.answer?.apiKey)
    #expect(own.userID == member.id && own.createdBy == member.id)
    #expect(try client.list().apiKeys.map(\.userID) == [member.id, member.id])
    let given = try #require(try admin.create { $0.userID = member.id }.answer)
    #expect(given.apiKey?.createdBy == other.userID && given.apiKey?.userID == member.id)
    let theirs = try RawClient(server, key: given.secret)
    #expect(
      try theirs.create { $0.userID = other.userID }.outcome
        == "PERMISSION_DENIED PERMISSION_MISSING")
    #expect(try admin.get(own.id).1 == "OK")
    #expect(
      try admin.create { $0.userID = UUID.zero.description }.outcome
        == "NOT_FOUND USER_NOT_FOUND")
  }

  @Test("A replay shows no secret again, makes nothing, and says what was made")
  func replay() throws {
    let made = try #require(try admin.create({ $0.name = "once" }, key: "k1").answer?.apiKey)
    let again = try admin.create({ $0.name = "once" }, key: "k1")
    #expect(again.outcome == "FAILED_PRECONDITION SECRET_ALREADY_SHOWN")
    #expect(again.status?.details["resource_id"] == made.id)
    #expect(
      try admin.create({ $0.name = "other" }, key: "k1").outcome
        == "ABORTED IDEMPOTENCY_KEY_REUSED")
    let new = try #require(try admin.rotate(made.id, overlapSeconds: 60, key: "k2").answer?.apiKey)
    let rotated = try admin.rotate(made.id, overlapSeconds: 60, key: "k2")
    #expect(rotated.outcome == "FAILED_PRECONDITION SECRET_ALREADY_SHOWN")
    #expect(rotated.status?.details["resource_id"] == new.id)
    let counts = try installation.sql(
      """
      select count(*) from api_keys where name = 'once';
      select count(*) from idempotency_records where response is null and resource_id is not null;
      select count(*) from audit_logs;
      """)
    #expect(counts.split(separator: "\n") == ["2", "2", "2"])
  }

  @Test("An update changes what is given, by the etag, and is on record")
  func update() throws {
    let key = try #require(try admin.create().answer?.apiKey)
    let later = Timestamp(microseconds: WallClock.microseconds() + 7_200_000_000)
    let changed = try #require(
      try admin.update(key.id) {
        $0.etag = key.etag
        $0.name = "desk"
        $0.allowedCidrs = AddressRanges(values: ["10.0.0.0/8"])
        $0.expiresAt = later
      }.answer?.apiKey)
    #expect(changed.name == "desk" && changed.scopes == ["*"])
    #expect(changed.allowedCidrs == ["10.0.0.0/8"] && changed.expiresAt == later)
    #expect(try admin.get(key.id).0 == changed)
    #expect(
      try admin.update(key.id) {
        $0.etag = key.etag
        $0.name = "late"
      }.outcome == "ABORTED ETAG_MISMATCH")
    let longer = try admin.update(key.id) {
      $0.expiresAt = Timestamp(microseconds: later.microseconds + 1)
    }
    #expect(longer.status?.fieldViolations.map(\.field) == ["expires_at"])
    #expect(
      try admin.update(key.id) { $0.allowedCidrs = AddressRanges(values: []) }.answer?.apiKey?
        .allowedCidrs == [])
    let entry = try installation.sql(
      "select details->'before'->>'name', details->'after'->>'name', details->'after'->>'scopes' "
        + "from audit_logs where action = 'api_key.update' order by id limit 1;")
    #expect(entry.trimmed == "laptop|desk|")
  }

  @Test("A list goes by pages, newest first, without what is over unless that is asked for")
  func list() throws {
    let ids = try (0..<5).map { _ in try #require(try admin.create().answer?.apiKey?.id) }
    #expect(try admin.revoke(ids[2]) == "OK")
    let usable = try admin.list().apiKeys.map(\.id)
    #expect(usable.prefix(4) == [ids[4], ids[3], ids[1], ids[0]] && !usable.contains(ids[2]))
    var seen: [String] = []
    var token = ""
    repeat {
      let page = try admin.list {
        $0.includeUnusable = true
        $0.pageSize = 2
        $0.pageToken = token
      }
      seen += page.apiKeys.map(\.id)
      token = page.nextPageToken
    } while !token.isEmpty
    #expect(seen.prefix(5) == ids.reversed()[...])
    #expect(Set(seen).count == seen.count)
  }

  @Test("A revoked key ends its connections and opens no more, and is answered before it ends")
  func revoke() throws {
    let made = try #require(try admin.create().answer)
    let id = try #require(made.apiKey?.id)
    let clients = try (0..<2).map { _ in try RawClient(server, key: made.secret) }
    #expect(try clients[0].revoke(id) == "OK")
    for client in clients {
      #expect(try client.receiveGoaway() == "UNAUTHENTICATED KEY_REVOKED")
    }
    #expect(throws: (any Error).self) { try RawClient(server, key: made.secret) }
    #expect(try admin.get(id).0?.revokedAt != nil)
    let over = "FAILED_PRECONDITION API_KEY_REVOKED"
    #expect(try admin.revoke(id) == over)
    #expect(try admin.update(id) { $0.name = "x" }.outcome == over)
    #expect(try admin.rotate(id, overlapSeconds: 1).outcome == over)
    #expect(try admin.whoAmI == "OK")
  }

  @Test("A rotated key goes on for the overlap and then ends its connections; none is at once")
  func rotate() throws {
    let made = try #require(
      try admin.create {
        $0.scopes = ["run.*"]
        $0.allowedCidrs = ["127.0.0.1/32"]
        $0.expiresAt = Timestamp(microseconds: WallClock.microseconds() + 3_600_000_000)
      }.answer)
    let old = try #require(made.apiKey)
    let client = try RawClient(server, key: made.secret)
    let rotated = try #require(try admin.rotate(old.id, overlapSeconds: 1).answer)
    let new = try #require(rotated.apiKey)
    #expect(new.name == old.name && new.scopes == old.scopes && new.userID == old.userID)
    #expect(new.allowedCidrs == old.allowedCidrs && new.id != old.id)
    let span = { (key: ApiKey) in
      (key.expiresAt?.microseconds ?? 0) - (key.createdAt?.microseconds ?? 0)
    }
    #expect(span(new) == span(old))
    #expect(rotated.replaced?.id == old.id && rotated.replaced?.revokedAt == nil)
    #expect(try client.receiveGoaway() == "UNAUTHENTICATED KEY_REVOKED")
    let next = try RawClient(server, key: rotated.secret)
    let last = try #require(try admin.rotate(new.id, overlapSeconds: 0).answer)
    #expect(last.replaced?.revokedAt != nil)
    #expect(try next.receiveGoaway() == "UNAUTHENTICATED KEY_REVOKED")
    #expect(try RawClient(server, key: last.secret).whoAmI == "OK")
  }

  @Test(
    "Whatever ends a key without telling ends its connections, too",
    arguments: [
      "update users set is_active = false where id = '{user}'",
      "update users set deleted_at = now() where id = '{user}'",
      "update organization_memberships set deleted_at = now() where user_id = '{user}'",
      "update api_keys set expires_at = now() where user_id = '{user}'",
      "update api_keys set allowed_cidrs = '{10.0.0.0/8}' where user_id = '{user}'",
      "delete from api_keys where user_id = '{user}'",
      "update organizations set subscription_status = 'suspended'",
      "update organizations set deleted_at = now()",
    ])
  func poll(statement: String) throws {
    let member = try installation.addMember("developer")
    let client = try RawClient(server, key: member.key)
    #expect(try client.whoAmI == "OK")
    try installation.sql(statement.replacing("{user}", with: member.id) + ";")
    #expect(try client.receiveGoaway() == "UNAUTHENTICATED KEY_REVOKED")
  }

  @Test("A role that changed counts for calls of connections that are open")
  func role() throws {
    let member = try installation.addMember("developer")
    let client = try RawClient(server, key: member.key)
    try installation.sql(
      "update organization_memberships set role = 'viewer' where user_id = '\(member.id)';")
    #expect(
      server.eventually { place in
        place.server.sessions.values.contains {
          $0.principal?.id.description == member.id && $0.principal?.role == "viewer"
        }
      })
    try client.call(TrackingMethods.createExperiment.name)
    #expect(try client.receiveAnswer()?.outcome == "PERMISSION_DENIED PERMISSION_MISSING")
  }

  @Test("A key is taken from its ranges alone, and is noted as used, without a new etag")
  func rangesAndUse() throws {
    let here = try #require(try admin.create { $0.allowedCidrs = ["127.0.0.0/30"] }.answer)
    let there = try #require(try admin.create { $0.allowedCidrs = ["127.0.0.8/30"] }.answer)
    #expect(try RawClient(server, key: here.secret).whoAmI == "OK")
    #expect(throws: (any Error).self) { try RawClient(server, key: there.secret) }
    let id = try #require(here.apiKey?.id)
    var key = try admin.get(id).0
    // Bounded by the test's own patience: each call is a round trip.
    for _ in 0..<100_000 where key?.lastUsedAt == nil { key = try admin.get(id).0 }
    #expect(key?.lastUsedAt != nil && key?.etag == here.apiKey?.etag)
    #expect(try admin.get(try #require(there.apiKey?.id)).0?.lastUsedAt == nil)
  }
}
