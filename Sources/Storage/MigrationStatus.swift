/// What a database has of the migrations that a program knows.
public struct MigrationStatus: Sendable, Equatable {
  /// What the program knows, in order.
  public var known: [Migration]
  /// What the database remembers, in order.
  public var applied: [AppliedMigration]

  /// Compares the two lists; both are in the order of their versions.
  public init(known: [Migration], applied: [AppliedMigration]) {
    self.known = known
    self.applied = applied
  }

  /// The schema's version; 0 = empty.
  public var version: Int { applied.last?.version ?? 0 }

  /// The version that the program brings.
  public var newestVersion: Int { known.last?.version ?? 0 }

  /// What would be applied next, in order.
  public var pending: [Migration] { known.filter { $0.version > version } }

  /// Makes sure that what was applied is what the program knows.
  ///
  /// - Throws: ``MigrationError`` `gap` or `changed`. A newer schema is no error here.
  func checkHistory() throws(MigrationError) {
    for (index, entry) in applied.enumerated() {
      guard entry.version == index + 1 else { throw .gap(missing: index + 1) }
      guard index < known.count else { return }
      guard entry.checksum == known[index].checksum else {
        throw .changed(migration: known[index].label, applied: entry.name)
      }
    }
  }

  /// Makes sure, besides, that the program knows all that was applied.
  func checkIsKnown() throws(MigrationError) {
    try checkHistory()
    guard version <= newestVersion else {
      throw .schemaIsNewer(applied: version, known: newestVersion)
    }
  }

  /// What leads up to `target`, in order; nil = to the newest version.
  func stepsUp(to target: Int?) throws(MigrationError) -> [Migration] {
    try checkIsKnown()
    let target = try checked(target ?? newestVersion)
    return pending.filter { $0.version <= target }
  }

  /// What leads back down to `target`, in order.
  func stepsDown(to target: Int) throws(MigrationError) -> [Migration] {
    try checkIsKnown()
    let target = try checked(target)
    return known.filter { $0.version <= version && $0.version > target }.reversed()
  }

  private func checked(_ target: Int) throws(MigrationError) -> Int {
    guard (0...newestVersion).contains(target) else {
      throw .unknownVersion(target, newest: newestVersion)
    }
    return target
  }
}
