internal import EventLoop
internal import Glibc
internal import Messages
internal import Postgres
internal import RPC

/// A method that is only looked up.
private func listed(_ descriptor: MethodDescriptor) -> ServedMethod {
  .unary(descriptor) { (request: Tag, _: CallContext) -> Tag in request }
}

/// What a call's authorization costs: `decisions COUNT` prints nanoseconds of all as JSON.
@main
enum Decisions {
  static func main() {
    guard CommandLine.arguments.count == 2, let count = Int(CommandLine.arguments[1]), count > 0
    else {
      print("usage: decisions COUNT")
      exit(2)
    }
    let table = ServerMethods.all + IdentityMethods.all + TrackingMethods.all
    let bench = DecisionBench(table)
    _ = bench.run(min(count, 100_000))
    let start = Instant.now()
    let permitted = bench.run(count)
    let nanoseconds = Instant.now().nanoseconds - start.nanoseconds
    print(
      "{\"decisions\": \(count), \"permitted\": \(permitted), \"methods\": \(table.count), "
        + "\"nanoseconds\": \(nanoseconds)}")
  }
}

/// The way from a Call frame to the answer whether its caller may make it.
private struct DecisionBench {
  private let router: Router
  /// What a session keeps of its key, by method index.
  private let allowed: [Bool]
  /// Method names as frames carry them, mixed.
  private let names: [[UInt8]]
  /// What a loop knows of roles in projects, and which are asked for, mixed.
  private let known: KnownRoles
  private let roles: [RoleKey]
  private let now: Instant

  /// Users in projects that the cache holds.
  private static let roleCount = 4_096

  init(_ table: [MethodDescriptor]) {
    router = Router(table.map(listed))
    // Every other permission, so that either answer occurs.
    let permissions = Set(table.map(\.permission)).sorted()
    allowed = router.allowed(
      by: Set(permissions.enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element)))
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    names = (0..<4_096).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Array(table[Int(state >> 33) % table.count].name.utf8)
    }
    now = Instant.now()
    roles = (0..<UInt64(Self.roleCount)).map { number in
      RoleKey(
        organizationID: UUID(high: 1, low: 1), projectID: UUID(high: 2, low: number % 64),
        userID: UUID(high: 3, low: number &* 0x9E37_79B9_7F4A_7C15))
    }
    var known = KnownRoles(now: now)
    for key in roles {
      let generation = known.begin(key, now: now)
      known.keep(.contributor, key, readAt: now, in: generation)
    }
    self.known = known
  }

  /// Decides `count` times and says how often the caller might.
  func run(_ count: Int) -> Int {
    var permitted = 0
    for turn in 0..<count {
      let name = names[turn & 4_095]
      let sees = mayLook(roles[(turn &* 2_531) & (Self.roleCount - 1)])
      if unsafe mayCall(name.span.bytes), sees { permitted += 1 }
    }
    return permitted
  }

  /// What ``Session`` does for every call, in its order.
  private func mayCall(_ method: RawSpan) -> Bool {
    guard let index = router.find(method) else { return false }
    return allowed[index]
  }

  /// What a read by id asks before it answers.
  private func mayLook(_ key: RoleKey) -> Bool { known.role(key, now: now) != nil }
}
