public import EventLoop
public import Postgres
public import TLS

/// The server on one loop: its connections, its TLS context, its database.
///
/// Lives on that loop.
public final class LoopServer {
  /// What all loops share.
  public let state: ServerState
  /// This loop's way to the database.
  public let database: Database
  /// Wakes the watchers on this loop.
  public let feed: ChangeFeed

  /// Looks after the keys of open connections.
  let keys: KeyWatch
  /// What callers may do in projects, where they look.
  let access: AccessCache

  let loop: Loop
  private(set) var tls: TLSContext
  private var tlsSettings: TLSSettings
  private let load: LoopLoad
  private let index: Int
  private(set) var sessions: [Int32: Session] = [:]
  private var shares: [UUID: RateShare] = [:]
  private var drained: [() -> Void] = []
  private var isDraining = false
  private var identifiers = UUIDGenerator()
  private var keptByServices: [ObjectIdentifier: AnyObject] = [:]

  /// Refused attempts, and what the sinks are told.
  private(set) lazy var audit = AuditJournal(self)

  /// Counts since the start.
  public internal(set) var metrics: ServerMetrics

  /// Where every connection of the loop reads to, one at a time.
  let readBuffer = ReadBuffer()

  /// How often timeouts of connections are looked at.
  static let sweepInterval: Duration = .milliseconds(250)

  /// Makes the server of `loop`, which is the one with `index`.
  ///
  /// - Throws: ``TLSError`` that names what is wrong with the certificate, the key or the settings.
  public init(
    _ loop: Loop, index: Int, state: ServerState, database: Database, identity: ServerIdentity,
    tlsSettings: TLSSettings, load: LoopLoad
  ) throws(TLSError) {
    self.loop = loop
    self.index = index
    self.state = state
    self.database = database
    self.tlsSettings = tlsSettings
    self.load = load
    tls = try TLSContext(server: identity, settings: tlsSettings)
    metrics = ServerMetrics(methodCount: state.router.methods.count)
    feed = ChangeFeed(loop, database)
    keys = KeyWatch(loop, state, database, feed)
    access = AccessCache(loop) { (key, deadline) async throws(PostgresError) in
      try await database.read(
        Work(scope: .organization(key.organizationID), deadline: deadline, cancellation: nil),
        AccessQueries.getProjectRole(projectID: key.projectID, userID: key.userID))
    }
    feed.observe { [access] in access.changed($0) }
    scheduleSweep()
  }

  /// Takes over a connection that was just accepted.
  func adopt(
    _ descriptor: consuming Descriptor, from peer: SocketAddress, _ permit: Permit
  ) {
    guard !isDraining else {
      // It was accepted before the listening socket was closed.
      permit.end()
      return load.release(index)
    }
    descriptor.disableDelay()
    descriptor.setUserTimeout(state.settings.acknowledgementTimeout)
    let number = descriptor.number
    do throws(TLSError) {
      let connection = try TLSConnection.accepting(on: number, context: tls)
      let session = Session(self, consume descriptor, connection, peer, permit, id: nextID())
      try session.begin()
      sessions[number] = session
      metrics.connections += 1
      metrics.connectionsAccepted &+= 1
    } catch {
      state.observer.note(
        .error, "a connection could not be served: \(error)", [("peer", peer.description)])
      permit.end()
      load.release(index)
    }
  }

  /// What a service keeps on this loop: one of each type, made when it is asked for first.
  func kept<Value: AnyObject>(_ make: () -> Value) -> Value {
    let key = ObjectIdentifier(Value.self)
    if let value = keptByServices[key] as? Value { return value }
    let value = make()
    keptByServices[key] = value
    return value
  }

  /// A time-ordered identifier.
  public func nextID() -> UUID {
    identifiers.next(now: WallClock.microseconds())
  }

  func forget(_ number: Int32) {
    guard let session = sessions.removeValue(forKey: number) else { return }
    keys.leave(session)
    metrics.connections -= 1
    session.permit.end()
    if let principal = session.principal { releaseShare(of: principal.apiKeyID) }
    load.release(index)
    if sessions.isEmpty { reportDrained() }
  }

  // MARK: Rates

  /// What this loop has of a key's rate, for one more connection; nil when nothing is bounded.
  func share(of key: UUID) -> RateShare? {
    guard state.rates.isOn else { return nil }
    let share = shares[key] ?? RateShare(state.rates.take(key, now: loop.now.nanoseconds))
    shares[key] = share
    share.users += 1
    return share
  }

  private func releaseShare(of key: UUID) {
    guard let share = shares[key] else { return }
    share.users -= 1
    guard share.users == 0 else { return }
    share.close(now: loop.now.nanoseconds)
    shares[key] = nil
    state.rates.release(key)
  }

  // MARK: Certificates

  /// Serves connections from now on with `identity`; those that are open keep theirs.
  ///
  /// - Throws: ``TLSError`` when the pair is not usable; the former one stays.
  public func reload(_ identity: ServerIdentity) throws(TLSError) {
    tls = try TLSContext(server: identity, settings: tlsSettings)
  }

  /// Seals the session tickets of new connections with `keys`, after a reload, too.
  ///
  /// - Throws: ``TLSError`` when OpenSSL does not take them; the former ones stay.
  public func useTicketKeys(_ keys: TicketKeys) throws(TLSError) {
    try tls.setTicketKeys(keys)
    tlsSettings.ticketKeys = keys
  }

  // MARK: Drain

  /// Lets every connection finish its calls; `whenDone` runs when the last one has gone.
  public func drain(whenDone: @escaping () -> Void) {
    isDraining = true
    drained.append(whenDone)
    for session in Array(sessions.values) { session.drain() }
    if sessions.isEmpty { reportDrained() }
  }

  private func reportDrained() {
    let due = drained
    drained = []
    for report in due { report() }
  }

  /// Writes the last entries of the audit log and waits, a few seconds at most, for its sinks.
  ///
  /// To be called before the database is closed.
  public func flushAudit() async { await audit.flush() }

  /// Counts rows that were removed for good.
  public func countPurged(_ rows: Int64) { metrics.rowsPurged &+= UInt64(clamping: rows) }

  /// Counts one run of a task of upkeep.
  public func countUpkeep(_ name: String, _ outcome: UpkeepOutcome) {
    metrics.upkeep[name, default: UpkeepCounts()].add(outcome)
  }

  /// Ends every connection now.
  public func closeAll() {
    for session in Array(sessions.values) { session.abandon("the server stops") }
  }

  private func scheduleSweep() {
    loop.schedule(after: LoopServer.sweepInterval) { [weak self] in
      guard let self else { return }
      for session in Array(self.sessions.values) { session.checkTimeouts() }
      self.scheduleSweep()
    }
  }
}
