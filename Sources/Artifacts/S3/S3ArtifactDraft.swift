internal import Postgres
internal import Synchronization
internal import TLS

/// The segments of an upload, and in memory what is not yet a segment of its own.
///
/// Streams of other servers may feed the same upload: every segment has a key that nobody else
/// uses, so that what is put together is what has the digest.
final class S3ArtifactDraft: ArtifactDraft {
  /// An object with a part of the upload.
  private struct Segment: Sendable {
    let key: String
    let offset: Int64
    let sizeBytes: Int64
  }

  private struct State: ~Copyable {
    /// One behind the other, and never changed again.
    var segments: [Segment] = []
    /// Bytes in `segments`.
    var segmentBytes: Int64 = 0
    /// The beginning of `bytes`, kept until there is more of it.
    var tail: Segment?
    /// What came behind `segments`.
    var bytes: [UInt8] = []
    var digest = RunningDigest()
  }

  private let store: S3ArtifactStore
  private let upload: UUID
  private let place: S3Place
  private let state = Mutex(State())

  init(_ store: S3ArtifactStore, _ upload: UUID, _ place: S3Place) {
    self.store = store
    self.upload = upload
    self.place = place
  }

  deinit { store.end(upload) }

  var sizeBytes: Int64 { state.withLock { $0.segmentBytes + Int64($0.bytes.count) } }

  /// What is made durable is what the next segment begins with.
  var growsMeanwhile: Bool { false }

  private var client: S3Client { store.client }

  // MARK: Going on

  /// Takes what earlier streams left, up to `durableBytes`; nothing where that is not all there.
  func goOn(behind durableBytes: Int64) async throws(ArtifactStoreError) {
    let chain = S3ArtifactDraft.chain(try await client.objects(place.draft(upload)), place, upload)
    guard let last = chain.last, last.offset + last.sizeBytes >= durableBytes else { return }
    for segment in chain where segment.offset < durableBytes {
      let end = segment.offset + segment.sizeBytes
      let bytes = try await client.onThread { [client] () throws(ArtifactStoreError) in
        var request = S3Request("GET", segment.key)
        request.room = max(Int(clamping: segment.sizeBytes), S3Client.answerBytesMax)
        let bytes = try client.send(request).body
        guard bytes.count == segment.sizeBytes else {
          throw .failed("S3: a segment of an upload became shorter")
        }
        return bytes
      }
      // Only the last part of an object may be smaller than S3 asks for.
      guard end <= durableBytes, segment.sizeBytes >= Int64(S3Settings.segmentBytesMin) else {
        return state.withLock { state in
          state.bytes = Array(bytes.prefix(Int(durableBytes - segment.offset)))
          state.tail = end == durableBytes ? segment : nil
        }
      }
      try await client.onThread { [self] () throws(ArtifactStoreError) in
        state.withLock { state in
          state.digest.add(bytes)
          state.segments.append(segment)
          state.segmentBytes = end
        }
      }
    }
  }

  /// The segments that follow one another from the beginning on: of several for one place, made
  /// while the upload grew, the largest.
  private static func chain(
    _ objects: [S3Object], _ place: S3Place, _ upload: UUID
  ) -> [Segment] {
    let prefix = place.draft(upload)
    var largest: [Int64: Segment] = [:]
    for object in objects {
      let name = object.key.dropFirst(prefix.count)
      guard let offset = Int64(name.prefix { $0 != "-" }, radix: 16),
        object.sizeBytes > (largest[offset]?.sizeBytes ?? 0)
      else { continue }
      largest[offset] = Segment(key: object.key, offset: offset, sizeBytes: object.sizeBytes)
    }
    var chain: [Segment] = []
    var end: Int64 = 0
    while let next = largest[end] {
      chain.append(next)
      end += next.sizeBytes
      // Whatever is behind a small one was made before it grew.
      if next.sizeBytes < Int64(S3Settings.segmentBytesMin) { break }
    }
    return chain
  }

  // MARK: Growing

  func append(_ pieces: [[UInt8]]) async throws(ArtifactStoreError) {
    for piece in pieces {
      var rest = piece[...]
      while !rest.isEmpty {
        let isFull = state.withLock { state in
          if state.bytes.isEmpty { state.bytes.reserveCapacity(client.settings.segmentBytes) }
          let room = max(0, client.settings.segmentBytes - state.bytes.count)
          state.bytes += rest.prefix(room)
          rest = rest.dropFirst(room)
          return state.bytes.count >= client.settings.segmentBytes
        }
        if isFull { try await closeSegment() }
      }
    }
  }

  /// Makes what is in memory a segment that stays as it is.
  private func closeSegment() async throws(ArtifactStoreError) {
    let bytes = state.withLock { $0.bytes }
    let tail = state.withLock { $0.tail }
    let segment = try await put(bytes, instead: tail)
    try await client.onThread { [self] () throws(ArtifactStoreError) in
      state.withLock { state in
        state.digest.add(bytes)
        state.segments.append(segment)
        state.segmentBytes += segment.sizeBytes
        state.tail = nil
        state.bytes = []
      }
    }
  }

  /// Puts bytes behind the segments, unless they are there already.
  private func put(
    _ bytes: [UInt8], instead tail: Segment?
  ) async throws(ArtifactStoreError) -> Segment {
    if let tail, tail.sizeBytes == bytes.count { return tail }
    let offset = state.withLock { $0.segmentBytes }
    let number = Hexadecimal.text(randomBytes(count: 8))
    let digits = String(offset, radix: 16)
    let padding = String(repeating: "0", count: 16 - digits.utf8.count)
    var request = S3Request("PUT", "\(place.draft(upload))\(padding)\(digits)-\(number)")
    request.body = bytes
    _ = try await client.ask(request)
    return Segment(key: request.key, offset: offset, sizeBytes: Int64(bytes.count))
  }

  func makeDurable() async throws(ArtifactStoreError) {
    let (bytes, tail) = state.withLock { ($0.bytes, $0.tail) }
    guard !bytes.isEmpty else { return }
    let segment = try await put(bytes, instead: tail)
    state.withLock { $0.tail = segment }
  }

  // MARK: The end

  func digest() async throws(ArtifactStoreError) -> [UInt8] {
    try await client.onThread { [self] () throws(ArtifactStoreError) in
      state.withLock { state in
        state.digest.add(state.bytes)
        return state.digest.finish()
      }
    }
  }

  func publish(_ digest: [UInt8]) async throws(ArtifactStoreError) {
    let key = place.blob(digest)
    let size = sizeBytes
    // One of the same name has the same bytes; its row is claimed, so that it stays.
    if try await store.size(key) != size {
      do throws(ArtifactStoreError) {
        try await makeObject(key)
      } catch {
        // The answer may have got lost behind the work.
        guard try await store.size(key) == size else { throw error }
      }
      guard try await store.size(key) == size else {
        throw .failed("S3: the object \(key) is not as large as its segments")
      }
    }
    // Nobody waits for what may as well be removed by housekeeping.
    try? await store.removeDraft(upload, of: place)
  }

  private func makeObject(_ key: String) async throws(ArtifactStoreError) {
    let (sources, bytes) = state.withLock { state in
      ((state.segments + [state.tail].compactMap { $0 }).map(\.key), state.bytes)
    }
    guard sources.count <= S3Settings.partsMax else {
      throw .failed("S3 takes at most \(S3Settings.partsMax) parts: enlarge the segments")
    }
    if sources.count > 1 || bytes.isEmpty && !sources.isEmpty {
      return try await client.compose(key, of: sources)
    }
    // What is still in memory need not be copied: S3 compares it with its digest once more.
    var request = S3Request("PUT", key)
    request.body = bytes
    _ = try await client.ask(request)
  }
}
