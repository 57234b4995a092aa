/// A task of a loop that waits. Resume it exactly once, on its loop; what it waited for is left in
/// state of the loop, because a task goes on only after whoever resumed it has returned.
@safe public struct Waiter {
  private let continuation: UnsafeContinuation<Void, Never>

  /// Lets the task go on.
  public func resume() {
    unsafe continuation.resume()
  }

  /// Suspends the calling task until the waiter given to `keep` is resumed.
  public static func suspend(
    isolation: isolated (any Actor)? = #isolation, _ keep: (Waiter) -> Void
  ) async {
    await unsafe withUnsafeContinuation(isolation: isolation) { continuation in
      keep(unsafe Waiter(continuation: continuation))
    }
  }
}

/// Lets tasks of a loop wait until another part of the loop says go. Lives on a loop.
public final class Signal {
  private var waiters: [Waiter] = []

  /// Makes one that nobody waits for.
  public init() {}

  /// Whether somebody waits.
  public var hasWaiters: Bool { !waiters.isEmpty }

  /// Waits for the next ``notify()``.
  public func wait() async {
    await Waiter.suspend { waiters.append($0) }
  }

  /// Lets everybody go on who waits now.
  public func notify() {
    guard hasWaiters else { return }
    let due = waiters
    waiters = []
    for waiter in due { waiter.resume() }
  }
}
