import Artifacts
import Glibc
import Postgres
import TLS
import Testing

@Suite("Artifacts in a folder")
struct LocalArtifactStoreTests {
  private let folder: String
  private let store: LocalArtifactStore
  private let organization: UUID
  private let upload: UUID

  init() throws {
    folder = "/tmp/nta-\(UInt64.random(in: .min ... .max))"
    try #require(unsafe mkdir(folder, 0o700) == 0)
    store = try LocalArtifactStore(folder + "/artifacts")
    organization = try #require(UUID("0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50"))
    upload = try #require(UUID("0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f51"))
  }

  private func publish(_ pieces: [[UInt8]]) async throws -> [UInt8] {
    let draft = try await store.draft(upload, of: organization, durableBytes: 0)
    try await draft.append(pieces)
    try await draft.makeDurable()
    let digest = try await draft.digest()
    try await draft.publish(digest)
    return digest
  }

  private func digests(untouchedFor age: Duration) async throws -> [[UInt8]] {
    var found: [[UInt8]] = []
    var cursor: String?
    repeat {
      let page = try await store.digests(of: organization, after: cursor, untouchedFor: age)
      found += page.digests
      cursor = page.next
    } while cursor != nil
    return found
  }

  private func permissions(_ path: String) -> UInt32 {
    var facts = stat()
    _ = unsafe lstat(path, &facts)
    return facts.st_mode & 0o777
  }

  @Test("What was published is read again, from any place")
  func readsWhatWasPublished() async throws {
    let digest = try await publish([[1, 2], [], [3]])
    #expect(digest == Digest.sha256([1, 2, 3]))
    let reader = try await store.open(digest, of: organization)
    #expect(try await reader.read(at: 0, count: 10) == [1, 2, 3])
    #expect(try await reader.read(at: 2, count: 1) == [3])
    #expect(try await reader.read(at: 3, count: 1).isEmpty)
    try await store.remove(digest, of: organization)
    #expect(try await reader.read(at: 1, count: 1) == [2])
  }

  @Test("A folder has no owner until it is marked, and then the first, until it is replaced")
  func isMarkedOnce() async throws {
    #expect(try await store.owner() == nil)
    try await store.mark("7461-16384", replacing: false)
    try await store.mark("another", replacing: false)
    #expect(try await store.owner() == "7461-16384")
    try await store.mark("another", replacing: true)
    #expect(try await LocalArtifactStore(folder + "/artifacts").owner() == "another")
    #expect(try await store.organizations().isEmpty)
    #expect(permissions(folder + "/artifacts/installation") == 0o600)
    // Nothing is left of how it came there.
    let left = unsafe try #require(opendir(folder + "/artifacts"))
    defer { unsafe closedir(left) }
    var count = 0
    while unsafe readdir(left) != nil { count += 1 }
    #expect(count == 3)
    #expect(store.place == "artifact-folder \(folder)/artifacts")
  }

  @Test("Of many that mark a folder at once, one does")
  func isMarkedByOne() async throws {
    let owners = try await withThrowingTaskGroup(of: String?.self) { group in
      for number in 0..<16 {
        group.addTask { [store] in
          try await store.mark("database-\(number)", replacing: false)
          return try await store.owner()
        }
      }
      return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
    }
    #expect(owners.count == 1)
    #expect(owners.first??.hasPrefix("database-") == true)
  }

  @Test("Files are their owner's alone, and folders too")
  func protectsWhatItKeeps() async throws {
    let text = Hexadecimal.text(try await publish([[7]]))
    let place = "\(folder)/artifacts/\(organization)"
    for path in ["", "/blobs", "/uploads", "/blobs/\(text.prefix(2))"] {
      #expect(permissions(place + path) == 0o700)
    }
    #expect(permissions("\(place)/blobs/\(text.prefix(2))/\(text)") == 0o600)
    #expect(permissions(folder + "/artifacts") == 0o700)
  }

  @Test("An upload goes on behind what is durable, and what came after that is forgotten")
  func resumes() async throws {
    var draft: (any ArtifactDraft)? = try await store.draft(
      upload, of: organization, durableBytes: 0)
    try await draft?.append([[1, 2, 3, 4]])
    draft = nil
    let again = try await store.draft(upload, of: organization, durableBytes: 2)
    #expect(again.sizeBytes == 2)
    try await again.append([[9]])
    #expect(try await again.digest() == Digest.sha256([1, 2, 9]))
  }

  @Test("An upload whose file is shorter than it should be begins anew")
  func beginsAnew() async throws {
    let draft = try await store.draft(upload, of: organization, durableBytes: 5)
    #expect(draft.sizeBytes == 0)
  }

  @Test("An upload is fed by one stream at a time")
  func locks() async throws {
    let draft = try await store.draft(upload, of: organization, durableBytes: 0)
    await #expect(throws: ArtifactStoreError.inUse) {
      _ = try await store.draft(upload, of: organization, durableBytes: 0)
    }
    #expect(draft.sizeBytes == 0)
  }

  @Test("What is not there is missing, and may be removed")
  func missesNothing() async throws {
    let digest = Digest.sha256([])
    await #expect(throws: ArtifactStoreError.missing) {
      _ = try await store.open(digest, of: organization)
    }
    try await store.remove(digest, of: organization)
    try await store.removeDraft(upload, of: organization)
    try await store.removeAll(of: organization)
    #expect(try await store.organizations().isEmpty)
  }

  @Test("Housekeeping finds everything that has been there for long enough")
  func findsFiles() async throws {
    let digest = try await publish([[5]])
    let draft = try await store.draft(upload, of: organization, durableBytes: 0)
    #expect(draft.sizeBytes == 0)
    #expect(try await store.organizations() == [organization])
    #expect(try await digests(untouchedFor: .zero) == [digest])
    #expect(try await digests(untouchedFor: .seconds(3_600)).isEmpty)
    #expect(try await store.drafts(of: organization, untouchedFor: .zero) == [upload])
    try await store.removeAll(of: organization)
    #expect(try await store.organizations().isEmpty)
  }

  @Test("A folder that cannot be made is refused")
  func refusesFolder() {
    #expect(throws: ArtifactStoreError.missing) {
      _ = try LocalArtifactStore(folder + "/nowhere/artifacts")
    }
  }
}
