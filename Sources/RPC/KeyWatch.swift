internal import EventLoop
internal import Messages
internal import Postgres
internal import Wire

/// Ends the connections of keys that are over, gives those of keys that changed their new
/// permissions, and notes when keys are used.
///
/// Lives on a loop.
///
/// The change feed says when to look, and a poll makes good what it misses: nothing here is on the
/// way of a call. While the database is away, no key can be looked at, and none can call anything
/// that needs it; keys that expire end all the same.
final class KeyWatch {
  /// How often every key is looked at that has open connections.
  static let pollInterval: Duration = .milliseconds(500)
  /// How long a look may take before the next one is waited for.
  static let patience: Duration = .seconds(5)
  /// How often the use of a key is noted, at most.
  static let useInterval: Duration = .seconds(60)

  private struct Entry {
    let organizationID: UUID
    var sessions: [ObjectIdentifier: Session] = [:]
    /// As it was last seen; 0 = look.
    var version: Int64 = 0
    var expiresAt: Int64?
    let signal: Signal
    var token: Signal.Token?
  }

  private let loop: Loop
  private let state: ServerState
  private let database: Database
  private let feed: ChangeFeed
  private var entries: [UUID: Entry] = [:]
  /// Keys that something was said about.
  private var pending: Set<UUID> = []
  private var isLooking = false
  private var isPolling = false
  /// Uses that are not written yet, and when each key's was last written.
  private var uses: [UUID: KeyUse] = [:]
  private var notedAt: [UUID: Instant] = [:]
  private var isNoting = false

  init(_ loop: Loop, _ state: ServerState, _ database: Database, _ feed: ChangeFeed) {
    self.loop = loop
    self.state = state
    self.database = database
    self.feed = feed
  }

  // MARK: Connections

  /// Looks after a connection that was just welcomed; pair it with ``leave(_:)``.
  func join(_ session: Session, _ principal: Principal) {
    let id = principal.apiKeyID
    var entry = entries[id] ?? watched(id, principal.organizationID)
    entry.sessions[ObjectIdentifier(session)] = session
    // What the key was compared with may have changed since.
    entry.version = 0
    entries[id] = entry
    noteUse(id, entry, of: session)
    schedulePoll()
  }

  /// Looks no longer after a connection.
  func leave(_ session: Session) {
    guard let id = session.principal?.apiKeyID, var entry = entries[id] else { return }
    if isActive(session) { noteUse(id, entry, of: session) }
    entry.sessions[ObjectIdentifier(session)] = nil
    if entry.sessions.isEmpty {
      if let token = entry.token { entry.signal.remove(token) }
      feed.leave(id)
      entries[id] = nil
    } else {
      entries[id] = entry
    }
  }

  private func watched(_ id: UUID, _ organizationID: UUID) -> Entry {
    let signal = feed.join(id)
    return Entry(
      organizationID: organizationID, signal: signal, token: next(signal, id))
  }

  private func next(_ signal: Signal, _ id: UUID) -> Signal.Token {
    signal.next { [weak self] in
      guard let self, let signal = entries[id]?.signal else { return }
      entries[id]?.token = next(signal, id)
      pending.insert(id)
      look()
    }
  }

  // MARK: Looking

  private func schedulePoll() {
    guard !isPolling else { return }
    isPolling = true
    loop.schedule(after: KeyWatch.pollInterval) { [weak self] in self?.poll() }
  }

  private func poll() {
    isPolling = false
    let now = WallClock.microseconds()
    for entry in Array(entries.values) where entry.expiresAt.map({ $0 <= now }) ?? false {
      for session in entry.sessions.values { end(session) }
    }
    noteUses(now)
    pending.formUnion(entries.keys)
    look()
    if !entries.isEmpty || !uses.isEmpty { schedulePoll() }
  }

  private func look() {
    guard !isLooking, !pending.isEmpty else { return }
    isLooking = true
    loop.spawn { [self] in
      await lookAtPending()
      isLooking = false
    }
  }

  private func lookAtPending() async {
    while !pending.isEmpty {
      let seen = pending.compactMap { id in
        entries[id].map { entry in
          KeySeen(organizationID: entry.organizationID, apiKeyID: id, version: entry.version)
        }
      }
      pending = []
      guard !seen.isEmpty else { return }
      do throws(PostgresError) {
        let changed = try await state.authenticator.standings(
          of: seen, database: database, deadline: loop.now.advanced(by: KeyWatch.patience))
        for standing in changed { apply(standing) }
      } catch {
        // The next poll looks again.
        return
      }
    }
  }

  private func apply(_ standing: KeyStanding) {
    guard var entry = entries[standing.apiKeyID] else { return }
    entry.version = standing.version
    entry.expiresAt = standing.expiresAt
    entries[standing.apiKeyID] = entry
    let isOver =
      !standing.isUsable || standing.expiresAt.map { $0 <= WallClock.microseconds() } ?? false
    let allowed = state.router.allowed(by: standing.permissions)
    for session in entry.sessions.values {
      if isOver || !standing.admits(session.peer) {
        end(session)
      } else {
        session.principal?.role = standing.role
        session.principal?.permissions = standing.permissions
        session.allowed = allowed
      }
    }
  }

  private func end(_ session: Session) {
    guard session.phase == .serving else { return }
    session.server.metrics.keysEnded &+= 1
    let error = CallError(
      RpcErrorReason.keyRevoked,
      "The API key was revoked, has expired or is no longer taken from here; ask an administrator "
        + "for a new key.")
    session.end(error.status, "the API key is over")
  }

  // MARK: Use

  private func isActive(_ session: Session) -> Bool {
    !session.calls.isEmpty || session.machine.lastStream != session.notedStream
  }

  private func noteUse(_ id: UUID, _ entry: Entry, of session: Session) {
    session.notedStream = session.machine.lastStream
    uses[id] = KeyUse(
      organizationID: entry.organizationID, apiKeyID: id, usedAt: WallClock.microseconds())
  }

  /// Writes which keys were used, of those whose last use was written a while ago.
  private func noteUses(_ now: Int64) {
    guard !isNoting else { return }
    notedAt = notedAt.filter { loop.now.since($0.value) < KeyWatch.useInterval }
    for (id, entry) in entries where notedAt[id] == nil {
      for session in entry.sessions.values where isActive(session) {
        noteUse(id, entry, of: session)
      }
    }
    let due = uses.values.filter { notedAt[$0.apiKeyID] == nil }
    guard !due.isEmpty else { return }
    for use in due {
      uses[use.apiKeyID] = nil
      notedAt[use.apiKeyID] = loop.now
    }
    isNoting = true
    loop.spawn { [self] in
      // One that is lost is told by the next minute's.
      try? await state.authenticator.recordUses(
        due, database: database, deadline: loop.now.advanced(by: KeyWatch.patience))
      isNoting = false
    }
  }
}
