internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Brings a piece of the profile of a dataset that a run read.
  public func appendDatasetProfile(
    _ request: AppendDatasetProfileRequest, _ call: CallContext
  ) async throws(CallError) -> AppendDatasetProfileResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let (name, digest) = validator.dataset(request.name, request.digest)
    let (start, count) = (request.offset, Int64(request.text.utf8.count))
    if !(0...LinkBounds.longProfileBytes.upperBound).contains(start) {
      validator.refuse("offset", "must be 0 to \(LinkBounds.longProfileBytes.upperBound)")
    }
    validator.text("text", request.text, bytesMax: LinkBounds.pieceBytes.upperBound)
    if count == 0 { validator.refuse("text", "must not be empty") }
    try validator.finish()

    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: DatasetProfilesQueries.holdDatasetProfile(
        organizationID: organizationID, name: name, digest: digest),
      locking: DatasetProfilesQueries.getDatasetToProfile(
        userID: call.principal.id, organizationID: organizationID, name: name, digest: digest,
        runID: id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw runNotFound(id) }
      try call.require(row.role, unseen: runNotFound(id))
      guard let datasetID = row.datasetID else { throw datasetNotFound(id, name, digest) }
      guard let size = row.longProfileBytes, size == request.profileBytes else {
        throw CallError(
          TrackingErrorReason.profileNotExpected,
          "The project keeps the dataset \(name) with another profile, or without one; what was "
            + "said first stays.")
      }
      var response = AppendDatasetProfileResponse()
      response.profileBytes = size
      response.storedBytes = row.storedBytes
      if start + count > row.storedBytes {
        try DatasetProfile.check(start, count, stored: row.storedBytes, of: size)
        response.storedBytes = start + count
        batch.add(
          DatasetProfilesQueries.appendDatasetProfile(
            organizationID: organizationID, datasetID: datasetID, startByte: start,
            content: request.text))
      }
      return (
        response,
        Change(
          action: "run.append_dataset_profile", event: "run.dataset_profile_appended",
          resourceType: "run", resourceID: id, projectID: row.projectID,
          detailsJSON: DatasetProfile.audited(
            name, digest, before: row.storedBytes, after: response.storedBytes))
      )
    }
  }

  /// The profile of a dataset that a run read, in pieces.
  public func readDatasetProfile(
    _ request: ReadDatasetProfileRequest,
    _ responses: ResponseStream<ReadDatasetProfileResponse>, _ call: CallContext
  ) async throws(CallError) {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let (name, digest) = validator.dataset(request.name, request.digest)
    try validator.finish()
    let organizationID = call.principal.organizationID
    let projectID = try await run(id, includesDeleted: request.includeDeleted, call).projectID
    let found = try await call.read(
      DatasetProfilesQueries.getDatasetProfile(
        organizationID: organizationID, projectID: projectID, name: name, digest: digest, runID: id)
    )
    guard let found else { throw datasetNotFound(id, name, digest) }
    guard let size = found.longProfileBytes else {
      if !found.profileText.isEmpty {
        var response = ReadDatasetProfileResponse()
        response.text = found.profileText
        try await responses.send(response)
      }
      return
    }
    guard found.storedBytes == size else { return }
    var offset: Int64 = 0
    while offset < size {
      // Who may no longer look is not told the rest.
      guard try await call.roleInProject(projectID) != nil else { throw runNotFound(id) }
      let piece = try await call.read(
        DatasetProfilesQueries.getDatasetProfilePiece(
          organizationID: organizationID, datasetID: found.id, startByte: offset))
      // The project was removed for good meanwhile.
      guard let piece else { throw datasetNotFound(id, name, digest) }
      var response = ReadDatasetProfileResponse()
      response.offset = offset
      response.text = piece
      offset += Int64(piece.utf8.count)
      try await responses.send(response)
    }
  }
}

/// The rules for profiles that come in pieces.
enum DatasetProfile {
  /// Makes sure that a piece may follow what is stored.
  static func check(
    _ start: Int64, _ count: Int64, stored: Int64, of size: Int64
  ) throws(CallError) {
    guard start == stored else {
      throw CallError(
        TrackingErrorReason.profileOffsetWrong,
        "A piece came for offset \(start) where \(stored) was expected; continue there.",
        details: ["expected_offset": String(stored)])
    }
    var validator = Validator()
    let least = Int64(LinkBounds.pieceBytes.lowerBound)
    if count > size - start {
      validator.refuse("text", "must end within the profile, which has \(size) bytes")
    } else if count < least, start + count < size {
      validator.refuse("text", "must be at least \(least) bytes unless it is the last")
    }
    try validator.finish()
  }

  /// What the audit log keeps of it.
  static func audited(
    _ name: String, _ digest: String, before: Int64, after: Int64
  ) -> String {
    let place = JSONText.object([("name", name), ("digest", digest)])
    let change = JSONText.change([("stored_bytes", String(before), String(after))])
    return String(place.dropLast() + "," + change.dropFirst())
  }
}

private func datasetNotFound(_ id: UUID, _ name: String, _ digest: String) -> CallError {
  CallError(
    TrackingErrorReason.datasetNotFound, "The run \(id) read no dataset \(name) (\(digest)).")
}

extension Validator {
  /// Reads what names a dataset.
  fileprivate mutating func dataset(_ name: String, _ digest: String) -> (String, String) {
    self.name("name", name, bytes: LinkBounds.datasetNameBytes)
    self.name("digest", digest, bytes: LinkBounds.digestBytes)
    return (name, digest)
  }
}
