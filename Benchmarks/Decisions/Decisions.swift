internal import EventLoop
internal import Glibc
internal import Messages
internal import RPC

/// A method that is only looked up.
private struct Listed: ServedMethod {
  let descriptor: MethodDescriptor
  func start(_ message: RawSpan, _ call: CallContext) {}
}

/// What a call's authorization costs: `decisions COUNT` prints nanoseconds per decision as JSON.
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

  init(_ table: [MethodDescriptor]) {
    router = Router(table.map { Listed(descriptor: $0) })
    // Every other permission, so that either answer occurs.
    let permissions = Set(table.map(\.permission)).sorted()
    allowed = router.allowed(
      by: Set(permissions.enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element)))
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    names = (0..<4_096).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Array(table[Int(state >> 33) % table.count].name.utf8)
    }
  }

  /// Decides `count` times and says how often the caller might.
  func run(_ count: Int) -> Int {
    var permitted = 0
    for turn in 0..<count {
      let name = names[turn & 4_095]
      if unsafe mayCall(name.span.bytes) { permitted += 1 }
    }
    return permitted
  }

  /// What ``Session`` does for every call, in its order.
  private func mayCall(_ method: RawSpan) -> Bool {
    guard let index = router.find(method) else { return false }
    return allowed[index]
  }
}
