internal import Messages
internal import Postgres
internal import RPC

/// A trace as it is stored, without what belongs to it.
struct TraceRecord {
  var id: UUID
  var publicID: String
  var trace: Trace

  /// Bytes of its own texts.
  var bytes: Int64 {
    Int64((trace.requestPreview?.utf8.count ?? 0) + (trace.responsePreview?.utf8.count ?? 0))
  }

  init(_ row: TracesQueries.GetTracesRow) {
    id = row.id
    publicID = row.publicID
    trace = Trace()
    trace.traceID = row.publicID
    trace.experimentID = row.experimentID.description
    trace.state = TraceState(word: row.state)
    trace.requestTimeMs = row.requestTimeMs
    trace.executionMs = row.executionMs
    trace.requestPreview = row.requestPreview
    trace.responsePreview = row.responsePreview
    trace.clientRequestID = row.clientRequestID
  }

  /// As a search's columns have it.
  init(_ row: borrowing Row) throws(PostgresError) {
    id = try row.uuid(0)
    publicID = try row.text(2)
    trace = Trace()
    trace.traceID = publicID
    trace.experimentID = try row.uuid(1).description
    trace.state = TraceState(word: try row.text(3))
    trace.requestTimeMs = try row.int8(4)
    trace.executionMs = try row.int8OrNil(5)
    trace.requestPreview = try row.textOrNil(6)
    trace.responsePreview = try row.textOrNil(7)
    trace.clientRequestID = try row.textOrNil(8)
  }
}

extension TracingService {
  /// The first of some traces with all that belongs to them, but for spans: as many as an answer
  /// has room for, and one at least.
  func complete(
    _ records: [TraceRecord], _ call: CallContext
  ) async throws(CallError) -> [Trace] {
    guard let first = records.first else { return [] }
    var bytes: Int64 = 0
    let fitting = records.prefix { record in
      bytes += record.bytes
      return bytes <= TraceBounds.pageBytesMax
    }
    let traces = try await details(Array(fitting), TraceBounds.pageBytesMax, call)
    if !traces.isEmpty { return traces }
    let alone = try await details([first], TraceBounds.loneBytesMax, call)
    guard !alone.isEmpty else {
      throw CallError(
        TracingErrorReason.traceTooLarge,
        "The trace \(first.publicID) has more tags, metadata or assessments than an answer has "
          + "room for; delete some of its tags or assessments.")
    }
    return alone
  }

  private func details(
    _ records: [TraceRecord], _ bytesMax: Int64, _ call: CallContext
  ) async throws(CallError) -> [Trace] {
    guard !records.isEmpty else { return [] }
    let ids = records.map(\.id)
    let places = Dictionary(ids.enumerated().map { ($1, $0) }) { first, _ in first }
    var traces = records.map(\.trace)
    var count = traces.count
    let pairs = try await call.read(
      TracesQueries.listTracePairs(
        traceIDs: ids, organizationID: call.principal.organizationID, bytesMax: bytesMax))
    for row in pairs {
      guard let place = places[row.traceID] else { continue }
      if row.bytes > bytesMax { count = min(count, place) }
      let pair = TracePair(key: row.key, value: row.value)
      if row.isTag { traces[place].tags.append(pair) } else { traces[place].metadata.append(pair) }
    }
    let assessments = try await call.read(
      AssessmentsQueries.listAssessments(
        traceIDs: ids, organizationID: call.principal.organizationID, bytesMax: bytesMax))
    for row in assessments {
      guard let place = places[row.traceID] else { continue }
      if row.bytes > bytesMax { count = min(count, place) }
      traces[place].assessments.append(Assessment(row))
    }
    return Array(traces.prefix(count))
  }
}
