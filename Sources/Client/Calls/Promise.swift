/// One value that a loop gives to a task elsewhere.
///
/// Resolve it exactly once.
@safe struct Promise<Value: Sendable>: Sendable {
  private let continuation: UnsafeContinuation<Value, Never>

  /// Lets the task go on with `value`.
  func resolve(_ value: Value) {
    unsafe continuation.resume(returning: value)
  }

  /// Suspends the calling task until the promise given to `body` is resolved.
  static func wait(
    isolation: isolated (any Actor)? = #isolation, _ body: (Promise) -> Void
  ) async -> Value {
    await unsafe withUnsafeContinuation(isolation: isolation) { continuation in
      body(unsafe Promise(continuation: continuation))
    }
  }
}
