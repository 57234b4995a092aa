internal import EventLoop
internal import Messages
internal import Postgres

/// What one loop does for the audit log beside its calls: it counts refused attempts, and tells the
/// sinks.
///
/// Lives on the loop.
final class AuditJournal {
  /// How long the last entries have at shutdown.
  static let flushPatience: Duration = .seconds(5)

  /// Attempts that were refused and are not written yet.
  let refusals: Refusals
  private let queues: [AuditQueue]
  private unowned let server: LoopServer

  init(_ server: LoopServer) {
    self.server = server
    refusals = Refusals(server)
    queues = server.state.auditOutlets.enumerated().map { AuditQueue($1, $0, server) }
  }

  /// An entry is in the audit log.
  func committed(_ entry: AuditRecord) {
    for queue in queues { queue.add(entry) }
  }

  /// The sink of the queue at `index` has taken what it was given.
  func taken(_ index: Int) { queues[index].sinkIsDone() }

  /// Writes what waits, and waits for the sinks.
  func flush() async {
    let deadline = server.loop.now.advanced(by: AuditJournal.flushPatience)
    await refusals.write(until: deadline)
    for queue in queues { await queue.drain(until: deadline) }
  }
}

/// Refused attempts of one loop: one entry for those of a principal at a method within an interval.
///
/// They are counted where they are refused and written later, so that whoever is refused a thousand
/// times a second costs the database an entry a minute.
///
/// Lives on the loop.
final class Refusals {
  /// Entries that wait at most; attempts beyond them are counted by a metric alone.
  static let entriesMax = 1_024
  /// Entries of one transaction.
  static let batchSize = 100
  /// Time for one transaction, below what an export stays behind.
  static let commitPatience: Duration = .seconds(5)

  private struct Key: Hashable {
    var organizationID: UUID
    var principalID: UUID
    var apiKeyID: UUID
    var methodIndex: Int
    var reason: String
  }

  private struct Attempts {
    var principal: Principal
    var method: MethodDescriptor
    /// What was attempted.
    var action: String
    var ipAddress: String
    var client: String
    /// The first one's.
    var requestID: String
    var count: UInt64
    var firstAt: Int64
    var lastAt: Int64
  }

  private unowned let server: LoopServer
  private var waiting: [Key: Attempts] = [:]
  private var isScheduled = false
  private var isWriting = false
  private let written = Signal()

  init(_ server: LoopServer) { self.server = server }

  /// Counts an attempt that was refused for `reason`.
  func note(_ call: CallContext, _ reason: String) {
    let method = call.method
    note(
      call, reason, of: call.principal,
      action: method.hasPermission ? method.permission : "\(method.permission).call")
  }

  /// The same, of a call that says who it comes from and has not proved it.
  func note(_ call: CallContext, _ reason: String, of principal: Principal, action: String) {
    let now = WallClock.microseconds()
    let key = Key(
      organizationID: principal.organizationID, principalID: principal.id,
      apiKeyID: principal.apiKeyID, methodIndex: call.methodIndex, reason: reason)
    if waiting[key] != nil {
      waiting[key]?.count &+= 1
      waiting[key]?.lastAt = now
      return
    }
    add(
      key,
      Attempts(
        principal: principal, method: call.method, action: action,
        ipAddress: call.peer.host, client: call.client, requestID: call.requestID, count: 1,
        firstAt: now, lastAt: now))
  }

  private func add(_ key: Key, _ attempts: Attempts) {
    if let newer = waiting[key] {
      waiting[key]?.count &+= attempts.count
      waiting[key]?.firstAt = min(attempts.firstAt, newer.firstAt)
    } else if waiting.count < Refusals.entriesMax {
      waiting[key] = attempts
    } else {
      server.metrics.auditRefusalsDropped &+= attempts.count
    }
    schedule()
  }

  private func schedule() {
    guard !isScheduled else { return }
    isScheduled = true
    let loop = server.loop
    loop.schedule(after: server.state.settings.auditRefusalInterval) { [weak self] in
      guard let self else { return }
      self.isScheduled = false
      loop.spawn { await self.write(until: loop.now.advanced(by: Refusals.commitPatience)) }
    }
  }

  /// Writes what waits; what could not be written waits for the next time.
  func write(until deadline: Instant) async {
    while isWriting { await written.wait(unless: { !isWriting }) }
    isWriting = true
    let due = waiting.sorted { $0.value.firstAt < $1.value.firstAt }
    waiting = [:]
    let byOrganization = Dictionary(grouping: due) { $0.value.principal.organizationID }
    for (organizationID, entries) in byOrganization {
      for start in stride(from: 0, to: entries.count, by: Refusals.batchSize) {
        await commit(
          Array(entries[start..<min(start + Refusals.batchSize, entries.count)]),
          Work(scope: .organization(organizationID), deadline: deadline, cancellation: nil))
      }
    }
    isWriting = false
    written.notify()
  }

  private func commit(_ entries: [(key: Key, value: Attempts)], _ work: Work) async {
    let records = entries.map { record($0.value, $0.key.reason) }
    var batch = Batch()
    for record in records { batch.add(record.insertion) }
    do throws(PostgresError) {
      try await server.database.commit(work, batch)
    } catch {
      if error.isSafeToRetry {
        for (key, attempts) in entries { add(key, attempts) }
        return
      }
      // Whether they were written is not known, or they never can be: twice would be worse.
      let count = entries.reduce(0) { $0 &+ $1.value.count }
      server.metrics.auditRefusalsDropped &+= count
      return server.state.observer.note(
        .warning, "refused attempts may be missing in the audit log",
        [("count", String(count)), ("error", "\(error)")])
    }
    for record in records { server.audit.committed(record) }
  }

  private func record(_ attempts: Attempts, _ reason: String) -> AuditRecord {
    let (method, action, principal) = (attempts.method, attempts.action, attempts.principal)
    return AuditRecord(
      id: server.nextID(), organizationID: principal.organizationID, actorType: principal.kind,
      actorID: principal.id, actorLabel: principal.label, apiKeyID: principal.apiKeyID,
      action: action, outcome: "denied", reason: reason,
      resourceType: String(action.prefix { $0 != "." }), resourceID: nil, projectID: nil,
      detailsJSON: "{\"method\":\(JSONText.quoted(method.name)),\"count\":\(attempts.count),"
        + "\"first_at_us\":\(attempts.firstAt),\"last_at_us\":\(attempts.lastAt)}",
      ipAddress: attempts.ipAddress, client: attempts.client, requestID: attempts.requestID,
      createdAt: WallClock.microseconds())
  }
}
