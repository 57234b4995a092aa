internal import Synchronization
internal import TLS

/// An object that is read, more at once the longer it is read in order; who reads it from its
/// beginning does not get its last bytes unless the whole has its digest.
final class S3ArtifactReader: ArtifactReader {
  /// The most bytes that one request asks for.
  private static let requestBytesMax = 8 << 20

  private struct State: ~Copyable {
    /// Where `bytes` begin.
    var start: Int64 = 0
    var bytes: [UInt8] = []
    /// Bytes that the next request asks for.
    var requestBytes = 1 << 20
    var digest = RunningDigest()
    /// The digest is of everything before this; negative = it is none any more.
    var digestEnd: Int64 = 0
  }

  private let client: S3Client
  private let key: String
  private let sizeBytes: Int64
  private let digest: [UInt8]
  private let state = Mutex(State())

  init(_ client: S3Client, _ key: String, sizeBytes: Int64, digest: [UInt8]) {
    self.client = client
    self.key = key
    self.sizeBytes = sizeBytes
    self.digest = digest
  }

  func read(at offset: Int64, count: Int) async throws(ArtifactStoreError) -> [UInt8] {
    let count = Int(min(Int64(count), max(0, sizeBytes - offset)))
    if let found = state.withLock({ held($0, offset, count) }) { return found }
    return try await client.onThread { [self] () throws(ArtifactStoreError) in
      try state.withLock { (state) throws(ArtifactStoreError) in
        try fetch(&state, offset, count)
        return held(state, offset, count) ?? []
      }
    }
  }

  /// What was fetched already.
  private func held(_ state: borrowing State, _ offset: Int64, _ count: Int) -> [UInt8]? {
    if count == 0 { return [] }
    guard offset >= state.start, offset - state.start <= Int64(state.bytes.count - count) else {
      return nil
    }
    let first = Int(offset - state.start)
    return Array(state.bytes[first..<(first + count)])
  }

  /// Asks for bytes from `offset` on, at least `count`.
  private func fetch(
    _ state: inout State, _ offset: Int64, _ count: Int
  ) throws(ArtifactStoreError) {
    let end = min(sizeBytes, offset + Int64(max(count, state.requestBytes)))
    var request = S3Request("GET", key)
    request.headers = [("range", "bytes=\(offset)-\(end - 1)")]
    request.room = max(Int(end - offset), S3Client.answerBytesMax)
    let answer = try client.send(request)
    let isWhole = answer.status == 200 && offset == 0 && end == sizeBytes
    guard answer.status == 206 || isWhole, Int64(answer.body.count) == end - offset else {
      throw .failed("S3: not the bytes that were asked for")
    }
    state.start = offset
    state.bytes = answer.body
    state.requestBytes = min(2 * state.requestBytes, S3ArtifactReader.requestBytesMax)
    guard state.digestEnd >= 0 else { return }
    // Of what is not read in order, nothing can be said.
    guard state.digestEnd == offset else { return state.digestEnd = -1 }
    state.digest.add(answer.body)
    state.digestEnd = end
    guard end == sizeBytes else { return }
    state.digestEnd = -1
    guard state.digest.finish() == digest else {
      state.bytes = []
      throw .failed("S3: the object \(key) is not what was stored")
    }
  }
}
