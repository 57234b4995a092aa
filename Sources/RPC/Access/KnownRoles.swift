package import EventLoop
package import Postgres

/// Whose role in which project.
package struct RoleKey: Hashable {
  package var organizationID: UUID
  package var projectID: UUID
  package var userID: UUID

  package init(organizationID: UUID, projectID: UUID, userID: UUID) {
    self.organizationID = organizationID
    self.projectID = projectID
    self.userID = userID
  }
}

/// The roles in projects that were read a moment ago.
///
/// Two generations hold them: when the younger is a lifetime old, or full, the older is forgotten
/// whole. So nothing is looked through to find what is to go, and all in here is bounded.
package struct KnownRoles {
  /// How old a role is at most, from the moment at which the look for it began, when it is told.
  static let lifetime: Duration = .seconds(1)
  /// Users in projects that are held at most, in both generations.
  static let entriesMax = 16_384

  private struct Entry {
    var role: RoleInProject
    var readAt: Instant
  }

  private struct Generation {
    var number = 0
    var bornAt: Instant
    var entries: [RoleKey: Entry] = [:]
    /// Users and projects, each with the keys that name them.
    var mentions: [UUID: Set<RoleKey>] = [:]
    var keyCount = 0
  }

  private var younger: Generation
  private var older: Generation

  package init(now: Instant) {
    younger = Generation(bornAt: now)
    older = younger
  }

  /// How many roles are held.
  var count: Int { younger.entries.count + older.entries.count }

  /// A role that may be told now.
  package func role(_ key: RoleKey, now: Instant) -> RoleInProject? {
    guard let entry = younger.entries[key] ?? older.entries[key],
      now.since(entry.readAt) < KnownRoles.lifetime
    else { return nil }
    return entry.role
  }

  /// A look for a role begins: what changes from now on is told of it.
  ///
  /// - Returns: The generation that it belongs to.
  package mutating func begin(_ key: RoleKey, now: Instant) -> Int {
    if younger.keyCount == KnownRoles.entriesMax / 2
      || now.since(younger.bornAt) >= KnownRoles.lifetime
    {
      older = younger
      younger = Generation(number: older.number + 1, bornAt: now)
    }
    younger.keyCount += 1
    younger.mentions[key.userID, default: []].insert(key)
    younger.mentions[key.projectID, default: []].insert(key)
    return younger.number
  }

  /// Keeps a role whose look began at `readAt` in a generation, unless that is forgotten.
  package mutating func keep(
    _ role: RoleInProject, _ key: RoleKey, readAt: Instant, in generation: Int
  ) {
    if generation == younger.number {
      younger.entries[key] = Entry(role: role, readAt: readAt)
    } else if generation == older.number {
      older.entries[key] = Entry(role: role, readAt: readAt)
    }
  }

  /// Forgets what names a user or a project that was changed; returns it.
  mutating func forget(_ id: UUID) -> Set<RoleKey> {
    let keys = younger.mentions.removeValue(forKey: id) ?? []
    let others = older.mentions.removeValue(forKey: id) ?? []
    for key in keys.union(others) {
      younger.entries[key] = nil
      older.entries[key] = nil
    }
    return keys.union(others)
  }

  /// Forgets everything.
  mutating func forgetAll(now: Instant) {
    let number = younger.number + 1
    self = KnownRoles(now: now)
    younger.number = number
    older.number = number
  }
}
