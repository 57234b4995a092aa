internal import EventLoop
internal import Glibc
public import Postgres

/// Artifacts in a folder of the local file system, or of one that several servers mount.
///
///     <organization>/blobs/<two digits>/<SHA-256>
///     <organization>/uploads/<upload>
///     installation
///
/// Folders are mode 0700, files 0600. Every call of the file system runs on a helper thread, in
/// pieces of bounded size.
public final class LocalArtifactStore: ArtifactStore {
  /// Calls of the file system at once.
  public static let threads = 4
  /// Calls that wait, beyond which a call is asked to come back.
  public static let waitingMax = 4_096

  let folder: String
  private let disk: HelperThreads

  /// Keeps artifacts in `folder`, which is made unless it is there; its parent must exist.
  ///
  /// - Throws: ``ArtifactStoreError`` when it can be neither made nor written to.
  public init(_ folder: String) throws(ArtifactStoreError) {
    self.folder = folder
    disk = HelperThreads(
      "needletail-disk", countMax: LocalArtifactStore.threads,
      waitingMax: LocalArtifactStore.waitingMax)
    if unsafe mkdir(folder, 0o700) != 0, errno != EEXIST { throw fileError("mkdir") }
    guard unsafe access(folder, R_OK | W_OK | X_OK) == 0 else { throw fileError("access") }
  }

  /// Runs what may block on a helper thread.
  func onDisk<Value: Sendable>(
    _ work: @escaping @Sendable () throws(ArtifactStoreError) -> Value
  ) async throws(ArtifactStoreError) -> Value {
    let result = await disk.runIfFree { () -> Result<Value, ArtifactStoreError> in
      do throws(ArtifactStoreError) { return .success(try work()) } catch { return .failure(error) }
    }
    guard let result else { throw .busy }
    return try result.get()
  }

  // MARK: Uploads and reading

  /// Begins the file of an upload, or goes on with it; see ``ArtifactStore``.
  public func draft(
    _ upload: UUID, of organization: UUID, durableBytes: Int64
  ) async throws(ArtifactStoreError) -> any ArtifactDraft {
    let place = Place(folder, organization)
    let draft = try await onDisk { () throws(ArtifactStoreError) in
      try makeFolder(place.organization, in: place.root)
      try makeFolder(place.uploads, in: place.organization)
      return try LocalArtifactDraft(self, place, upload, keeping: durableBytes)
    }
    try await draft.readAgain()
    return draft
  }

  /// Opens what has the digest.
  public func open(
    _ digest: [UInt8], of organization: UUID
  ) async throws(ArtifactStoreError) -> any ArtifactReader {
    let path = Place(folder, organization).blob(digest)
    return try await onDisk { () throws(ArtifactStoreError) in
      LocalArtifactReader(self, try openFile(path, O_RDONLY))
    }
  }

  /// Removes what has the digest.
  public func remove(_ digest: [UInt8], of organization: UUID) async throws(ArtifactStoreError) {
    let path = Place(folder, organization).blob(digest)
    try await onDisk { () throws(ArtifactStoreError) in try removeFile(path) }
  }

  /// Removes the file of an upload.
  public func removeDraft(
    _ upload: UUID, of organization: UUID
  ) async throws(ArtifactStoreError) {
    let path = Place(folder, organization).draft(upload)
    try await onDisk { () throws(ArtifactStoreError) in try removeFile(path) }
  }

  // MARK: Housekeeping

  /// The organizations that have a folder.
  public func organizations() async throws(ArtifactStoreError) -> [UUID] {
    try await onDisk { [folder] () throws(ArtifactStoreError) in
      try names(in: folder).compactMap { UUID($0) }
    }
  }

  /// Removes an organization's folder.
  public func removeAll(of organization: UUID) async throws(ArtifactStoreError) {
    let place = Place(folder, organization)
    try await onDisk { () throws(ArtifactStoreError) in
      for name in try names(in: place.uploads) { try removeFile("\(place.uploads)/\(name)") }
      try removeFolder(place.uploads)
    }
    for firstByte in UInt8.min...UInt8.max {
      try await onDisk { () throws(ArtifactStoreError) in
        let path = place.blobs(firstByte)
        for name in try names(in: path) { try removeFile("\(path)/\(name)") }
        try removeFolder(path)
      }
    }
    try await onDisk { () throws(ArtifactStoreError) in
      try removeFolder(place.blobs)
      try removeFolder(place.organization)
    }
  }

  /// The uploads whose files have not changed for `age`.
  public func drafts(
    of organization: UUID, untouchedFor age: Duration
  ) async throws(ArtifactStoreError) -> [UUID] {
    let uploads = Place(folder, organization).uploads
    return try await onDisk { () throws(ArtifactStoreError) in
      try names(in: uploads).filter { isUntouched("\(uploads)/\($0)", for: age) }
        .compactMap { UUID($0) }
    }
  }

  /// Digests that have been there for `age`, a folder of them at a time.
  public func digests(
    of organization: UUID, after cursor: String?, untouchedFor age: Duration
  ) async throws(ArtifactStoreError) -> ArtifactDigests {
    let firstByte = cursor.flatMap { Hexadecimal.bytes($0)?.first }.map { Int($0) + 1 } ?? 0
    guard let byte = UInt8(exactly: firstByte) else {
      return ArtifactDigests(digests: [], next: nil)
    }
    let path = Place(folder, organization).blobs(byte)
    return try await onDisk { () throws(ArtifactStoreError) in
      ArtifactDigests(
        digests: try names(in: path).filter { isUntouched("\(path)/\($0)", for: age) }
          .compactMap { Hexadecimal.bytes($0) },
        next: byte == .max ? nil : Hexadecimal.text([byte]))
    }
  }

  /// As large as the file system lets it be.
  public var fileBytesMax: Int64 { .max }

  // MARK: Whose it is

  /// Whose the folder's marker says it is.
  public func owner() async throws(ArtifactStoreError) -> String? {
    try await onDisk { [folder] () throws(ArtifactStoreError) in
      do throws(ArtifactStoreError) {
        let file = try openFile("\(folder)/\(OwnerMarker.name)", O_RDONLY)
        return OwnerMarker.owner(try readBytes(file, at: 0, count: OwnerMarker.bytesMax))
      } catch {
        if error == .missing { return nil }
        throw error
      }
    }
  }

  /// Marks the folder; a marker appears with its content or not at all.
  public func mark(_ owner: String, replacing: Bool) async throws(ArtifactStoreError) {
    try await onDisk { [folder] () throws(ArtifactStoreError) in
      let (path, number) = ("\(folder)/\(OwnerMarker.name)", UInt64.random(in: .min ... .max))
      let fresh = "\(path)-\(number)"
      try writeFile(OwnerMarker.content(owner), to: fresh)
      if replacing {
        guard unsafe rename(fresh, path) == 0 else { throw fileError("rename") }
      } else {
        // A second name cannot be given where there is one: of many at once, one marks it.
        let problem = unsafe link(fresh, path) == 0 || errno == EEXIST ? nil : fileError("link")
        try removeFile(fresh)
        if let problem { throw problem }
      }
      try syncFolder(folder)
    }
  }

  /// The folder.
  public var place: String { "artifact-folder \(folder)" }
}

/// Where the files of an organization are.
struct Place: Sendable {
  let root: String
  let organization: String

  init(_ root: String, _ organization: UUID) {
    self.root = root
    self.organization = "\(root)/\(organization)"
  }

  var uploads: String { organization + "/uploads" }
  var blobs: String { organization + "/blobs" }
  func draft(_ upload: UUID) -> String { "\(uploads)/\(upload)" }
  func blobs(_ firstByte: UInt8) -> String { "\(blobs)/\(Hexadecimal.text([firstByte]))" }
  func blob(_ digest: [UInt8]) -> String { "\(blobs(digest[0]))/\(Hexadecimal.text(digest))" }
}

/// An open file of the store.
private final class LocalArtifactReader: ArtifactReader {
  private let store: LocalArtifactStore
  private let file: Descriptor

  init(_ store: LocalArtifactStore, _ file: consuming Descriptor) {
    self.store = store
    self.file = file
  }

  func read(at offset: Int64, count: Int) async throws(ArtifactStoreError) -> [UInt8] {
    try await store.onDisk { [self] () throws(ArtifactStoreError) in
      try readBytes(file, at: offset, count: count)
    }
  }
}
