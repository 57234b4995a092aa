internal import Artifacts
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Lists what is in a folder, by path.
  public func listArtifacts(
    _ request: ListArtifactsRequest, _ call: CallContext
  ) async throws(CallError) -> ListArtifactsResponse {
    _ = try openShelf()
    var validator = Validator()
    let name = ArtifactOwnerName(request, &validator)
    if !request.path.isEmpty, let problem = ArtifactPath.problem(request.path) {
      validator.refuse("path", problem)
    }
    let size = validator.pageSize(
      request.pageSize, standard: ArtifactBounds.pageSize, max: ArtifactBounds.pageSizeMax)
    try validator.finish()
    let owner = try await owner(name, call)
    let purpose = "artifacts \(owner.id) \(request.recursive) \(request.path)"
    var after = ""
    if !request.pageToken.isEmpty {
      guard let path = Token.readText(request.pageToken, for: purpose) else {
        throw pageTokenInvalid()
      }
      after = path
    }
    let entries =
      request.recursive
      ? try await filesBelow(request.path, of: owner.id, after: after, size, call)
      : try await folder(request.path, of: owner.id, after: after, size, call)
    var response = ListArtifactsResponse()
    response.entries = Array(entries.prefix(size))
    if entries.count > size, let last = response.entries.last {
      response.nextPageToken = Token.make(Array(last.path.utf8), for: purpose)
    }
    return response
  }

  /// The files and folders in a folder; one more than the caller gets.
  private func folder(
    _ path: String, of ownerID: UUID, after: String, _ size: Int, _ call: CallContext
  ) async throws(CallError) -> [ArtifactEntry] {
    let (first, end) = ArtifactPath.bounds(ofFolder: path)
    return try await call.read(
      ArtifactsQueries.listArtifactFolder(
        prefix: first, organizationID: call.principal.organizationID, ownerID: ownerID,
        prefixEnd: end, afterName: String(after.dropFirst(first.count)),
        pageSize: Int64(size) + 1)
    ).map { row in
      var entry = ArtifactEntry()
      entry.path = first + row.name
      entry.isFolder = row.isFolder
      entry.sizeBytes = row.sizeBytes
      entry.fileCount = row.fileCount
      entry.sha256 = row.isFolder ? "" : Hexadecimal.text(row.sha256)
      return entry
    }
  }

  /// The files below a folder; one more than the caller gets.
  private func filesBelow(
    _ path: String, of ownerID: UUID, after: String, _ size: Int, _ call: CallContext
  ) async throws(CallError) -> [ArtifactEntry] {
    let (first, end) = ArtifactPath.bounds(ofFolder: path)
    return try await call.read(
      ArtifactsQueries.listArtifactsBelow(
        organizationID: call.principal.organizationID, ownerID: ownerID, prefix: first,
        prefixEnd: end, afterPath: after, pageSize: Int64(size) + 1)
    ).map { row in
      var entry = ArtifactEntry()
      entry.path = row.path
      entry.sizeBytes = row.sizeBytes
      entry.fileCount = 1
      entry.sha256 = Hexadecimal.text(row.sha256)
      return entry
    }
  }
}
