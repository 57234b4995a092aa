import Dispatch
import EventLoop
import Messages
import Postgres
import Synchronization
import TLS
import Testing
import Wire

@testable import RPC

/// What a test's server is made of.
struct TestServerOptions: Sendable {
  var settings = ServerSettings(software: "test/1")
  var authenticator: any Authenticator = OneKey()
  var methods: [ServedMethod] = ServerState.ownMethods + Stage.methods
  var reasons = ReasonTable()
  var database = DatabaseSettings(connection: "host=/nonexistent dbname=none")
  /// Who is told of the audit log's entries.
  var auditSinks: [any AuditSink] = []
  /// Whether the database is connected to.
  var usesDatabase = false
  var tls = TLSSettings(applicationProtocols: ["needletail/1"])
}

/// The server's certificate and what its clients trust; made once, because keys take their time.
struct Credentials: Sendable {
  let authorityPEM: [UInt8]
  let identity: ServerIdentity

  static let shared = Result { try Credentials() }

  private init() throws {
    let authority = try DevelopmentAuthority(name: "test authority", validity: .days(1))
    authorityPEM = authority.certificatePEM
    identity = try authority.serverIdentity(hosts: ["127.0.0.1"], validity: .days(1))
  }
}

/// A whole server over real sockets, on a loop of its own, that ends with the value.
final class TestServer: Sendable {
  let port: UInt16
  let state: ServerState
  let ended = Records()
  private let loops: LoopGroup

  init(_ change: (inout TestServerOptions) -> Void = { _ in }) throws {
    var options = TestServerOptions()
    change(&options)
    let identity = try Credentials.shared.get().identity
    let state = ServerState(
      settings: options.settings, router: Router(options.methods),
      authenticator: options.authenticator, reasons: options.reasons, observer: ended,
      auditOutlets: try options.auditSinks.map { try AuditOutlet($0) })
    self.state = state
    let socket = try ListeningSocket(host: "127.0.0.1", port: 0)
    port = socket.address.port
    let held = Mutex<ListeningSocket?>(socket)
    let (database, connects) = (options.database, options.usesDatabase)
    let tlsSettings = options.tls
    loops = try LoopGroup(count: 1) { _, _ in }
    let mailboxes = loops.mailboxes
    let failure: String? = run(on: mailboxes[0]) { loop in
      do {
        guard let socket = held.withLock({ $0.take() }) else { return "no socket" }
        let load = LoopLoad(loops: 1)
        let database = try Database(
          loop: loop, settings: database, shared: DatabaseShared(database, loops: 1))
        if connects { database.start() }
        let server = try LoopServer(
          loop, index: 0, state: state, database: database, identity: identity,
          tlsSettings: tlsSettings, load: load)
        let acceptor = try Acceptor(
          loop, socket, state: state, mailboxes: mailboxes, load: load)
        loop.attachment = Place(server, acceptor, Stage(loop))
        return nil
      } catch {
        return "\(error)"
      }
    }
    if let failure { throw Failure(failure) }
  }

  deinit {
    loops.mailboxes[0].post { loop in
      (loop.attachment as? Place)?.end()
      loop.stop()
    }
  }

  /// Runs `body` on the server's loop and waits for what it returns.
  func perform<Value: Sendable>(_ body: @escaping @Sendable (Place) -> Value) -> Value {
    run(on: loops.mailboxes[0]) { loop in
      guard let place = loop.attachment as? Place else {
        preconditionFailure("the loop was made without a server")
      }
      return body(place)
    }
  }

  /// Lets the loop take what lies in its sockets, run what that makes ready, and write.
  func settle() {
    for _ in 0..<6 { perform { _ in } }
  }

  /// Lets the loop go on until `condition` holds there; false after 20 seconds.
  func eventually(_ condition: @escaping @Sendable (Place) -> Bool) -> Bool {
    let answer = Answer<Bool>()
    loops.mailboxes[0].post { loop in
      TestServer.look(loop, until: loop.now.advanced(by: .seconds(20)), condition, answer)
    }
    return answer.wait()
  }

  private static func look(
    _ loop: Loop, until limit: Instant, _ condition: @escaping @Sendable (Place) -> Bool,
    _ answer: Answer<Bool>
  ) {
    guard let place = loop.attachment as? Place else { return answer.give(false) }
    if condition(place) { return answer.give(true) }
    if loop.now > limit { return answer.give(false) }
    loop.schedule(after: .milliseconds(2)) { look(loop, until: limit, condition, answer) }
  }

  /// Connections that are open.
  var connections: Int { perform { $0.server.metrics.connections } }
}

/// What is on the loop of a test's server.
final class Place: ServesConnections {
  let server: LoopServer
  let stage: Stage
  let acceptor: Acceptor

  init(_ server: LoopServer, _ acceptor: Acceptor, _ stage: Stage) {
    self.server = server
    self.acceptor = acceptor
    self.stage = stage
  }

  func end() {
    acceptor.close()
    server.closeAll()
    server.database.close()
  }
}

/// Why a test cannot go on.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Takes the key "k" and no other.
struct OneKey: UnchangingKeys {
  func authenticate(
    _ apiKey: String, from peer: SocketAddress, database: Database, deadline: Instant
  ) async throws(CallError) -> Principal {
    guard apiKey == "k" else {
      throw CallError(Reason("API_KEY_REFUSED", .unauthenticated), "No such key.")
    }
    return Principal(
      organizationID: .zero, id: .zero, kind: "user", label: "", apiKeyID: .zero, role: "admin",
      permissions: ["test.call"])
  }
}

/// Keys that nothing ever becomes of.
protocol UnchangingKeys: Authenticator {}

extension UnchangingKeys {
  func standings(
    of keys: [KeySeen], database: Database, deadline: Instant
  ) async throws(PostgresError) -> [KeyStanding] { [] }

  func recordUses(
    _ uses: [KeyUse], database: Database, deadline: Instant
  ) async throws(PostgresError) {}
}

/// A reason that a test makes up.
struct Reason: ErrorReason {
  let name: String
  let codeNumber: UInt32
  init(_ name: String, _ code: StatusCode) {
    self.name = name
    codeNumber = code.rawValue
  }
}

/// What the server told its observer.
final class Records: Observer {
  private let lists = Mutex<([CallRecord], [ConnectionRecord], [String])>(([], [], []))

  var wantsSuccessfulCalls: Bool { true }
  var calls: [CallRecord] { lists.withLock { $0.0 } }
  var connections: [ConnectionRecord] { lists.withLock { $0.1 } }
  var notes: [String] { lists.withLock { $0.2 } }

  func callEnded(_ record: CallRecord) { lists.withLock { $0.0.append(record) } }
  func connectionEnded(_ record: ConnectionRecord) { lists.withLock { $0.1.append(record) } }
  func note(_ severity: Severity, _ message: String, _ fields: [(String, String)]) {
    lists.withLock { $0.2.append(message) }
  }
}

/// Runs `body` on a loop and waits for what it returns.
private func run<Value: Sendable>(
  on mailbox: Mailbox, _ body: @escaping @Sendable (Loop) -> Value
) -> Value {
  let answer = Answer<Value>()
  mailbox.post { loop in answer.give(body(loop)) }
  return answer.wait()
}

/// What one thread waits for and another gives.
private final class Answer<Value: Sendable>: Sendable {
  private let value = Mutex<Value?>(nil)
  private let given = DispatchSemaphore(value: 0)

  func give(_ value: Value) {
    self.value.withLock { $0 = value }
    given.signal()
  }

  func wait() -> Value {
    given.wait()
    guard let value = value.withLock({ $0 }) else { preconditionFailure("nothing was given") }
    return value
  }
}
