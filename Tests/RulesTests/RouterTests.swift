import Messages
import TestSupport
import Testing

@testable import RPC

/// Finding methods by the bytes of their names.
struct RouterTests {
  /// A method that is never called.
  private static func named(_ name: String, permission: String = "self") -> ServedMethod {
    .unary(
      MethodDescriptor(
        name: name, kind: .unary, permission: permission, isAudited: false, idempotency: .read)
    ) { (request: Parameter, _: CallContext) -> Parameter in request }
  }

  private static func index(_ router: Router, _ name: String) -> Int? {
    let bytes = Array(name.utf8)
    return unsafe router.find(bytes.span.bytes)
  }

  @Test(
    "Every method is found, whatever their number and order", arguments: [0, 1, 2, 15, 16, 500])
  func find(count: Int) {
    var random = SplitMix(seed: UInt64(count))
    let names = (0..<count).map { "pkg.v1.Service\($0 % 7)/Method\($0)" }
    let router = Router(names.shuffled(using: &random).map { Self.named($0) })
    #expect(router.methods.map(\.descriptor.name) == names.sorted())
    for name in names {
      #expect(Self.index(router, name).map { router.methods[$0].descriptor.name } == name)
    }
    for other in ["", "x", "pkg.v1.Service0/Method", "pkg.v1.Service0/Method0 ", "é"] {
      #expect(Self.index(router, other) == nil)
    }
  }

  @Test("Names that share a place in the table are told apart")
  func collisions() {
    // Far more names than the table of one of them has places: some of any sixteen places repeat.
    let names = (0..<64).map { "m\($0)" }
    for first in names {
      for second in names where first != second {
        let router = Router([Self.named(first), Self.named(second)])
        #expect(Self.index(router, first) == (first < second ? 0 : 1))
        #expect(Self.index(router, second) == (first < second ? 1 : 0))
        #expect(Self.index(router, "m64") == nil)
      }
    }
  }

  @Test("A name is its bytes: another spelling that looks the same is another name")
  func bytes() {
    let router = Router([Self.named("caf\u{E9}")])
    #expect(Self.index(router, "caf\u{E9}") == 0)
    #expect(Self.index(router, "cafe\u{301}") == nil)
    #expect(Self.index(router, "CAF\u{C9}") == nil)
  }

  @Test("Permissions open their own methods, and everybody's are always open")
  func allowed() {
    let router = Router([
      Self.named("a", permission: "run.get"), Self.named("b"),
      Self.named("c", permission: "run.create"),
    ])
    #expect(router.allowed(by: []) == [false, true, false])
    #expect(router.allowed(by: ["run.get"]) == [true, true, false])
    #expect(router.allowed(by: ["run.create", "run.*", "run"]) == [false, true, true])
  }
}
