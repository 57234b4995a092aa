public import Postgres

/// Where the bytes of artifacts are kept: outside the database, by organization and SHA-256.
///
/// Who calls it makes sure in the database that bytes are not put and removed at once: a row is
/// claimed before ``ArtifactDraft/publish(_:)``, and removed in the transaction that ends after
/// ``remove(_:of:)``.
public protocol ArtifactStore: Sendable {
  /// Begins the file of an upload, or goes on with it behind its first `durableBytes`, which are
  /// read again for their digest; where less than that is left, it begins anew.
  func draft(
    _ upload: UUID, of organization: UUID, durableBytes: Int64
  ) async throws(ArtifactStoreError) -> any ArtifactDraft

  /// Opens what has the digest; it can be read to its end, whatever is removed meanwhile.
  func open(
    _ digest: [UInt8], of organization: UUID
  ) async throws(ArtifactStoreError) -> any ArtifactReader

  /// Removes what has the digest; nothing happens where it is not there.
  func remove(_ digest: [UInt8], of organization: UUID) async throws(ArtifactStoreError)

  /// Removes the file of an upload; nothing happens where it is not there.
  func removeDraft(_ upload: UUID, of organization: UUID) async throws(ArtifactStoreError)

  /// The organizations that have anything in the store.
  func organizations() async throws(ArtifactStoreError) -> [UUID]

  /// Removes all that an organization has in the store.
  func removeAll(of organization: UUID) async throws(ArtifactStoreError)

  /// The uploads whose files have not changed for `age`.
  func drafts(
    of organization: UUID, untouchedFor age: Duration
  ) async throws(ArtifactStoreError) -> [UUID]

  /// A page of the digests that have been there for `age`, from `cursor` on: nil at the beginning,
  /// then what the page before says.
  func digests(
    of organization: UUID, after cursor: String?, untouchedFor age: Duration
  ) async throws(ArtifactStoreError) -> ArtifactDigests

  /// The largest file that it can hold, in bytes.
  var fileBytesMax: Int64 { get }

  // MARK: Whose it is

  /// Whose the store's marker says it is; nil where it has none.
  func owner() async throws(ArtifactStoreError) -> String?

  /// Marks the store, in one step: where it has a marker only if that is to be `replacing`.
  func mark(_ owner: String, replacing: Bool) async throws(ArtifactStoreError)

  /// Where it is, for people: the setting, and what that says.
  var place: String { get }
}

/// A page of what a store has.
public struct ArtifactDigests: Sendable {
  /// The SHA-256 of each content.
  public let digests: [[UInt8]]
  /// Where the next page begins; nil at the end.
  public let next: String?

  /// Makes a page.
  public init(digests: [[UInt8]], next: String?) {
    self.digests = digests
    self.next = next
  }
}

/// The file of an upload while it grows; one call at a time, unless it says otherwise.
public protocol ArtifactDraft: Sendable {
  /// Bytes in the file.
  var sizeBytes: Int64 { get }

  /// Whether it may grow while ``makeDurable()`` is under way, which is then about what was there
  /// when it was called.
  var growsMeanwhile: Bool { get }

  /// Appends pieces in their order.
  func append(_ pieces: [[UInt8]]) async throws(ArtifactStoreError)

  /// Returns when everything appended is on disk and stays.
  func makeDurable() async throws(ArtifactStoreError)

  /// The SHA-256 of everything appended; nothing can be appended after it.
  func digest() async throws(ArtifactStoreError) -> [UInt8]

  /// Gives the durable file its place, from which it can be opened; returns when that stays.
  func publish(_ digest: [UInt8]) async throws(ArtifactStoreError)
}

/// The bytes of one artifact.
public protocol ArtifactReader: Sendable {
  /// At most `count` bytes from `offset` on; none at the end.
  func read(
    at offset: Int64, count: Int
  ) async throws(ArtifactStoreError) -> [UInt8]
}

/// Why the store could not do what it was asked.
public enum ArtifactStoreError: Error, Sendable, Equatable {
  /// As much waits for the store as may.
  case busy
  /// Somebody else has the upload's file open.
  case inUse
  /// No room is left.
  case full
  /// It is not there.
  case missing
  /// It does not answer, or too slowly; for the log.
  case away(String)
  /// It refuses the server's keys, or the keys cannot be used; why.
  case denied(String)
  /// Something else; for the log.
  case failed(String)
}
