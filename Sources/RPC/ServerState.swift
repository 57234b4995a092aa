public import EventLoop
public import Postgres
internal import Synchronization

/// What all loops of a server share.
///
/// Nothing in it changes but flags and counts.
public final class ServerState: Sendable {
  /// The bounds.
  public let settings: ServerSettings
  /// Every method.
  public let router: Router
  /// Who checks API keys.
  public let authenticator: any Authenticator
  /// What the database's refusals mean.
  public let reasons: ReasonTable
  /// Is told of every call and connection that ends.
  public let observer: any Observer
  /// Who is told of the audit log's entries.
  public let auditOutlets: [AuditOutlet]
  /// When the server started.
  public let startedAt: Instant

  private let draining = Atomic<Bool>(false)
  let admission: Admission
  let rates: KeyRates
  private let failedHellos: Mutex<FailedHellos>

  /// Makes the state of a server that serves `services`.
  public init(
    settings: ServerSettings, router: Router, authenticator: any Authenticator,
    reasons: ReasonTable, observer: any Observer, auditOutlets: [AuditOutlet]
  ) {
    self.settings = settings
    self.router = router
    self.authenticator = authenticator
    var all = ReasonTable.journal
    all.merge(reasons)
    self.reasons = all
    self.observer = observer
    self.auditOutlets = auditOutlets
    admission = Admission(settings)
    rates = KeyRates(settings)
    failedHellos = Mutex(FailedHellos(perMinute: settings.failedHellosPerMinuteMax))
    startedAt = .now()
  }

  /// Whether the server is shutting down.
  public var isDraining: Bool { draining.load(ordering: .relaxed) }

  /// Open connections of the process.
  public var connectionCount: Int { admission.connectionCount }

  /// Connections that were refused because too many were open, by ``ConnectionLimit``.
  public var connectionsRefused: [UInt64] { admission.refused }

  /// Lets Health say that the server is shutting down.
  public func drain() { draining.store(true, ordering: .relaxed) }

  /// The methods of `needletail.rpc.v1.Server`, which every server has.
  public static var ownMethods: [ServedMethod] { ServerService().methods }

  /// Whether a Hello of the address is to be answered late.
  func isSuspect(_ block: AddressBlock, now: Instant) -> Bool {
    failedHellos.withLock { $0.isSuspect(block, now: now.nanoseconds) }
  }

  /// A Hello of the address was refused for its key, or a connection for a flood.
  func suspect(_ block: AddressBlock, now: Instant) {
    failedHellos.withLock { $0.failed(block, now: now.nanoseconds) }
  }
}

/// What a program keeps on each loop: the way from a loop to the server on it.
public protocol ServesConnections: AnyObject {
  /// The server on the loop.
  var server: LoopServer { get }
}

/// Checks API keys.
public protocol Authenticator: Sendable {
  /// Finds out who `apiKey` belongs to.
  ///
  /// Takes the same way, and about the same time, for every key that is not good.
  /// - Throws: ``CallError`` INVALID_API_KEY, the same for all such keys; or that the database is
  ///   away.
  func authenticate(
    _ apiKey: String, from peer: SocketAddress, database: Database, deadline: Instant
  ) async throws(CallError) -> Principal

  /// Says what became of keys, where that is not what was seen.
  func standings(
    of keys: [KeySeen], database: Database, deadline: Instant
  ) async throws(PostgresError) -> [KeyStanding]

  /// Notes that keys were used.
  func recordUses(
    _ uses: [KeyUse], database: Database, deadline: Instant
  ) async throws(PostgresError)
}

/// Is told what the server did; must not block.
public protocol Observer: Sendable {
  /// A call has ended.
  func callEnded(_ record: CallRecord)
  /// A connection has ended, or was refused.
  func connectionEnded(_ record: ConnectionRecord)
  /// Something worth a line in the log.
  func note(_ severity: Severity, _ message: String, _ fields: [(String, String)])
  /// Whether ``callEnded(_:)`` wants calls that succeeded, too.
  var wantsSuccessfulCalls: Bool { get }
}

/// How much a line in the log matters.
public enum Severity: Sendable {
  /// Normal, and worth knowing.
  case info
  /// Somebody should look.
  case warning
  /// Something is broken.
  case error
}

/// A call that has ended.
public struct CallRecord: Sendable {
  /// "needletail.tracking.v1.Tracking/CreateRun".
  public var method: String
  /// Names the call everywhere.
  public var requestID: String
  /// W3C Trace Context; empty = none.
  public var traceparent: String
  /// The tenant.
  public var organizationID: UUID
  /// Who asked.
  public var principalID: UUID
  /// The canonical code's name.
  public var code: String
  /// The error's reason; empty for success.
  public var reason: String
  /// What the caller is not told.
  public var cause: String?
  /// From the Call's arrival to its End.
  public var duration: Duration
  /// Where the caller connects from.
  public var peer: String
}

/// A connection that has ended.
public struct ConnectionRecord: Sendable {
  /// Names the connection everywhere.
  public var connectionID: UUID
  /// Where it came from.
  public var peer: String
  /// What the client calls itself.
  public var client: String
  /// The tenant; nil when it never authenticated.
  public var organizationID: UUID?
  /// Why it ended, for people.
  public var reason: String
  /// Whether the peer broke a rule.
  public var isProtocolError: Bool
}
