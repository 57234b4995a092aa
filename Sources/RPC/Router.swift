internal import Glibc
public import Messages

/// Finds a method by its name, as bytes of the wire.
public struct Router: Sendable {
  /// Every served method, sorted by name; a method's place here is its index.
  public let methods: [ServedMethod]

  /// The permission of methods that every authenticated caller may call.
  public static let selfPermission = "self"
  /// The permission of methods that everybody may call, without an API key, too.
  public static let anonymousPermission = "anonymous"

  private let slots: [Int32]
  private let names: [[UInt8]]

  /// Makes a router of `methods`, whose names must differ.
  public init(_ methods: [ServedMethod]) {
    self.methods = methods.sorted { $0.descriptor.name < $1.descriptor.name }
    names = self.methods.map { Array($0.descriptor.name.utf8) }
    var size = 16
    while size < names.count * 4 { size *= 2 }
    var slots = [Int32](repeating: -1, count: size)
    for (index, name) in names.enumerated() {
      var slot = unsafe Router.hash(name.span.bytes) & (size - 1)
      while slots[slot] >= 0 {
        precondition(names[Int(slots[slot])] != name, "two methods have one name")
        slot = (slot + 1) & (size - 1)
      }
      slots[slot] = Int32(index)
    }
    self.slots = slots
  }

  /// The index of the method called `name`.
  package func find(_ name: RawSpan) -> Int? {
    var slot = Router.hash(name) & (slots.count - 1)
    while slots[slot] >= 0 {
      let index = Int(slots[slot])
      if Router.isEqual(names[index], name) { return index }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Whether a role includes `permission`, and a scope names it; otherwise every caller has it.
  public static func isGiven(_ permission: String) -> Bool {
    permission != selfPermission && permission != anonymousPermission
  }

  /// What authenticated callers with `permissions` may call, by method index.
  package func allowed(by permissions: Set<String>) -> [Bool] {
    methods.map { method in
      !method.descriptor.hasPermission || permissions.contains(method.descriptor.permission)
    }
  }

  /// What those may call who have not said who they are, by method index.
  func allowedAnonymously() -> [Bool] {
    methods.map { $0.descriptor.permission == Router.anonymousPermission }
  }

  /// The last bytes of a name, which tell methods apart, and its length.
  private static func hash(_ bytes: RawSpan) -> Int {
    var hash = UInt64(truncatingIfNeeded: bytes.byteCount)
    if bytes.byteCount >= 8 {
      hash ^= unsafe bytes.unsafeLoadUnaligned(
        fromByteOffset: bytes.byteCount - 8, as: UInt64.self)
    }
    hash = hash &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: hash >> 32)
  }

  private static func isEqual(_ name: [UInt8], _ bytes: RawSpan) -> Bool {
    guard name.count == bytes.byteCount else { return false }
    return unsafe bytes.withUnsafeBytes { bytes in
      unsafe name.withUnsafeBytes { name in
        guard let left = name.baseAddress, let right = bytes.baseAddress else {
          return true
        }
        return unsafe memcmp(left, right, name.count) == 0
      }
    }
  }
}

extension MethodDescriptor {
  /// Whether the method asks for a permission that a role includes, and a scope names.
  public var hasPermission: Bool { Router.isGiven(permission) }
}
