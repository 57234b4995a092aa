internal import EventLoop
internal import Glibc
internal import Postgres
internal import Synchronization
internal import TLS

/// The file of an upload in the local store.
///
/// Its lock on the file says that nobody else feeds the upload; it ends with the value, and with
/// the process.
final class LocalArtifactDraft: ArtifactDraft {
  /// Bytes that are read at once for the digest of what was there.
  private static let pieceBytes = 4 << 20

  private struct State: ~Copyable {
    let file: Descriptor
    var digest = RunningDigest()
    var sizeBytes: Int64
  }

  private let store: LocalArtifactStore
  private let place: Place
  private let path: String
  private let state: Mutex<State>

  /// Opens the file; whatever is behind `durableBytes` may not be what was sent, and goes.
  init(
    _ store: LocalArtifactStore, _ place: Place, _ upload: UUID, keeping durableBytes: Int64
  ) throws(ArtifactStoreError) {
    self.store = store
    self.place = place
    path = place.draft(upload)
    let file = try openFile(path, O_RDWR | O_CREAT)
    guard flock(file.number, LOCK_EX | LOCK_NB) == 0 else {
      throw errno == EWOULDBLOCK ? .inUse : fileError("flock")
    }
    let found = lseek(file.number, 0, SEEK_END)
    guard found >= 0 else { throw fileError("lseek") }
    let kept = Int64(found) < durableBytes ? 0 : durableBytes
    guard ftruncate(file.number, Int(kept)) == 0, lseek(file.number, Int(kept), SEEK_SET) == kept
    else { throw fileError("ftruncate") }
    if kept == 0 { try syncFolder(place.uploads) }
    state = Mutex(State(file: file, sizeBytes: kept))
  }

  var sizeBytes: Int64 { state.withLock { $0.sizeBytes } }

  /// Takes what is in the file into the digest.
  func readAgain() async throws(ArtifactStoreError) {
    let end = sizeBytes
    var offset: Int64 = 0
    while offset < end {
      let start = offset
      let count = min(LocalArtifactDraft.pieceBytes, Int(end - start))
      offset += try await onDisk { (state) throws(ArtifactStoreError) in
        let bytes = try readBytes(state.file, at: start, count: count)
        guard !bytes.isEmpty else { throw .failed("the file of an upload became shorter") }
        state.digest.add(bytes)
        return Int64(bytes.count)
      }
    }
  }

  func append(_ pieces: [[UInt8]]) async throws(ArtifactStoreError) {
    try await onDisk { (state) throws(ArtifactStoreError) in
      for piece in pieces {
        try writeAll(piece, to: state.file)
        state.digest.add(piece)
        state.sizeBytes += Int64(piece.count)
      }
    }
  }

  func makeDurable() async throws(ArtifactStoreError) {
    try await onDisk { (state) throws(ArtifactStoreError) in
      guard fdatasync(state.file.number) == 0 else { throw fileError("fdatasync") }
    }
  }

  func digest() async throws(ArtifactStoreError) -> [UInt8] {
    try await onDisk { (state) throws(ArtifactStoreError) in state.digest.finish() }
  }

  func publish(_ digest: [UInt8]) async throws(ArtifactStoreError) {
    try await onDisk { [path, place] (_) throws(ArtifactStoreError) in
      let folder = place.blobs(digest[0])
      try makeFolder(place.blobs, in: place.organization)
      try makeFolder(folder, in: place.blobs)
      // One of the same name has the same bytes, so that it may be replaced at any time.
      guard unsafe rename(path, place.blob(digest)) == 0 else { throw fileError("rename") }
      try syncFolder(folder)
      try syncFolder(place.uploads)
    }
  }

  private func onDisk<Value: Sendable>(
    _ work: @escaping @Sendable (inout State) throws(ArtifactStoreError) -> Value
  ) async throws(ArtifactStoreError) -> Value {
    try await store.onDisk { [self] () throws(ArtifactStoreError) in
      try state.withLock { (state) throws(ArtifactStoreError) in try work(&state) }
    }
  }
}
