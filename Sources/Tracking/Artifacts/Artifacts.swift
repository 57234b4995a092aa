internal import Artifacts
internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Returns one file's facts.
  public func getArtifact(
    _ request: GetArtifactRequest, _ call: CallContext
  ) async throws(CallError) -> GetArtifactResponse {
    _ = try openShelf()
    let (runID, path) = try place(request.runID, request.path)
    _ = try await run(runID, call)
    var response = GetArtifactResponse()
    response.artifact = Artifact(try await artifact(runID, path, call))
    return response
  }

  /// Says how far an upload has come.
  public func getUpload(
    _ request: GetUploadRequest, _ call: CallContext
  ) async throws(CallError) -> GetUploadResponse {
    _ = try openShelf()
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()
    var upload = Upload()
    upload.id = id.description
    let organizationID = call.principal.organizationID
    if let row = try await call.read(
      ArtifactUploadsQueries.getUpload(organizationID: organizationID, id: id))
    {
      guard try await sees(row.runID, call) else { throw uploadNotFound(id) }
      upload.runID = row.runID.description
      upload.path = row.path
      upload.durableBytes = row.durableBytes
      upload.sizeBytes = row.sizeBytes
      let patience = Int64(clamping: ArtifactBounds.uploadPatience.wholeNanoseconds / 1_000)
      upload.expiresAt = Timestamp(microseconds: row.updatedAt + patience)
    } else if let row = try await call.read(
      ArtifactsQueries.getUploadedArtifact(organizationID: organizationID, uploadID: id)),
      try await sees(row.runID, call)
    {
      upload.runID = row.runID.description
      upload.path = row.path
      upload.durableBytes = row.sizeBytes
      upload.sizeBytes = row.sizeBytes
      upload.isFinished = true
    } else {
      throw uploadNotFound(id)
    }
    var response = GetUploadResponse()
    response.upload = upload
    return response
  }

  /// Whether the caller sees a run.
  private func sees(_ runID: UUID, _ call: CallContext) async throws(CallError) -> Bool {
    do throws(CallError) {
      _ = try await run(runID, call)
      return true
    } catch {
      if error.has(TrackingErrorReason.runNotFound) { return false }
      throw error
    }
  }

  /// The bytes of a file from an offset on.
  public func downloadArtifact(
    _ request: DownloadArtifactRequest, _ responses: ResponseStream<DownloadArtifactResponse>,
    _ call: CallContext
  ) async throws(CallError) {
    let shelf = try openShelf()
    let (runID, path) = try place(request.runID, request.path)
    let most = shelf.settings.chunkBytes
    let chunk = request.chunkBytes == 0 ? ArtifactBounds.chunkBytes : Int(request.chunkBytes)
    let projectID = try await run(runID, call).projectID
    let record = try await artifact(runID, path, call)
    var validator = Validator()
    if request.chunkBytes != 0, !(ArtifactBounds.chunkBytesMin...most).contains(chunk) {
      validator.refuse(
        "chunk_bytes", "must be \(ArtifactBounds.chunkBytesMin) to \(most), or 0")
    }
    if !(0...record.sizeBytes).contains(request.offset) {
      validator.refuse("offset", "must be 0 to the file's size, which is \(record.sizeBytes)")
    }
    try validator.finish()
    let organizationID = call.principal.organizationID
    let reader = try await stored { () throws(ArtifactStoreError) in
      try await shelf.store.open(record.digest, of: organizationID)
    }
    var response = DownloadArtifactResponse()
    response.artifact = Artifact(record)
    var offset = request.offset
    repeat {
      let (start, count) = (offset, Int(min(Int64(min(chunk, most)), record.sizeBytes - offset)))
      if count > 0 {
        response.data = try await stored { () throws(ArtifactStoreError) in
          try await reader.read(at: start, count: count)
        }
        guard response.data.count == count else { throw CallError(.missing) }
      }
      // Who may no longer look is not told the rest.
      guard try await call.roleInProject(projectID) != nil else { throw runNotFound(runID) }
      response.offset = offset
      try await responses.send(response)
      response = DownloadArtifactResponse()
      offset += Int64(count)
    } while offset < record.sizeBytes
  }

  /// Removes a file from a run.
  public func deleteArtifact(
    _ request: DeleteArtifactRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteArtifactResponse {
    _ = try openShelf()
    let (runID, path) = try place(request.runID, request.path)
    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: ArtifactsQueries.holdRunOfArtifact(organizationID: organizationID, runID: runID),
      locking: ArtifactsQueries.getArtifactPlace(
        userID: call.principal.id, organizationID: organizationID, runID: runID,
        parentPaths: [], path: path)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw runNotFound(runID) }
      try call.require(row.role, unseen: runNotFound(runID))
      guard let record = ArtifactRecord(row, runID, path) else {
        throw artifactNotFound(runID, path)
      }
      batch.add(
        ArtifactsQueries.deleteArtifact(
          organizationID: organizationID, runID: runID, path: path))
      var response = DeleteArtifactResponse()
      response.artifact = Artifact(record)
      return (
        response,
        Change(
          "delete", "deleted", path, from: record, to: nil, id: record.id,
          projectID: row.projectID)
      )
    }
  }

  /// Reads the fields that say which file.
  private func place(_ run: String, _ path: String) throws(CallError) -> (UUID, String) {
    var validator = Validator()
    let runID = validator.id("run_id", run)
    if let problem = ArtifactPath.problem(path) { validator.refuse("path", problem) }
    try validator.finish()
    return (runID, path)
  }

  private func artifact(
    _ runID: UUID, _ path: String, _ call: CallContext
  ) async throws(CallError) -> ArtifactRecord {
    let row = try await call.read(
      ArtifactsQueries.getArtifact(
        organizationID: call.principal.organizationID, runID: runID, path: path))
    guard let row else { throw artifactNotFound(runID, path) }
    return ArtifactRecord(row)
  }
}

private func artifactNotFound(_ runID: UUID, _ path: String) -> CallError {
  CallError(TrackingErrorReason.artifactNotFound, "The run \(runID) has no file \(path).")
}

/// What a caller hears of an upload that is not there, or is not theirs.
func uploadNotFound(_ id: UUID) -> CallError {
  CallError(
    TrackingErrorReason.uploadNotFound,
    "There is no upload \(id) in your organization; it may have been given up: begin another.")
}
