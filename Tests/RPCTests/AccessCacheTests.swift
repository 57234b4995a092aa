import EventLoop
import Postgres
import TestSupport
import Testing

@testable import RPC

@Suite("The roles that were read a moment ago")
struct KnownRolesTests {
  private static let start = Instant(nanoseconds: 1_000_000_000)

  private static func id(_ number: Int) -> UUID { UUID(high: 0, low: UInt64(number)) }

  private static func key(user: Int, project: Int, organization: Int = 0) -> RoleKey {
    RoleKey(organizationID: id(organization), projectID: id(project), userID: id(user))
  }

  private static func known(_ keys: [RoleKey], at moment: Instant = start) -> KnownRoles {
    var known = KnownRoles(now: moment)
    for key in keys {
      let generation = known.begin(key, now: moment)
      known.keep(.viewer, key, readAt: moment, in: generation)
    }
    return known
  }

  @Test("A role is told until a second after the look for it began, and not longer")
  func lifetime() {
    let key = Self.key(user: 1, project: 2)
    var known = KnownRoles(now: Self.start)
    let generation = known.begin(key, now: Self.start)
    known.keep(.owner, key, readAt: Self.start, in: generation)
    let last = Self.start.advanced(by: KnownRoles.lifetime - .nanoseconds(1))
    #expect(known.role(key, now: Self.start) == .owner)
    #expect(known.role(key, now: last) == .owner)
    #expect(known.role(key, now: Self.start.advanced(by: KnownRoles.lifetime)) == nil)
  }

  @Test("Users, projects and organizations are told apart")
  func keys() {
    let known = Self.known([Self.key(user: 1, project: 2)])
    for other in [
      Self.key(user: 2, project: 2), Self.key(user: 1, project: 1),
      Self.key(user: 1, project: 2, organization: 1),
    ] {
      #expect(known.role(other, now: Self.start) == nil)
    }
  }

  @Test("A change of a user or of a project forgets what names them, and nothing else")
  func forgets() {
    let keys = [
      Self.key(user: 1, project: 10), Self.key(user: 1, project: 11),
      Self.key(user: 2, project: 10), Self.key(user: 2, project: 11),
    ]
    var known = Self.known(keys)
    #expect(known.forget(Self.id(99)).isEmpty)
    #expect(known.count == 4)
    #expect(known.forget(Self.id(1)) == [keys[0], keys[1]])
    #expect(known.role(keys[0], now: Self.start) == nil)
    #expect(known.role(keys[2], now: Self.start) == .viewer)
    #expect(known.forget(Self.id(11)).contains(keys[3]))
    #expect(known.count == 1 && known.role(keys[2], now: Self.start) == .viewer)
  }

  @Test("A change is told of what was read in the generation before, too")
  func generations() {
    let (old, new) = (Self.key(user: 1, project: 1), Self.key(user: 2, project: 1))
    var known = KnownRoles(now: Self.start)
    let first = known.begin(old, now: Self.start)
    let later = Self.start.advanced(by: KnownRoles.lifetime)
    let second = known.begin(new, now: later)
    #expect(second == first + 1)
    known.keep(.viewer, new, readAt: later, in: second)
    known.keep(.viewer, old, readAt: later, in: first)
    #expect(known.role(old, now: later) == .viewer)
    #expect(known.forget(Self.id(1)) == [old, new])
    #expect(known.count == 0)
  }

  @Test("What was looked for in a generation that is forgotten is not kept")
  func late() {
    let key = Self.key(user: 1, project: 1)
    var known = KnownRoles(now: Self.start)
    let generation = known.begin(key, now: Self.start)
    known.forgetAll(now: Self.start)
    known.keep(.viewer, key, readAt: Self.start, in: generation)
    #expect(known.count == 0)
  }

  @Test("However many are asked for, no more than so many are held, and the newest are")
  func bound() {
    let keys = (0..<3 * KnownRoles.entriesMax).map { Self.key(user: $0, project: 7) }
    var known = KnownRoles(now: Self.start)
    for key in keys {
      let generation = known.begin(key, now: Self.start)
      known.keep(.viewer, key, readAt: Self.start, in: generation)
      guard known.count <= KnownRoles.entriesMax else { break }
    }
    #expect(known.count <= KnownRoles.entriesMax)
    let newest = keys.suffix(KnownRoles.entriesMax / 2)
    #expect(newest.allSatisfy { known.role($0, now: Self.start) == .viewer })
  }
}

@Suite("Looking for roles")
struct AccessCacheTests {
  /// A database that answers when it is told to.
  private final class Answers {
    var role: String? = "viewer"
    var error: PostgresError?
    private(set) var deadlines: [Instant] = []
    let mayAnswer = Signal()
    var isHeld = false

    func read(_ deadline: Instant) async throws(PostgresError) -> String? {
      deadlines.append(deadline)
      let answer = role
      if isHeld { await mayAnswer.wait(unless: { !isHeld }) }
      if let error { throw error }
      return answer
    }

    func release() {
      isHeld = false
      mayAnswer.notify()
    }
  }

  private static let user = UUID(high: 1, low: 1)
  private static let project = UUID(high: 2, low: 2)
  private static let key = RoleKey(
    organizationID: .zero, projectID: project, userID: user)

  private static func ended(_ look: AccessCache.Look) async -> RoleInProject? {
    await look.signal.wait(unless: { look.outcome != nil })
    return try? look.outcome?.get()
  }

  @Test("All who ask at once wait for one look, and later ones find the role")
  func coalesces() async throws {
    let (looks, roles, known) = try await onLoop { loop in
      let answers = Answers()
      answers.isHeld = true
      let cache = AccessCache(loop) { (_, deadline) async throws(PostgresError) in
        try await answers.read(deadline)
      }
      let begun = (0..<10).map { _ in cache.look(Self.key) }
      let before = cache.role(Self.key)
      answers.release()
      var roles: [RoleInProject?] = []
      for look in begun { roles.append(await Self.ended(look)) }
      return (cache.lookCount, roles, (before, cache.role(Self.key)))
    }
    #expect(looks == 1)
    #expect(roles == Array(repeating: .viewer, count: 10))
    #expect(known == (nil, .viewer))
  }

  @Test("That somebody has no role is looked for each time, so that a role counts at once")
  func absent() async throws {
    let (first, second, looks) = try await onLoop { loop in
      let answers = Answers()
      let cache = AccessCache(loop) { (_, deadline) async throws(PostgresError) in
        try await answers.read(deadline)
      }
      answers.role = nil
      let first = await Self.ended(cache.look(Self.key))
      #expect(cache.role(Self.key) == nil)
      answers.role = "contributor"
      return (first, await Self.ended(cache.look(Self.key)), cache.lookCount)
    }
    #expect(first == nil && second == .contributor && looks == 2)
  }

  @Test(
    "What a look has read before a change is told to those who waited, and not kept",
    arguments: [user, project, nil])
  func race(changed: UUID?) async throws {
    let (role, kept, fresh) = try await onLoop { loop in
      let answers = Answers()
      answers.isHeld = true
      let cache = AccessCache(loop) { (_, deadline) async throws(PostgresError) in
        try await answers.read(deadline)
      }
      let look = cache.look(Self.key)
      // The look has to have begun.
      while answers.deadlines.isEmpty { await loop.pause(.zero) }
      cache.changed(changed)
      answers.role = "owner"
      let second = cache.look(Self.key)
      while answers.deadlines.count < 2 { await loop.pause(.zero) }
      answers.release()
      let role = await Self.ended(look)
      let fresh = await Self.ended(second)
      return (role, cache.role(Self.key), fresh)
    }
    #expect(role == .viewer && fresh == .owner && kept == .owner)
  }

  @Test("A look that fails fails for those who wait for it, and the next one tries again")
  func fails() async throws {
    let (failed, role) = try await onLoop { loop in
      let answers = Answers()
      answers.error = .away("test")
      let cache = AccessCache(loop) { (_, deadline) async throws(PostgresError) in
        try await answers.read(deadline)
      }
      let look = cache.look(Self.key)
      await look.signal.wait(unless: { look.outcome != nil })
      let failed = if case .failure = look.outcome { true } else { false }
      answers.error = nil
      return (failed, await Self.ended(cache.look(Self.key)))
    }
    #expect(failed && role == .viewer)
  }

  @Test("A change that the feed tells of is forgotten, from this loop and from others")
  func feed() async throws {
    let server = try TestServer()
    let known = server.perform { place in
      var heard: [UUID?] = []
      place.server.feed.observe { heard.append($0) }
      place.server.feed.changed(Self.user)
      place.server.feed.received("\(Self.project),\(Self.user),nonsense")
      place.server.feed.receivedNothingForAWhile()
      return heard
    }
    #expect(known == [Self.user, Self.project, Self.user, nil])
  }
}
