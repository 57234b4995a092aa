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
  /// Bytes behind which the disk is told to begin, so that it does not stand idle until a call
  /// waits for it.
  private static let writebackBytes: Int64 = 4 << 20

  private struct State {
    var sizeBytes: Int64
    /// Where that begins which the disk was not told of.
    var writebackStart: Int64
  }

  private let store: LocalArtifactStore
  private let place: Place
  private let path: String
  private let file: Descriptor
  private let state: Mutex<State>
  private let running = Mutex(RunningDigest())

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
    self.file = file
    state = Mutex(State(sizeBytes: kept, writebackStart: kept))
  }

  var sizeBytes: Int64 { state.withLock { $0.sizeBytes } }

  var growsMeanwhile: Bool { true }

  /// Takes what is in the file into the digest.
  func readAgain() async throws(ArtifactStoreError) {
    let end = sizeBytes
    var offset: Int64 = 0
    while offset < end {
      let start = offset
      let count = min(LocalArtifactDraft.pieceBytes, Int(end - start))
      offset += try await store.onDisk { [self] () throws(ArtifactStoreError) in
        let bytes = try readBytes(file, at: start, count: count)
        guard !bytes.isEmpty else { throw .failed("the file of an upload became shorter") }
        running.withLock { $0.add(bytes) }
        return Int64(bytes.count)
      }
    }
  }

  func append(_ pieces: [[UInt8]]) async throws(ArtifactStoreError) {
    // The digest takes about as long as the file system's copy, on another processor.
    async let digested = result { [self] () throws(ArtifactStoreError) in
      running.withLock { digest in
        for piece in pieces { digest.add(piece) }
      }
    }
    let written = await result { [self] () throws(ArtifactStoreError) in try write(pieces) }
    try await digested.get()
    try written.get()
  }

  private func write(_ pieces: [[UInt8]]) throws(ArtifactStoreError) {
    var count: Int64 = 0
    for piece in pieces {
      try writeAll(piece, to: file)
      count += Int64(piece.count)
    }
    let range = state.withLock { state -> (start: Int64, end: Int64)? in
      state.sizeBytes += count
      let (start, end) = (state.writebackStart, state.sizeBytes)
      guard end - start >= LocalArtifactDraft.writebackBytes else { return nil }
      state.writebackStart = end
      return (start, end)
    }
    guard let range else { return }
    // Linux takes this as the word to write what is dirty, and keeps what is not yet written. A
    // hint: where it fails, the sync has more to do, and says so.
    _ = posix_fadvise(
      file.number, Int(range.start), Int(range.end - range.start), POSIX_FADV_DONTNEED)
  }

  func makeDurable() async throws(ArtifactStoreError) {
    try await store.onDisk { [self] () throws(ArtifactStoreError) in
      guard fdatasync(file.number) == 0 else { throw fileError("fdatasync") }
    }
  }

  func digest() async throws(ArtifactStoreError) -> [UInt8] {
    try await store.onDisk { [self] () throws(ArtifactStoreError) in
      running.withLock { $0.finish() }
    }
  }

  func publish(_ digest: [UInt8]) async throws(ArtifactStoreError) {
    try await store.onDisk { [path, place] () throws(ArtifactStoreError) in
      let folder = place.blobs(digest[0])
      try makeFolder(place.blobs, in: place.organization)
      try makeFolder(folder, in: place.blobs)
      // One of the same name has the same bytes, so that it may be replaced at any time.
      guard unsafe rename(path, place.blob(digest)) == 0 else { throw fileError("rename") }
      try syncFolder(folder)
      try syncFolder(place.uploads)
    }
  }

  /// What came of work on the disk's threads.
  private func result(
    _ work: @escaping @Sendable () throws(ArtifactStoreError) -> Void
  ) async -> Result<Void, ArtifactStoreError> {
    do throws(ArtifactStoreError) {
      return .success(try await store.onDisk(work))
    } catch {
      return .failure(error)
    }
  }
}
