internal import EventLoop
public import Messages
public import Postgres
internal import TLS

/// What a change does, for the audit log and for those who watch.
public struct Change {
  /// "run.create", the verb of the audit log.
  public var action: String
  /// "run.created", the event that watchers see.
  public var event: String
  /// "run".
  public var resourceType: String
  /// Which one.
  public var resourceID: UUID
  /// Its project, if it has one.
  public var projectID: UUID?
  /// A JSON object: what is worth keeping of before and after.
  public var detailsJSON: String
  /// Whether the answer holds a secret, which is shown once: a replay is refused, not answered.
  public var showsSecret = false
  /// Whose secret that is, where it is not the resource's: what a refused replay names.
  public var secretID: UUID?
  /// The organization that the change has made, where it is not the caller's.
  ///
  /// Its log begins with the entry, and the event is its own; the caller's log tells that the key
  /// was used for it, and nothing else of the other tenant but its id. See
  /// ``CallContext/enter(_:_:)``.
  public var madeOrganizationID: UUID?
  /// What else has changed with it, for those who watch that: the experiments that a run left or is
  /// in.
  public var alsoChanged: Set<UUID> = []

  /// Describes a change.
  public init(
    action: String, event: String, resourceType: String, resourceID: UUID, projectID: UUID?,
    detailsJSON: String
  ) {
    self.action = action
    self.event = event
    self.resourceType = resourceType
    self.resourceID = resourceID
    self.projectID = projectID
    self.detailsJSON = detailsJSON
  }
}

/// Why a change was rolled back.
enum ChangeFailure: DatabaseFailure {
  case database(PostgresError)
  case refused(CallError)

  init(database error: PostgresError) { self = .database(error) }
}

extension CallContext {
  /// Runs one statement that changes nothing.
  ///
  /// - Throws: ``CallError``; what the statement's refusal means is looked up in one place.
  public func read<Output>(_ query: Query<Output>) async throws(CallError) -> Output {
    do throws(PostgresError) {
      return try await database.read(work, query)
    } catch {
      throw callError(error)
    }
  }

  /// Runs statements that change nothing, together.
  public func read(_ batch: Batch) async throws(CallError) {
    do throws(PostgresError) {
      try await database.read(work, batch)
    } catch {
      throw callError(error)
    }
  }

  /// Commits a change whose answer is known before: the statements, the audit entry, the event and
  /// the idempotency record, in one transaction and one round trip.
  ///
  /// With an idempotency key that was used before, nothing is changed and the first answer returns.
  public func commit<Response: Message>(
    _ response: Response, _ change: Change, _ statements: (inout Batch) -> Void
  ) async throws(CallError) -> Response {
    var batch = Batch()
    if !idempotencyKey.isEmpty {
      batch.add(
        claimKey(
          response: change.showsSecret ? nil : response.encoded, resourceID: change.resourceID))
    }
    statements(&batch)
    let entries = record(change, in: &batch)
    do throws(PostgresError) {
      try await database.commit(work, batch)
    } catch {
      if isReplay(error) { return try await replay() }
      throw callError(error)
    }
    committed(change, entries)
    return response
  }

  /// Commits a change that depends on what is there: `query` reads and locks it, `decide` answers
  /// and adds the statements, without any I/O between.
  ///
  /// A query of several tables sees them as they were before it waited for a lock; where that
  /// matters, `locks` are the statements that wait, and `query` reads what came of it.
  public func commit<Row, Response: Message>(
    holding locks: Query<Int>..., locking query: Query<Row>,
    _ decide: (Row, inout Batch) throws(CallError) -> (Response, Change)
  ) async throws(CallError) -> Response {
    do throws(ChangeFailure) {
      let (response, change, entries) = try await database.transaction(work) {
        (transaction) async throws(ChangeFailure) -> (Response, Change, [AuditRecord]) in
        try await decideAndFinish(transaction, locks, query, decide)
      }
      committed(change, entries)
      return response
    } catch {
      switch error {
      case .refused(let error): throw error
      case .database(let error):
        if isReplay(error) { return try await replay() }
        throw callError(error)
      }
    }
  }

  private func decideAndFinish<Row, Response: Message>(
    _ transaction: Transaction, _ locks: [Query<Int>], _ query: Query<Row>,
    _ decide: (Row, inout Batch) throws(CallError) -> (Response, Change)
  ) async throws(ChangeFailure) -> (Response, Change, [AuditRecord]) {
    var first = Batch()
    if !idempotencyKey.isEmpty { first.add(claimKey(response: nil, resourceID: nil)) }
    for lock in locks { first.add(lock) }
    let row = first.add(query)
    do throws(PostgresError) { try await transaction.run(first) } catch { throw .database(error) }
    var last = Batch()
    let decided: (Response, Change)
    do throws(CallError) {
      decided = try decide(row.value, &last)
    } catch {
      throw .refused(error)
    }
    // Before the answer is kept: where another organization was made, this comes back from it.
    let entries = record(decided.1, in: &last)
    if !idempotencyKey.isEmpty {
      let response = decided.1.showsSecret ? nil : decided.0.encoded
      last.add(keepAnswer(response, decided.1.secretID ?? decided.1.resourceID))
    }
    do throws(PostgresError) { try await transaction.finish(last) } catch { throw .database(error) }
    return (decided.0, decided.1, entries)
  }

  /// Adds the statement from which on the transaction acts for another organization, which its
  /// change makes; see ``Change/madeOrganizationID``.
  public func enter(_ organizationID: UUID, _ batch: inout Batch) {
    batch.add(JournalQueries.enterOrganization(organizationID: organizationID))
  }

  // MARK: What every change leaves

  /// Adds the audit entries, which it returns, and the event, where the method is audited.
  private func record(_ change: Change, in batch: inout Batch) -> [AuditRecord] {
    // What is sent all the time, such as spans, leaves neither.
    guard method.isAudited else { return [] }
    let now = WallClock.microseconds()
    let home = change.madeOrganizationID ?? principal.organizationID
    var entries = [auditRecord(change, now)]
    for entry in entries { batch.add(entry.insertion) }
    batch.add(
      JournalQueries.insertEvent(
        organizationID: home, id: nextID(), type: change.event,
        resourceType: change.resourceType, resourceID: change.resourceID,
        projectID: change.projectID, actorType: principal.kind, actorID: principal.id,
        requestID: requestID, dataJSON: change.detailsJSON, createdAt: now))
    guard home != principal.organizationID else { return entries }
    enter(principal.organizationID, &batch)
    var own = change
    own.madeOrganizationID = nil
    own.detailsJSON = "{}"
    let entry = auditRecord(own, now)
    batch.add(entry.insertion)
    entries.append(entry)
    return entries
  }

  private func auditRecord(_ change: Change, _ now: Int64) -> AuditRecord {
    AuditRecord(
      id: nextID(), organizationID: change.madeOrganizationID ?? principal.organizationID,
      actorType: principal.kind, actorID: principal.id, actorLabel: principal.label,
      // A key is named in the log of its own organization only.
      apiKeyID: change.madeOrganizationID == nil ? principal.apiKeyID : .zero,
      action: change.action, outcome: "success", reason: nil, resourceType: change.resourceType,
      resourceID: change.resourceID, projectID: change.projectID, detailsJSON: change.detailsJSON,
      ipAddress: peer.host, client: client, requestID: requestID, createdAt: now)
  }

  /// Tells those who watch, and the audit log's sinks.
  private func committed(_ change: Change, _ entries: [AuditRecord]) {
    feed.changed(change.resourceID)
    for id in change.alsoChanged { feed.changed(id) }
    for entry in entries { audit.committed(entry) }
  }

  private func claimKey(response: [UInt8]?, resourceID: UUID?) -> Query<Int> {
    JournalQueries.insertIdempotencyRecord(
      organizationID: principal.organizationID, principalID: principal.id, key: idempotencyKey,
      method: method.name, requestDigest: requestDigest, response: response,
      resourceID: resourceID, isPermanent: false)
  }

  private func keepAnswer(_ response: [UInt8]?, _ resourceID: UUID) -> Query<Int> {
    JournalQueries.completeIdempotencyRecord(
      response: response, resourceID: resourceID, organizationID: principal.organizationID,
      principalID: principal.id, key: idempotencyKey)
  }

  // MARK: Replays

  private var requestDigest: [UInt8] { Digest.sha256(requestBytes) }

  private func isReplay(_ error: PostgresError) -> Bool {
    !idempotencyKey.isEmpty && error.violates("idempotency_records_pkey")
  }

  /// The answer to a change that cannot be made any more, because what it needs is not there: the
  /// one that its idempotency key was given before, or `error`.
  public func repeatAnswer<Response: Message>(
    or error: CallError
  ) async throws(CallError) -> Response {
    guard let answer: Response = try await keptAnswer() else { throw error }
    return answer
  }

  private func replay<Response: Message>() async throws(CallError) -> Response {
    if let answer: Response = try await keptAnswer() { return answer }
    // It was there a moment ago: its day was over in between.
    throw CallError(
      RpcErrorReason.conflict, "The idempotency key just expired; send the call again.")
  }

  /// The answer that was given to this key, if it was given to the same request; nil where the key
  /// is unknown.
  public func keptAnswer<Response: Message>() async throws(CallError) -> Response? {
    guard !idempotencyKey.isEmpty else { return nil }
    let record = try await read(
      JournalQueries.getIdempotencyRecord(
        organizationID: principal.organizationID, principalID: principal.id, key: idempotencyKey))
    return if let record { try answer(in: record) } else { nil }
  }

  private func answer<Response: Message>(
    in record: JournalQueries.GetIdempotencyRecordRow
  ) throws(CallError) -> Response {
    guard record.method == method.name, record.requestDigest == requestDigest else {
      throw CallError(
        RpcErrorReason.idempotencyKeyReused,
        "This idempotency key was used for another request; use a new key for a new change.")
    }
    guard let bytes = record.response else { throw secretAlreadyShown(record.resourceID) }
    do throws(MessageError) {
      return try Response.decode(bytes)
    } catch {
      throw CallError.internal("the answer kept for an idempotency key does not decode: \(error)")
    }
  }

  private func secretAlreadyShown(_ resourceID: UUID?) -> CallError {
    guard let resourceID else { return .internal("an idempotency record has no answer") }
    return CallError(
      RpcErrorReason.secretAlreadyShown,
      "This call was made before, and its secret was shown then: if that was lost, revoke "
        + "\(resourceID) and make another.",
      details: ["resource_id": resourceID.description])
  }
}
