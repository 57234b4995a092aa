public import Artifacts
internal import EventLoop
internal import Messages
public import Postgres

/// Removes what nobody has a use for any more, by any one server process.
public enum ArtifactHousekeeping {
  /// How long files without a row stay: longer than any upload is under way without a sign.
  public static let patience = Duration.seconds(24 * 3_600)
  /// Files that one transaction removes.
  static let batchSize: Int64 = 100
  /// Time for one transaction.
  static let batchPatience = Duration.seconds(60)

  /// Gives up uploads that nobody has gone on with for a day, removes bytes that nothing refers to,
  /// and files that the database knows nothing of.
  ///
  /// - Parameters:
  ///   - store: Where the files are.
  ///   - database: Connected as the maintenance role.
  /// - Returns: Why it ended early: the store did not do what it was asked, or, before anything is
  ///   removed, is not this database's; nil when it did not. The next run does the rest.
  /// - Throws: ``PostgresError``; what was done before it stays, too.
  public static func run(
    _ store: any ArtifactStore, _ database: Database
  ) async throws(PostgresError) -> Problem? {
    do throws(Failure) {
      try await requireOwn(store, database)
      try await giveUpUploads(store, database)
      for organization in try await asking({ () throws(ArtifactStoreError) in
        try await store.organizations()
      }) {
        try await sweep(organization, store, database)
      }
      while try await removeBlobs(store, database) == batchSize {}
      return nil
    } catch {
      switch error {
      case .database(let error): throw error
      case .store(let error): return .store(error)
      case .foreign(let reason): return .foreign(reason)
      }
    }
  }

  /// Why files stay that should go.
  public enum Problem: Sendable, CustomStringConvertible {
    /// The store's answer.
    case store(ArtifactStoreError)
    /// The store is another database's; what to do.
    case foreign(String)

    /// For people.
    public var description: String {
      switch self {
      case .store(let error): "\(error)"
      case .foreign(let reason): reason
      }
    }
  }

  enum Failure: DatabaseFailure {
    case database(PostgresError)
    case store(ArtifactStoreError)
    case foreign(String)

    init(database error: PostgresError) { self = .database(error) }
  }

  private static func giveUpUploads(
    _ store: any ArtifactStore, _ database: Database
  ) async throws(Failure) {
    let before =
      WallClock.microseconds()
      - Int64(clamping: ArtifactBounds.uploadPatience.wholeNanoseconds / 1_000)
    var count = batchSize
    while count == batchSize {
      let rows = try await committing(
        database, ArtifactMaintenanceQueries.purgeUploads(before: before, batchSize: batchSize))
      for row in rows {
        try await asking { () throws(ArtifactStoreError) in
          try await store.removeDraft(row.id, of: row.organizationID)
        }
      }
      count = Int64(rows.count)
    }
  }

  /// Removes a batch of what nothing refers to; says how many.
  ///
  /// The files go while their rows are locked: who uploads the same waits for the end of it, and
  /// puts them there again.
  private static func removeBlobs(
    _ store: any ArtifactStore, _ database: Database
  ) async throws(Failure) -> Int64 {
    try await database.transaction(work(database)) {
      (transaction) async throws(Failure) -> Int64 in
      let rows: [ArtifactMaintenanceQueries.PurgeBlobsRow]
      do throws(PostgresError) {
        rows = try await transaction.run(
          ArtifactMaintenanceQueries.purgeBlobs(batchSize: batchSize))
      } catch {
        throw .database(error)
      }
      for row in rows {
        try await asking { () throws(ArtifactStoreError) in
          try await store.remove(row.sha256, of: row.organizationID)
        }
      }
      return Int64(rows.count)
    }
  }

  /// Finds the files of an organization that the database knows nothing of.
  private static func sweep(
    _ organization: UUID, _ store: any ArtifactStore, _ database: Database
  ) async throws(Failure) {
    let known = try await committing(
      database, ArtifactMaintenanceQueries.listKnownOrganizations(ids: [organization]))
    if known.isEmpty {
      // Nothing of it comes back: look once more whose it is.
      try await requireOwn(store, database)
      return try await asking { () throws(ArtifactStoreError) in
        try await store.removeAll(of: organization)
      }
    }
    let drafts = try await asking { () throws(ArtifactStoreError) in
      try await store.drafts(of: organization, untouchedFor: patience)
    }
    if !drafts.isEmpty {
      let kept = Set(
        try await committing(
          database,
          ArtifactMaintenanceQueries.listKnownUploads(organizationID: organization, ids: drafts)))
      for draft in drafts where !kept.contains(draft) {
        try await asking { () throws(ArtifactStoreError) in
          try await store.removeDraft(draft, of: organization)
        }
      }
    }
    var cursor: String?
    repeat {
      let from = cursor
      let page = try await asking { () throws(ArtifactStoreError) in
        try await store.digests(of: organization, after: from, untouchedFor: patience)
      }
      if !page.digests.isEmpty {
        _ = try await committing(
          database,
          ArtifactMaintenanceQueries.adoptBlobs(
            digests: page.digests, organizationID: organization))
      }
      cursor = page.next
    } while cursor != nil
  }

  static func committing<Output>(
    _ database: Database, _ query: Query<Output>
  ) async throws(Failure) -> Output {
    do throws(PostgresError) {
      return try await database.commit(work(database), query)
    } catch {
      throw .database(error)
    }
  }

  static func asking<Value>(
    _ work: () async throws(ArtifactStoreError) -> Value
  ) async throws(Failure) -> Value {
    do throws(ArtifactStoreError) { return try await work() } catch { throw .store(error) }
  }

  private static func work(_ database: Database) -> Work {
    Work(scope: .none, deadline: database.loop.now.advanced(by: batchPatience), cancellation: nil)
  }
}
