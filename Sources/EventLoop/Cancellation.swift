/// Tells the work of one call that it is no longer wanted.
///
/// Lives on a loop.
public final class Cancellation {
  /// Why work is no longer wanted.
  public enum Reason: Sendable, Equatable {
    /// The caller said so.
    case cancelled
    /// The deadline has passed.
    case deadlineExceeded
    /// The connection ended.
    case connectionLost
    /// The server is shutting down and has waited long enough.
    case draining
  }

  /// Names one registered action.
  public struct Token: Sendable {
    let number: UInt32
  }

  /// Set once, by the first ``cancel(_:)``.
  public private(set) var reason: Reason?
  private var actions: [(number: UInt32, run: (Reason) -> Void)] = []
  private var lastNumber: UInt32 = 0

  /// Makes one that is not cancelled.
  public init() {}

  /// Whether the work is no longer wanted.
  public var isCancelled: Bool { reason != nil }

  /// Runs every registered action once; later calls change nothing.
  public func cancel(_ reason: Reason) {
    guard self.reason == nil else { return }
    self.reason = reason
    let due = actions
    actions = []
    for action in due { action.run(reason) }
  }

  /// Registers `action`; runs it at once when the work is cancelled already.
  @discardableResult
  public func onCancel(_ action: @escaping (Reason) -> Void) -> Token {
    lastNumber &+= 1
    if let reason {
      action(reason)
    } else {
      actions.append((lastNumber, action))
    }
    return Token(number: lastNumber)
  }

  /// Forgets a registered action.
  public func remove(_ token: Token) {
    actions.removeAll { $0.number == token.number }
  }
}
