internal import Artifacts
internal import EventLoop
internal import Messages
internal import Postgres
internal import RPC

/// What the first message of an upload says.
struct UploadTarget {
  let owner: ArtifactOwnerName
  let uploadID: UUID?
  var path: String
  var sizeBytes: Int64?
  var digest: [UInt8]?

  init(_ request: UploadArtifactRequest, _ settings: ArtifactSettings) throws(CallError) {
    var validator = Validator()
    owner = ArtifactOwnerName(request, &validator)
    uploadID = validator.optionalID("upload_id", request.uploadID)
    path = request.path
    if uploadID == nil || !path.isEmpty, let problem = ArtifactPath.problem(path) {
      validator.refuse("path", problem)
    }
    sizeBytes = request.sizeBytes
    if let sizeBytes, sizeBytes < 0 { validator.refuse("size_bytes", "must not be negative") }
    if !request.sha256.isEmpty {
      digest = Hexadecimal.bytes(request.sha256)
      if digest?.count != 32 { validator.refuse("sha256", "must be 64 hexadecimal digits") }
    }
    try validator.finish()
    if let sizeBytes, sizeBytes > settings.bytesMax { throw tooLarge(settings.bytesMax) }
  }
}

/// What a caller hears of a file that is too large.
func tooLarge(_ bytesMax: Int64) -> CallError {
  CallError(
    TrackingErrorReason.artifactTooLarge, "The file may have at most \(bytesMax) bytes.")
}
