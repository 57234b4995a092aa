internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TracingService {
  /// Writes records of an evaluation dataset.
  public func writeEvaluationRecords(
    _ request: WriteEvaluationRecordsRequest, _ call: CallContext
  ) async throws(CallError) -> WriteEvaluationRecordsResponse {
    var validator = Validator()
    let place = EvaluationPlace(request.projectID, request.evaluationDatasetID, &validator)
    let records = request.records
    let most = EvaluationBounds.recordsPerRequestMax
    if !(1...most).contains(records.count) {
      validator.refuse("records", "must be 1 to \(most), are \(records.count)")
    }
    for (index, record) in records.prefix(most).enumerated() {
      validator.check(record, "records[\(index)]")
    }
    try validator.finish()

    return try await call.commit(
      holding: requireChange(in: place.projectID, call),
      locking: EvaluationDatasetsQueries.writeEvaluationRecords(
        organizationID: call.principal.organizationID, projectID: place.projectID,
        datasetID: place.id, ids: records.map { _ in call.nextID() },
        inputs: records.map(\.inputsJSON), outputs: records.map { $0.outputsJSON ?? "" },
        expectations: records.map { $0.expectationsJSON ?? "" },
        tags: records.map { $0.tagsJSON ?? "" }, sources: records.map { $0.sourceJSON ?? "" },
        authors: records.map { $0.author ?? "" }, nowMs: now,
        countMax: settings.evaluationRecordsMax)
    ) { (row, _) throws(CallError) in
      guard let row else { throw place.notFound }
      var response = WriteEvaluationRecordsResponse()
      response.inserted = row.inserted
      response.updated = row.updated
      return (
        response,
        place.change(
          "write_records", "records_written",
          [("inserted", String(row.inserted)), ("updated", String(row.updated))])
      )
    }
  }

  /// Lists the records of an evaluation dataset.
  public func listEvaluationRecords(
    _ request: ListEvaluationRecordsRequest, _ call: CallContext
  ) async throws(CallError) -> ListEvaluationRecordsResponse {
    var validator = Validator()
    let place = EvaluationPlace(request.projectID, request.evaluationDatasetID, &validator)
    let size = validator.pageSize(
      request.pageSize, standard: EvaluationBounds.recordsPageSize,
      max: EvaluationBounds.recordsPageSize)
    try validator.finish()
    _ = try await dataset(place, call)

    let purpose = "evaluation records \(place.projectID) \(place.id)"
    var after = UUID.zero
    if !request.pageToken.isEmpty {
      guard let id = Token.read(request.pageToken, for: purpose).flatMap({ UUID(bytes: $0) })
      else { throw pageTokenInvalid() }
      after = id
    }
    let most = TraceBounds.pageBytesMax
    var rows = try await call.read(
      EvaluationDatasetsQueries.listEvaluationRecords(
        organizationID: call.principal.organizationID, datasetID: place.id, afterID: after,
        pageSize: Int64(size) + 1, bytesMax: most))
    let isCut = rows.count > size || (rows.last?.bytes ?? 0) > most
    rows = Array(rows.prefix(size))
    var response = ListEvaluationRecordsResponse()
    response.records = rows.map { EvaluationRecord($0) }
    if isCut, let last = rows.last {
      response.nextPageToken = Token.make(last.id.bytes, for: purpose)
    }
    return response
  }

  /// Deletes records of an evaluation dataset.
  public func deleteEvaluationRecords(
    _ request: DeleteEvaluationRecordsRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteEvaluationRecordsResponse {
    var validator = Validator()
    let place = EvaluationPlace(request.projectID, request.evaluationDatasetID, &validator)
    let ids = validator.evaluationIDs(
      "record_ids", request.recordIDs, count: 1...EvaluationBounds.recordsPerRequestMax)
    try validator.finish()
    return try await call.commit(
      holding: requireChange(in: place.projectID, call),
      locking: EvaluationDatasetsQueries.deleteEvaluationRecords(
        organizationID: call.principal.organizationID, projectID: place.projectID,
        datasetID: place.id, ids: ids)
    ) { (count, _) throws(CallError) in
      guard let count else { throw place.notFound }
      var response = DeleteEvaluationRecordsResponse()
      response.count = count
      return (
        response,
        place.change("delete_records", "records_deleted", [("count", String(count))])
      )
    }
  }
}

extension EvaluationRecord {
  /// A record as a statement returned it.
  fileprivate init(_ row: EvaluationDatasetsQueries.ListEvaluationRecordsRow) {
    self.init()
    id = row.id.description
    inputsJSON = row.inputs
    outputsJSON = row.outputs
    expectationsJSON = row.expectations
    tagsJSON = row.tags
    sourceJSON = row.source
    author = row.author
    lastAuthor = row.lastAuthor
    createTimeMs = row.createTimeMs
    updateTimeMs = row.updateTimeMs
  }
}
