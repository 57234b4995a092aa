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

/// Lets parts of a loop wait until another part says go. Lives on a loop.
public final class Signal {
  /// Names one action that waits.
  public struct Token: Sendable {
    let number: UInt32
  }

  private var actions: [(number: UInt32, run: () -> Void)] = []
  private var lastNumber: UInt32 = 0

  /// Makes one that nobody waits for.
  public init() {}

  /// Whether somebody waits.
  public var hasWaiters: Bool { !actions.isEmpty }

  /// Runs `action` once, at the next ``notify()``.
  public func next(_ action: @escaping () -> Void) -> Token {
    lastNumber &+= 1
    actions.append((lastNumber, action))
    return Token(number: lastNumber)
  }

  /// Forgets an action that has not run.
  public func remove(_ token: Token) {
    actions.removeAll { $0.number == token.number }
  }

  /// Waits for the next ``notify()``.
  public func wait() async {
    await Waiter.suspend { waiter in _ = next { waiter.resume() } }
  }

  /// Lets everybody go on who waits now.
  public func notify() {
    guard hasWaiters else { return }
    let due = actions
    actions = []
    for action in due { action.run() }
  }
}
