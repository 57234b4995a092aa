internal import Synchronization

/// What the databases of all loops share: the count of overflow connections.
public final class DatabaseShared: Sendable {
  /// How many loops share the pool.
  public let loops: Int
  private let overflowMax: Int
  private let overflowInUse = Atomic<Int>(0)

  /// For `loops` databases with these settings.
  public init(_ settings: DatabaseSettings, loops: Int) {
    precondition(loops > 0, "there is at least one loop")
    self.loops = loops
    overflowMax = settings.overflow
  }

  /// Takes the right to one connection more.
  func takeOverflow() -> Bool {
    if overflowInUse.wrappingAdd(1, ordering: .relaxed).newValue <= overflowMax { return true }
    returnOverflow()
    return false
  }

  /// Gives the right back.
  func returnOverflow() {
    overflowInUse.wrappingSubtract(1, ordering: .relaxed)
  }
}
