internal import EventLoop
internal import Postgres

/// Tells the role of a user in a project, as it was at most a second ago.
///
/// Lives on a loop.
///
/// Only what permits something is remembered: access that was given counts at once, and access that
/// was taken ends when the change feed tells of it, within a second at the latest.
final class AccessCache {
  /// How long a look may take; a caller waits no longer than its own deadline.
  static let patience: Duration = .seconds(5)

  /// Reads a role from the database; nil = none.
  typealias Read = (RoleKey, Instant) async throws(PostgresError) -> String?

  /// A look for a role, which all wait for that ask for it meanwhile.
  final class Look {
    let begunAt: Instant
    let signal = Signal()
    private(set) var outcome: Result<RoleInProject?, PostgresError>?

    init(begunAt: Instant) {
      self.begunAt = begunAt
    }

    func end(_ outcome: Result<RoleInProject?, PostgresError>) {
      self.outcome = outcome
      signal.notify()
    }
  }

  private let loop: Loop
  private let read: Read
  private var known: KnownRoles
  private var looks: [RoleKey: Look] = [:]
  /// Roles that were read from the database.
  private(set) var lookCount: UInt64 = 0

  init(_ loop: Loop, read: @escaping Read) {
    self.loop = loop
    self.read = read
    known = KnownRoles(now: loop.now)
  }

  /// A role that is known; nil = look for it.
  func role(_ key: RoleKey) -> RoleInProject? { known.role(key, now: loop.now) }

  /// Looks for a role that is not known.
  func look(_ key: RoleKey) -> Look {
    // One that takes longer than a role may be old answers those who wait for it, and nobody else.
    if let look = looks[key], loop.now.since(look.begunAt) < KnownRoles.lifetime { return look }
    let look = Look(begunAt: loop.now)
    looks[key] = look
    lookCount &+= 1
    let generation = known.begin(key, now: loop.now)
    loop.spawn { [self] in await run(look, key, generation) }
    return look
  }

  private func run(_ look: Look, _ key: RoleKey, _ generation: Int) async {
    do throws(PostgresError) {
      let text = try await read(key, look.begunAt.advanced(by: AccessCache.patience))
      // The statement tells the three roles and no other.
      let role = text.flatMap { RoleInProject(rawValue: $0) }
      if looks[key] === look {
        looks[key] = nil
        if let role { known.keep(role, key, readAt: look.begunAt, in: generation) }
      }
      look.end(.success(role))
    } catch {
      if looks[key] === look { looks[key] = nil }
      look.end(.failure(error))
    }
  }

  /// A user or a project may have been changed; nil = anything may have been.
  func changed(_ id: UUID?) {
    guard let id else {
      known.forgetAll(now: loop.now)
      looks = [:]
      return
    }
    // What a look under way has read may be from before.
    for key in known.forget(id) { looks[key] = nil }
  }
}
