/// A task of a loop that waits.
///
/// Resume it exactly once, on its loop; what it waited for is left in state of the loop, because a
/// task goes on only after whoever resumed it has returned.
@safe public struct Waiter {
  private let continuation: UnsafeContinuation<Void, Never>

  /// Lets the task go on.
  public func resume() {
    unsafe continuation.resume()
  }

  /// Suspends the calling task until the waiter given to `keep` is resumed, unless `isOver`
  /// already.
  ///
  /// A task may be put aside for a moment on its way into this function, so a condition that was
  /// looked at before may hold by now: `isOver` is asked when nothing can come in between any more.
  public static func suspend(
    unless isOver: () -> Bool, _ keep: (Waiter) -> Void
  ) async {
    await unsafe withUnsafeContinuation(isolation: #isolation) { continuation in
      if isOver() {
        unsafe continuation.resume()
      } else {
        keep(unsafe Waiter(continuation: continuation))
      }
    }
  }
}

/// Lets parts of a loop wait until another part says go.
///
/// Lives on a loop.
public final class Signal {
  /// Names one action that waits.
  public struct Token: Sendable {
    let number: UInt32
  }

  /// How often ``notify()`` was called: tells whether one was missed.
  public private(set) var count: UInt64 = 0
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

  /// Waits for the next ``notify()``, unless `isOver` already.
  public func wait(unless isOver: () -> Bool) async {
    await Waiter.suspend(unless: isOver) { waiter in _ = next { waiter.resume() } }
  }

  /// Lets everybody go on who waits now.
  public func notify() {
    count &+= 1
    guard hasWaiters else { return }
    let due = actions
    actions = []
    for action in due { action.run() }
  }
}

extension Loop {
  /// Lets the calling task go on `duration` from now or a little later.
  public func pause(_ duration: Duration) async {
    await Waiter.suspend(unless: { false }) { waiter in
      schedule(after: duration) { waiter.resume() }
    }
  }
}
