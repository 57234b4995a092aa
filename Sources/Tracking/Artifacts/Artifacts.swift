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
    let (name, path) = try place(request, request.path)
    let owner = try await owner(name, call)
    var response = GetArtifactResponse()
    response.artifact = Artifact(try await artifact(owner, path, call))
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
      ArtifactUploadsQueries.getUpload(organizationID: organizationID, id: id)),
      let owner = ArtifactOwner(row.runID, row.loggedModelID, row.traceID, row.publicTraceID)
    {
      guard try await sees(owner, call) else { throw uploadNotFound(id) }
      upload.note(owner)
      upload.path = row.path
      upload.durableBytes = row.durableBytes
      upload.sizeBytes = row.sizeBytes
      let patience = Int64(clamping: ArtifactBounds.uploadPatience.wholeNanoseconds / 1_000)
      upload.expiresAt = Timestamp(microseconds: row.updatedAt + patience)
    } else if let row = try await call.read(
      ArtifactsQueries.getUploadedArtifact(organizationID: organizationID, uploadID: id)),
      let record = ArtifactRecord(row), try await sees(record.owner, call)
    {
      upload.note(record.owner)
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

  /// The bytes of a file from an offset on.
  public func downloadArtifact(
    _ request: DownloadArtifactRequest, _ responses: ResponseStream<DownloadArtifactResponse>,
    _ call: CallContext
  ) async throws(CallError) {
    let shelf = try openShelf()
    let (name, path) = try place(request, request.path)
    let most = shelf.settings.chunkBytes
    let chunk = request.chunkBytes == 0 ? ArtifactBounds.chunkBytes : Int(request.chunkBytes)
    let owner = try await owner(name, call)
    let record = try await artifact(owner, path, call)
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
      guard try await call.roleInProject(owner.projectID) != nil else { throw owner.notFound }
      response.offset = offset
      try await responses.send(response)
      response = DownloadArtifactResponse()
      offset += Int64(count)
    } while offset < record.sizeBytes
  }

  /// Removes a file.
  public func deleteArtifact(
    _ request: DeleteArtifactRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteArtifactResponse {
    _ = try openShelf()
    let (name, path) = try place(request, request.path)
    let organizationID = call.principal.organizationID
    let owner = try await identify(name, call)
    return try await call.commit(
      holding: owner.hold(organizationID),
      locking: owner.place(path, parents: [], call)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw owner.notFound }
      try call.require(row.role, unseen: owner.notFound)
      guard let record = ArtifactRecord(row, owner, path) else {
        throw artifactNotFound(owner, path)
      }
      batch.add(
        ArtifactsQueries.deleteArtifact(
          organizationID: organizationID, ownerID: owner.id, path: path))
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
  private func place(
    _ request: some NamesArtifactOwner, _ path: String
  ) throws(CallError) -> (ArtifactOwnerName, String) {
    var validator = Validator()
    let name = ArtifactOwnerName(request, &validator)
    if let problem = ArtifactPath.problem(path) { validator.refuse("path", problem) }
    try validator.finish()
    return (name, path)
  }

  private func artifact(
    _ owner: ArtifactOwner, _ path: String, _ call: CallContext
  ) async throws(CallError) -> ArtifactRecord {
    let row = try await call.read(
      ArtifactsQueries.getArtifact(
        organizationID: call.principal.organizationID, ownerID: owner.id, path: path))
    guard let row else { throw artifactNotFound(owner, path) }
    return ArtifactRecord(row, owner, path)
  }
}

private func artifactNotFound(_ owner: ArtifactOwner, _ path: String) -> CallError {
  CallError(TrackingErrorReason.artifactNotFound, "The \(owner.title) has no file \(path).")
}

/// What a caller hears of an upload that is not there, or is not theirs.
func uploadNotFound(_ id: UUID) -> CallError {
  CallError(
    TrackingErrorReason.uploadNotFound,
    "There is no upload \(id) in your organization; it may have been given up: begin another.")
}
