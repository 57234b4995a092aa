internal import Artifacts
internal import EventLoop
internal import Messages
public import Postgres
internal import RPC
internal import Synchronization

// A store belongs to one database: housekeeping removes what the database knows nothing of, and
// that would be every file of another one. A marker in the store says whose it is.

/// Whether the store is known to be this database's.
final class ArtifactOwnership: Sendable {
  /// How long an upload waits for it at most: longer than between two attempts to find out.
  static let patience = Duration.seconds(3)
  private static let pause = Duration.milliseconds(20)

  private struct State {
    var isOwn = false
    /// How many attempts have begun.
    var attempts = 0
    /// Why the last that ended did not find out, and which that was.
    var failure: (attempt: Int, error: ArtifactStoreError)?
  }

  private let state = Mutex(State())

  func begin() { state.withLock { $0.attempts += 1 } }

  func becomeOwn() { state.withLock { $0.isOwn = true } }

  func fail(_ error: ArtifactStoreError) {
    state.withLock { $0.failure = ($0.attempts, error) }
  }

  /// Waits until nothing is put into another's store, by whom it would be removed.
  ///
  /// - Throws: ``CallError`` when an attempt that began during the call did not find out, or none
  ///   ended in time.
  func wait(_ call: CallContext) async throws(CallError) {
    let end = call.loop.now.advanced(by: ArtifactOwnership.patience)
    let before = state.withLock { $0.attempts }
    while true {
      let now = state.withLock { $0 }
      if now.isOwn { return }
      if let failure = now.failure, failure.attempt > before || call.loop.now >= end {
        throw CallError(failure.error)
      }
      if call.loop.now >= end { throw CallError(.away("whose it is, is not known yet")) }
      await call.loop.pause(ArtifactOwnership.pause)
    }
  }
}

/// What came of making a store this database's.
public enum ArtifactClaim: Sendable {
  /// It is.
  case own
  /// It is not, and will not be; what to do.
  case refused(String)
  /// It cannot be told now; why.
  case failed(String)
}

extension ArtifactHousekeeping {
  /// Organizations that are looked for at once.
  private static let organizationsPerQuery = 1_000
  /// What to take over a store is called that has no marker.
  static let unmarked = "unmarked"

  /// Makes sure that the store is this database's, and marks it where it is new, or from before
  /// there were markers.
  ///
  /// - Parameters:
  ///   - shelf: The store, which uploads wait for meanwhile.
  ///   - database: Connected as the maintenance role.
  /// - Returns: What came of it.
  public static func claim(_ shelf: ArtifactShelf, _ database: Database) async -> ArtifactClaim {
    shelf.ownership.begin()
    do throws(Failure) {
      try await claim(shelf.store, adopting: shelf.settings.adopted, database)
      shelf.ownership.becomeOwn()
      return .own
    } catch {
      switch error {
      case .database(let error): return .failed("\(error)")
      case .foreign(let reason): return .refused(reason)
      case .store(let error):
        shelf.ownership.fail(error)
        return .failed("\(error)")
      }
    }
  }

  private static func claim(
    _ store: any ArtifactStore, adopting adopted: String?, _ database: Database
  ) async throws(Failure) {
    let own = try await committing(database, ArtifactMaintenanceQueries.getStoreOwner())
    let owner = try await asking { () throws(ArtifactStoreError) in try await store.owner() }
    if owner == own { return }
    if let adopted, adopted == owner ?? unmarked {
      try await asking { () throws(ArtifactStoreError) in
        try await store.mark(own, replacing: true)
      }
    } else if owner == nil {
      guard try await isEmptyOrKnown(store, database) else {
        throw .foreign(reason(store, owner: nil, own: own))
      }
      try await asking { () throws(ArtifactStoreError) in
        try await store.mark(own, replacing: false)
      }
    }
    // Another may have been first; and a store that does not show its marker yet is asked again.
    let marked = try await asking { () throws(ArtifactStoreError) in try await store.owner() }
    if marked == nil { throw .store(.away("the marker that was written is not there yet")) }
    if marked != own { throw .foreign(reason(store, owner: marked, own: own)) }
  }

  /// Makes sure that the marker says that the store is this database's.
  static func requireOwn(
    _ store: any ArtifactStore, _ database: Database
  ) async throws(Failure) {
    let own = try await committing(database, ArtifactMaintenanceQueries.getStoreOwner())
    let owner = try await asking { () throws(ArtifactStoreError) in try await store.owner() }
    if owner != own { throw .foreign(reason(store, owner: owner, own: own)) }
  }

  /// Whether nobody has put files into the store, or some of them are of this database.
  private static func isEmptyOrKnown(
    _ store: any ArtifactStore, _ database: Database
  ) async throws(Failure) -> Bool {
    let found = try await asking { () throws(ArtifactStoreError) in
      try await store.organizations()
    }
    for start in stride(from: 0, to: found.count, by: organizationsPerQuery) {
      let ids = Array(found[start..<min(start + organizationsPerQuery, found.count)])
      let known = try await committing(
        database, ArtifactMaintenanceQueries.listKnownOrganizations(ids: ids))
      if !known.isEmpty { return true }
    }
    return found.isEmpty
  }

  private static func reason(
    _ store: any ArtifactStore, owner: String?, own: String
  ) -> String {
    let whose =
      owner.map { "belongs to the database \($0)" }
      ?? "has no marker, and files of a database that is not known"
    return "\(store.place) \(whose); this is the database \(own): choose another place, or, if "
      + "this database has taken the other's place, start with "
      + "--set artifact-adopt=\(owner ?? unmarked)"
  }
}
