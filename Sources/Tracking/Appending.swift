internal import Messages
internal import Postgres
internal import RPC

/// One numbered batch of a writer.
protocol AppendRequest: Message {
  var writerID: String { get }
  var sequence: UInt64 { get }
}

/// What is committed of a writer.
protocol AppendResponse: Message {
  var acknowledgedSequence: UInt64 { get set }
}

/// Consecutive batches of one writer that are stored in one transaction.
protocol AppendGroup {
  associatedtype Request: AppendRequest

  /// A group without a batch.
  init()

  var isEmpty: Bool { get }
  /// Whether another batch could be too much for one transaction.
  var isFull: Bool { get }
  /// The last batch's; 0 without one.
  var lastSequence: UInt64 { get }
  /// The runs that the batches are of.
  var runIDs: Set<UUID> { get }
  /// Each batch as a group of its own.
  var single: [Self] { get }

  /// Adds a batch, or refuses it for what is in it.
  mutating func append(_ request: Request) throws(CallError)

  /// What stores the group; any statement may refuse, which undoes all.
  func statements(writer: UUID, _ call: CallContext) -> Batch

  /// Stores the group, in a transaction of its own or in one with other writers' groups.
  func store(writer: UUID, _ call: CallContext) async throws(PostgresError)
}

extension AppendGroup {
  func store(writer: UUID, _ call: CallContext) async throws(PostgresError) {
    try await call.database.commit(call.work, statements(writer: writer, call))
  }
}

extension TrackingService {
  /// Stores a writer's batches, durably and exactly once.
  ///
  /// What has come while a transaction was under way goes into the next one, so the database's
  /// speed sets the size of the groups, and the caller's window is the bound of what waits.
  func append<Group: AppendGroup, Response: AppendResponse>(
    _ requests: RequestStream<Group.Request>, _ responses: ResponseStream<Response>,
    in _: Group.Type, _ call: CallContext
  ) async throws(CallError) {
    guard let opening = try await requests.take() else {
      throw writerInvalid("The stream ended before it named its writer.")
    }
    var validator = Validator()
    let writerID = validator.id("writer_id", opening.request.writerID)
    try validator.finish()
    var writer = Writer<Group>(
      id: writerID, acknowledged: try await openWriter(writerID, call), call: call)
    try await responses.send(writer.acknowledgement())

    var next: (request: Group.Request, sizeBytes: Int)? = opening
    while let request = next {
      try writer.add(request.request, request.sizeBytes)
      while requests.isWaiting, !writer.isFull, let more = try await requests.take() {
        try writer.add(more.request, more.sizeBytes)
      }
      if try await writer.flush() { try await responses.send(writer.acknowledgement()) }
      requests.consumed(writer.takeConsumed())
      if let refusal = writer.refusal { throw refusal }
      next = try await requests.take()
    }
  }

  private func openWriter(_ id: UUID, _ call: CallContext) async throws(CallError) -> UInt64 {
    do throws(PostgresError) {
      let last = try await call.database.commit(
        call.work,
        MetricAppendsQueries.openWriter(
          organizationID: call.principal.organizationID, writerID: id))
      return UInt64(clamping: last)
    } catch {
      throw call.callError(error)
    }
  }
}

/// The server's side of one writer's stream.
private struct Writer<Group: AppendGroup> {
  let id: UUID
  private(set) var acknowledged: UInt64
  let call: CallContext
  /// What ends the stream, once everything before it is stored.
  private(set) var refusal: CallError?

  private var group = Group()
  private var consumedBytes = 0
  private var hasReplayed = false

  init(id: UUID, acknowledged: UInt64, call: CallContext) {
    self.id = id
    self.acknowledged = acknowledged
    self.call = call
  }

  var isFull: Bool { group.isFull || refusal != nil }

  func acknowledgement<Response: AppendResponse>() -> Response {
    var response = Response()
    response.acknowledgedSequence = acknowledged
    return response
  }

  /// Adds a batch to the group, unless it was stored before.
  mutating func add(_ request: Group.Request, _ windowBytes: Int) throws(CallError) {
    consumedBytes += windowBytes
    guard refusal == nil, request.sequence > 0 else { return }
    if !request.writerID.isEmpty, UUID(request.writerID) != id {
      refusal = writerInvalid("A stream has one writer; this message names another.")
      return
    }
    let expected = (group.isEmpty ? acknowledged : group.lastSequence) + 1
    if request.sequence < expected {
      hasReplayed = true
      return
    }
    if request.sequence > expected {
      refusal = CallError(
        TrackingErrorReason.sequenceGap,
        "Batch \(request.sequence) came where \(expected) was expected; continue with that one.",
        details: ["expected_sequence": String(expected)])
      return
    }
    do throws(CallError) {
      try group.append(request)
    } catch {
      refusal = error
    }
  }

  /// Stores the group; says whether there is something to acknowledge.
  mutating func flush() async throws(CallError) -> Bool {
    let before = acknowledged
    let taken = group
    group = Group()
    if !taken.isEmpty { try await store(taken) }
    defer { hasReplayed = false }
    return acknowledged > before || hasReplayed
  }

  /// Stores a group whole; when it is refused, batch by batch, so that what is before the bad one
  /// stays.
  private mutating func store(_ group: Group) async throws(CallError) {
    guard let error = try await commit(group) else { return }
    let batches = group.single
    if batches.count == 1 {
      refusal = error
      return
    }
    for single in batches {
      if let error = try await commit(single) {
        refusal = error
        return
      }
    }
  }

  /// Commits a group and moves on, or returns why the database refused it.
  private mutating func commit(_ group: Group) async throws(CallError) -> CallError? {
    do throws(PostgresError) {
      try await group.store(writer: id, call)
    } catch {
      if error.serverError != nil { return call.callError(error) }
      // The outcome is not known: the writer comes back, and hears how far it has come.
      throw call.callError(error)
    }
    acknowledged = group.lastSequence
    for runID in group.runIDs { call.feed.changed(runID) }
    return nil
  }

  /// Bytes of requests that are dealt with.
  mutating func takeConsumed() -> Int {
    defer { consumedBytes = 0 }
    return consumedBytes
  }
}

private func writerInvalid(_ message: String) -> CallError {
  CallError(TrackingErrorReason.writerInvalid, message)
}
