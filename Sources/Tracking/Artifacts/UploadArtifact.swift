internal import Artifacts
internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Uploads a file; it becomes visible whole, at the end of the requests.
  public func uploadArtifact(
    _ requests: RequestStream<UploadArtifactRequest>,
    _ responses: ResponseStream<UploadArtifactResponse>, _ call: CallContext
  ) async throws(CallError) {
    let opening = try await requests.take()
    let shelf = try openShelf()
    let target = try UploadTarget(opening?.request ?? UploadArtifactRequest(), shelf.settings)
    let owner = try await owner(target.owner, call)
    try await shelf.ownership.wait(call)
    guard var upload = try await open(target, owner, shelf, call) else {
      return try await responses.send(try await finished(target, owner, call))
    }
    try await responses.send(upload.progress)
    do throws(CallError) {
      try await receive(&upload, opening, requests, responses)
    } catch {
      // Who comes again finds nobody at work on it.
      await upload.flush.settle()
      throw error
    }
    try await responses.send(try await upload.finish(waking: requests))
  }

  /// Takes the pieces of an upload to the last.
  private func receive(
    _ upload: inout UploadUnderWay, _ opening: (request: UploadArtifactRequest, sizeBytes: Int)?,
    _ requests: RequestStream<UploadArtifactRequest>,
    _ responses: ResponseStream<UploadArtifactResponse>
  ) async throws(CallError) {
    var consumed = opening?.sizeBytes ?? 0
    var pieces: [[UInt8]] = []
    if let opening { try upload.take(opening.request, &pieces) }
    while true {
      while requests.isWaiting, upload.takenBytes < ArtifactBounds.bytesPerWrite,
        let more = try await requests.take()
      {
        consumed += more.sizeBytes
        try upload.take(more.request, &pieces)
      }
      // The next pieces come while these are written, and no more than these wait with them.
      if consumed > 0 { requests.consumed(consumed) }
      try await upload.write(pieces, waking: requests)
      (consumed, pieces) = (0, [])
      if upload.hasNews { try await responses.send(try upload.news()) }
      if requests.isOver { return }
      let flush = upload.flush
      try await requests.arrival { flush.outcome != nil }
    }
  }

  /// Begins an upload or goes on with one; nil where it is finished.
  private func open(
    _ target: UploadTarget, _ owner: ArtifactOwner, _ shelf: ArtifactShelf, _ call: CallContext
  ) async throws(CallError) -> UploadUnderWay? {
    let organizationID = call.principal.organizationID
    var target = target
    var durableBytes: Int64 = 0
    let id: UUID
    if let known = target.uploadID {
      id = known
      let row = try await call.commit(
        ArtifactUploadsQueries.resumeUpload(
          organizationID: organizationID, id: id, ownerID: owner.id, ownerKind: owner.kind.rawValue,
          userID: call.principal.id, sufficientRoles: call.sufficientRoles,
          refusal: owner.kind.refusal))
      guard let row else { return nil }
      var validator = Validator()
      if !target.path.isEmpty, target.path != row.path {
        validator.refuse("path", "must be the upload's own, or empty")
      }
      try validator.finish()
      target.path = row.path
      target.sizeBytes = row.sizeBytes
      target.digest = row.sha256
      durableBytes = row.durableBytes
    } else {
      id = call.nextID()
      _ = try await call.commit(
        ArtifactUploadsQueries.createUpload(
          organizationID: organizationID, id: id, ownerKind: owner.kind.rawValue,
          path: target.path,
          sizeBytes: target.sizeBytes, sha256: target.digest, ownerID: owner.id,
          userID: call.principal.id, sufficientRoles: call.sufficientRoles,
          refusal: owner.kind.refusal))
    }
    let room = try await room(for: target, shelf, call)
    let start = durableBytes
    let draft = try await stored { () throws(ArtifactStoreError) in
      try await shelf.store.draft(id, of: organizationID, durableBytes: start)
    }
    return UploadUnderWay(
      id: id, owner: owner, target: target, shelf: shelf, draft: draft, roomBytes: room,
      call: call)
  }

  /// The most bytes that the file may have.
  private func room(
    for target: UploadTarget, _ shelf: ArtifactShelf, _ call: CallContext
  ) async throws(CallError) -> Int64 {
    guard shelf.settings.quotaBytes > 0 else { return .max }
    let usage = try await call.read(
      ArtifactUploadsQueries.getArtifactUsage(
        sha256: target.digest ?? [], organizationID: call.principal.organizationID))
    // What is stored takes no more room; whether it is the same shows at the end.
    if usage.isStored { return .max }
    let room = max(0, shelf.settings.quotaBytes - usage.usedBytes)
    if let size = target.sizeBytes, size > room { throw quotaExceeded() }
    return room
  }

  /// The answer about an upload that is not under way: finished, or not there.
  private func finished(
    _ target: UploadTarget, _ owner: ArtifactOwner, _ call: CallContext
  ) async throws(CallError) -> UploadArtifactResponse {
    let id = target.uploadID ?? .zero
    let row = try await call.read(
      ArtifactsQueries.getUploadedArtifact(
        organizationID: call.principal.organizationID, uploadID: id))
    guard let row, let record = ArtifactRecord(row), record.owner.id == owner.id else {
      throw uploadNotFound(id)
    }
    var response = UploadArtifactResponse()
    response.uploadID = id.description
    response.durableBytes = row.sizeBytes
    response.artifact = Artifact(record)
    return response
  }
}

/// The server's side of an upload's stream.
private struct UploadUnderWay {
  let id: UUID
  let owner: ArtifactOwner
  let target: UploadTarget
  let shelf: ArtifactShelf
  let draft: any ArtifactDraft
  /// The most bytes that the organization has room for.
  let roomBytes: Int64
  let call: CallContext
  let flush = Flush()
  private var durableBytes: Int64
  /// Where that begins which no flush is about.
  private var flushEnd: Int64
  /// Whether `durableBytes` is more than was told.
  private var isUntold = false
  /// Where the next piece begins.
  private var end: Int64
  /// Bytes of the pieces that were taken and not written.
  private(set) var takenBytes = 0

  init(
    id: UUID, owner: ArtifactOwner, target: UploadTarget, shelf: ArtifactShelf,
    draft: any ArtifactDraft,
    roomBytes: Int64, call: CallContext
  ) {
    self.id = id
    self.owner = owner
    self.target = target
    self.shelf = shelf
    self.draft = draft
    self.roomBytes = roomBytes
    self.call = call
    durableBytes = draft.sizeBytes
    flushEnd = durableBytes
    end = durableBytes
  }

  private var organizationID: UUID { call.principal.organizationID }

  var progress: UploadArtifactResponse {
    var response = UploadArtifactResponse()
    response.uploadID = id.description
    response.durableBytes = durableBytes
    return response
  }

  /// Takes a piece, unless it is out of bounds or out of order.
  mutating func take(
    _ request: UploadArtifactRequest, _ pieces: inout [[UInt8]]
  ) throws(CallError) {
    guard !request.data.isEmpty else { return }
    let (count, most) = (request.data.count, shelf.settings.chunkBytes)
    var validator = Validator()
    if count > most { validator.refuse("data", "must be at most \(most) bytes, is \(count)") }
    try validator.finish()
    guard request.offset == end else {
      throw CallError(
        TrackingErrorReason.uploadOffsetWrong,
        "A piece came for offset \(request.offset) where \(end) was expected; continue there.",
        details: ["expected_offset": String(end)])
    }
    let bytesMax = min(target.sizeBytes ?? .max, shelf.settings.bytesMax)
    guard Int64(count) <= bytesMax - end else { throw tooLarge(bytesMax) }
    guard Int64(count) <= roomBytes - end else { throw quotaExceeded() }
    end += Int64(count)
    takenBytes += count
    pieces.append(request.data)
  }

  /// Writes pieces, and makes durable what came since the last time, where that is enough.
  mutating func write(
    _ pieces: [[UInt8]], waking requests: RequestStream<UploadArtifactRequest>
  ) async throws(CallError) {
    takenBytes = 0
    guard !pieces.isEmpty else { return }
    try await stored { () throws(ArtifactStoreError) in try await draft.append(pieces) }
    guard end - flushEnd >= ArtifactBounds.bytesPerAcknowledgement else { return }
    // One at a time: a disk that is slower than the network holds the caller back here.
    await flush.settle()
    try hear()
    beginFlush(waking: requests)
    if !draft.growsMeanwhile { await flush.settle() }
  }

  /// Whether there is something to acknowledge.
  var hasNews: Bool { isUntold || flush.outcome != nil }

  /// How far the upload is by now.
  mutating func news() throws(CallError) -> UploadArtifactResponse {
    try hear()
    isUntold = false
    return progress
  }

  /// Takes over what has become of the flush.
  private mutating func hear() throws(CallError) {
    guard let outcome = flush.outcome else { return }
    flush.outcome = nil
    try outcome.get()
    durableBytes = flushEnd
    isUntold = true
  }

  /// Makes what was written durable while more comes.
  private mutating func beginFlush(waking requests: RequestStream<UploadArtifactRequest>) {
    flushEnd = end
    let query = ArtifactUploadsQueries.advanceUpload(
      durableBytes: end, organizationID: organizationID, id: id)
    flush.begin(call.loop) { [draft, call, id] () throws(CallError) in
      try await stored { () throws(ArtifactStoreError) in try await draft.makeDurable() }
      guard try await call.commit(query) != nil else { throw uploadNotFound(id) }
    } finally: {
      requests.wake()
    }
  }

  private mutating func makeDurable(
    waking requests: RequestStream<UploadArtifactRequest>
  ) async throws(CallError) {
    await flush.settle()
    try hear()
    beginFlush(waking: requests)
    await flush.settle()
    try hear()
  }

  /// Makes the whole file visible.
  mutating func finish(
    waking requests: RequestStream<UploadArtifactRequest>
  ) async throws(CallError) -> UploadArtifactResponse {
    if let size = target.sizeBytes, size != end {
      try await makeDurable(waking: requests)
      throw CallError(
        TrackingErrorReason.uploadIncomplete,
        "\(end) of \(size) bytes came; resume the upload \(id) from there.",
        details: ["upload_id": id.description, "durable_bytes": String(end)])
    }
    try await makeDurable(waking: requests)
    let digest = try await stored { () throws(ArtifactStoreError) in try await draft.digest() }
    if let wanted = target.digest, wanted != digest {
      try await forget()
      throw CallError(
        TrackingErrorReason.artifactChecksumMismatch,
        "What came has the SHA-256 \(Hexadecimal.text(digest)); upload the file again.")
    }
    try await claim(digest)
    try await stored { () throws(ArtifactStoreError) in try await draft.publish(digest) }
    var response = progress
    response.artifact = Artifact(try await commit(digest))
    return response
  }

  /// Forgets an upload whose bytes are wrong.
  private func forget() async throws(CallError) {
    _ = try await call.commit(
      ArtifactUploadsQueries.deleteUpload(organizationID: organizationID, id: id))
    try await stored { () throws(ArtifactStoreError) in
      try await shelf.store.removeDraft(id, of: organizationID)
    }
  }

  /// Makes the row of the bytes, which keeps housekeeping away from them.
  private func claim(_ digest: [UInt8]) async throws(CallError) {
    var batch = Batch()
    if shelf.settings.quotaBytes > 0 {
      batch.add(ArtifactUploadsQueries.lockArtifactQuota(organizationID: organizationID))
    }
    batch.add(
      ArtifactUploadsQueries.claimBlob(
        organizationID: organizationID, sha256: digest, quotaBytes: shelf.settings.quotaBytes,
        sizeBytes: end))
    do throws(PostgresError) {
      try await call.database.commit(call.work, batch)
    } catch {
      throw call.callError(error)
    }
  }

  /// Puts the file in its place, in one transaction with what a change leaves.
  private func commit(_ digest: [UInt8]) async throws(CallError) -> ArtifactRecord {
    let (owner, path) = (owner, target.path)
    let record = ArtifactRecord(
      id: id, owner: owner, path: path, sizeBytes: end, digest: digest,
      createdBy: call.principal.id, createdAt: WallClock.microseconds())
    let _: UploadArtifactResponse = try await call.commit(
      holding: owner.hold(organizationID),
      locking: owner.place(path, parents: ArtifactPath.folders(of: path), call)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw owner.notFound }
      try call.require(row.role, unseen: owner.notFound)
      guard !row.isTaken else { throw pathTaken(path) }
      batch.add(
        ArtifactsQueries.putArtifact(
          organizationID: organizationID, runID: owner.id(.run),
          loggedModelID: owner.id(.loggedModel), traceID: owner.id(.trace), path: path,
          id: record.id, sha256: digest, sizeBytes: record.sizeBytes, createdBy: record.createdBy,
          createdAt: record.createdAt))
      batch.add(ArtifactUploadsQueries.deleteUpload(organizationID: organizationID, id: id))
      return (
        progress,
        Change(
          "upload", "uploaded", path, from: ArtifactRecord(row, owner, path), to: record,
          id: record.id, projectID: row.projectID)
      )
    }
    return record
  }
}

private func quotaExceeded() -> CallError {
  CallError(
    TrackingErrorReason.artifactQuotaExceeded,
    "Your organization has no room for the file: delete others, or ask for a larger quota.")
}

private func pathTaken(_ path: String) -> CallError {
  CallError(
    TrackingErrorReason.artifactPathTaken,
    "\(path) is a folder, or one of its folders is a file: choose another path.")
}

extension CallContext {
  /// Commits one statement that leaves no entry in the audit log.
  fileprivate func commit<Output>(_ query: Query<Output>) async throws(CallError) -> Output {
    do throws(PostgresError) {
      return try await database.commit(work, query)
    } catch {
      throw callError(error)
    }
  }
}
