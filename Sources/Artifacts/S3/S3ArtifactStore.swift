internal import EventLoop
public import Postgres
internal import Synchronization

/// Artifacts in a bucket of S3, or of what speaks its protocol.
///
///     <prefix><organization>/blobs/<SHA-256>
///     <prefix><organization>/uploads/<upload>/<offset>-<number>
///     <prefix>installation
///
/// An upload's bytes are segments, each an object of its own that never changes: S3 neither appends
/// nor lets the parts of a multipart upload be read again, which the digest of an upload that goes
/// on elsewhere needs. The end puts them together inside of S3, in one step for who reads.
public final class S3ArtifactStore: ArtifactStore {
  let client: S3Client
  /// The uploads that streams of this process feed.
  private let underWay = Mutex<Set<UUID>>([])

  /// Keeps artifacts in a bucket; nothing is sent before the first of them.
  ///
  /// - Parameters:
  ///   - settings: Where the bucket is.
  ///   - tell: Told when S3 cannot be reached or refuses, and when it can be reached again.
  /// - Throws: ``ArtifactStoreError`` where the settings or the keys cannot be used.
  public init(
    _ settings: S3Settings, tell: @escaping @Sendable (String) -> Void
  ) throws(ArtifactStoreError) {
    client = try S3Client(settings, tell: tell)
  }

  /// The largest file, in bytes.
  public var fileBytesMax: Int64 { client.settings.fileBytesMax }

  // MARK: Uploads and reading

  /// Begins an upload, or goes on with it; see ``ArtifactStore``.
  public func draft(
    _ upload: UUID, of organization: UUID, durableBytes: Int64
  ) async throws(ArtifactStoreError) -> any ArtifactDraft {
    guard underWay.withLock({ $0.insert(upload).inserted }) else { throw .inUse }
    let draft = S3ArtifactDraft(self, upload, S3Place(client.settings.prefix, organization))
    if durableBytes > 0 { try await draft.goOn(behind: durableBytes) }
    return draft
  }

  /// Lets another stream feed an upload.
  func end(_ upload: UUID) {
    _ = underWay.withLock { $0.remove(upload) }
  }

  /// Opens what has the digest.
  public func open(
    _ digest: [UInt8], of organization: UUID
  ) async throws(ArtifactStoreError) -> any ArtifactReader {
    let key = S3Place(client.settings.prefix, organization).blob(digest)
    guard let size = try await size(key) else { throw .missing }
    return S3ArtifactReader(client, key, sizeBytes: size, digest: digest)
  }

  /// How large an object is; nil where it is not there.
  func size(_ key: String) async throws(ArtifactStoreError) -> Int64? {
    let answer = try await client.ask(S3Request("HEAD", key), or: [404])
    return answer.isSuccess ? answer.contentLength : nil
  }

  /// Removes what has the digest.
  public func remove(_ digest: [UInt8], of organization: UUID) async throws(ArtifactStoreError) {
    try await client.delete([S3Place(client.settings.prefix, organization).blob(digest)])
  }

  /// Removes the segments of an upload.
  public func removeDraft(
    _ upload: UUID, of organization: UUID
  ) async throws(ArtifactStoreError) {
    try await removeDraft(upload, of: S3Place(client.settings.prefix, organization))
  }

  func removeDraft(_ upload: UUID, of place: S3Place) async throws(ArtifactStoreError) {
    try await client.delete(try await client.objects(place.draft(upload)).map(\.key))
  }

  // MARK: Housekeeping

  /// The organizations that have anything in the bucket.
  public func organizations() async throws(ArtifactStoreError) -> [UUID] {
    var found: [UUID] = []
    var token: String?
    repeat {
      let page = try await client.page(client.settings.prefix, delimiter: "/", token: token)
      found += page.prefixes.compactMap {
        UUID($0.dropFirst(client.settings.prefix.count).dropLast())
      }
      token = page.token
    } while token != nil
    return found
  }

  /// Removes all that an organization has in the bucket.
  public func removeAll(of organization: UUID) async throws(ArtifactStoreError) {
    let place = S3Place(client.settings.prefix, organization)
    try await abortMultipartUploads(place, before: .max)
    while true {
      let page = try await client.page(place.organization)
      if page.objects.isEmpty { return }
      try await client.delete(page.objects.map(\.key))
    }
  }

  /// The uploads none of whose segments is younger than `age`.
  public func drafts(
    of organization: UUID, untouchedFor age: Duration
  ) async throws(ArtifactStoreError) -> [UUID] {
    let place = S3Place(client.settings.prefix, organization)
    try await abortMultipartUploads(place, before: S3ArtifactStore.now(minus: age))
    var changes: [UUID: Int64] = [:]
    for object in try await client.objects(place.uploads) {
      let name = object.key.dropFirst(place.uploads.count).prefix { $0 != "/" }
      guard let upload = UUID(name) else { continue }
      changes[upload] = max(changes[upload] ?? .min, object.changedAt)
    }
    let before = S3ArtifactStore.now(minus: age)
    return changes.filter { $0.value <= before }.map(\.key)
  }

  /// Digests that have been there for `age`, a page of the bucket's listing at a time.
  public func digests(
    of organization: UUID, after cursor: String?, untouchedFor age: Duration
  ) async throws(ArtifactStoreError) -> ArtifactDigests {
    let place = S3Place(client.settings.prefix, organization)
    let page = try await client.page(place.blobs, after: cursor.map { place.blobs + $0 } ?? "")
    let before = S3ArtifactStore.now(minus: age)
    return ArtifactDigests(
      digests: page.objects.filter { $0.changedAt <= before }
        .compactMap { Hexadecimal.bytes(String($0.key.dropFirst(place.blobs.count))) },
      next: page.token == nil
        ? nil : page.objects.last.map { String($0.key.dropFirst(place.blobs.count)) })
  }

  // MARK: Whose it is

  private var marker: String { client.settings.prefix + OwnerMarker.name }

  /// Whose the prefix's marker says it is.
  public func owner() async throws(ArtifactStoreError) -> String? {
    let answer = try await client.ask(S3Request("GET", marker), or: [404])
    if answer.isSuccess { return OwnerMarker.owner(answer.body) }
    let failure = S3Failure(answer)
    // A bucket that is not there has no marker, but nobody should think it empty.
    if failure.error != .missing { throw failure.error }
    return nil
  }

  /// Marks the prefix.
  public func mark(_ owner: String, replacing: Bool) async throws(ArtifactStoreError) {
    var request = S3Request("PUT", marker)
    request.body = OwnerMarker.content(owner)
    if !replacing {
      var condition = request
      condition.headers = [("if-none-match", "*")]
      // 412: there is one. A server that cannot tell says so, and then the last of many at once
      // marks it; who reads the marker afterwards sees who that was.
      if try await client.ask(condition, or: [412, 501]).status != 501 { return }
    }
    _ = try await client.ask(request)
  }

  /// The bucket, and what its keys begin with.
  public var place: String {
    let settings = client.settings
    return "artifact-s3-bucket \(settings.bucket ?? "") with artifact-s3-prefix "
      + (settings.prefix.isEmpty ? "(empty)" : settings.prefix)
  }

  /// What ended in the middle of being put together.
  private func abortMultipartUploads(
    _ place: S3Place, before: Int64
  ) async throws(ArtifactStoreError) {
    for left in try await client.multipartUploads(place.organization, before: before) {
      try await client.abort(left.key, left.id)
    }
  }

  private static func now(minus age: Duration) -> Int64 {
    WallClock.microseconds() / 1_000_000 - age.components.seconds
  }
}

/// Where the objects of an organization are.
struct S3Place: Sendable {
  /// What all its keys begin with.
  let organization: String

  init(_ prefix: String, _ organization: UUID) { self.organization = "\(prefix)\(organization)/" }

  var uploads: String { organization + "uploads/" }
  var blobs: String { organization + "blobs/" }
  func draft(_ upload: UUID) -> String { "\(uploads)\(upload)/" }
  func blob(_ digest: [UInt8]) -> String { blobs + Hexadecimal.text(digest) }
}
