internal import Artifacts
internal import EventLoop
internal import Messages
internal import Postgres
internal import RPC

/// A file as it is stored.
struct ArtifactRecord {
  var id: UUID
  var owner: ArtifactOwner
  var path: String
  var sizeBytes: Int64
  var digest: [UInt8]
  var createdBy: UUID
  var createdAt: Int64
}

extension ArtifactRecord {
  init(_ row: ArtifactsQueries.GetArtifactRow, _ owner: ArtifactOwner, _ path: String) {
    self.init(
      id: row.id, owner: owner, path: path, sizeBytes: row.sizeBytes, digest: row.sha256,
      createdBy: row.createdBy, createdAt: row.createdAt)
  }

  /// What an upload brought; nil where its owner is gone.
  init?(_ row: ArtifactsQueries.GetUploadedArtifactRow) {
    guard
      let owner = ArtifactOwner(row.runID, row.loggedModelID, row.traceID, row.publicTraceID)
    else { return nil }
    self.init(
      id: row.id, owner: owner, path: row.path, sizeBytes: row.sizeBytes, digest: row.sha256,
      createdBy: row.createdBy, createdAt: row.createdAt)
  }

  /// What was at a place; nil where nothing was.
  init?(_ row: ArtifactsQueries.GetArtifactPlaceRow, _ owner: ArtifactOwner, _ path: String) {
    guard let id = row.id, let digest = row.sha256, let sizeBytes = row.sizeBytes,
      let createdBy = row.createdBy, let createdAt = row.createdAt
    else { return nil }
    self.init(
      id: id, owner: owner, path: path, sizeBytes: sizeBytes, digest: digest,
      createdBy: createdBy, createdAt: createdAt)
  }
}

extension Artifact {
  /// A file as callers see it.
  init(_ record: ArtifactRecord) {
    self.init()
    id = record.id.description
    (runID, loggedModelID, traceID) = record.owner.fields
    path = record.path
    sizeBytes = record.sizeBytes
    sha256 = Hexadecimal.text(record.digest)
    createdBy = record.createdBy.description
    createdAt = Timestamp(microseconds: record.createdAt)
  }
}

extension Change {
  /// A change of a file.
  init(
    _ verb: String, _ event: String, _ path: String, from before: ArtifactRecord?,
    to after: ArtifactRecord?, id: UUID, projectID: UUID
  ) {
    // Where the file is, is told even where only its bytes have changed.
    let place = JSONText.object([
      (after ?? before)?.owner.named ?? ("run_id", ""), ("path", path),
    ])
    let change = JSONText.change([
      ("id", before?.id.description, after?.id.description),
      ("size_bytes", before.map { String($0.sizeBytes) }, after.map { String($0.sizeBytes) }),
      (
        "sha256", before.map { Hexadecimal.text($0.digest) },
        after.map { Hexadecimal.text($0.digest) }
      ),
    ])
    self.init(
      action: "artifact.\(verb)", event: "artifact.\(event)", resourceType: "artifact",
      resourceID: id, projectID: projectID,
      detailsJSON: String(place.dropLast() + "," + change.dropFirst()))
  }
}
