internal import CLinux
internal import Glibc
internal import Synchronization

/// A bounded set of threads for calls that block or take long: name look-ups, disk, passwords.
///
/// Threads start when they are needed and then stay.
public final class HelperThreads: Sendable {
  /// How many threads there are at most.
  public let countMax: Int
  /// How many pieces of work wait at most.
  public let waitingMax: Int
  private let name: String
  private let isPatient: Bool
  private let state = Mutex<State>(State())
  private let condition: Condition

  private struct State {
    var queue: [@Sendable () -> Void] = []
    var threads = 0
    var idle = 0
  }

  /// Describes a set of threads.
  ///
  /// - Parameters:
  ///   - name: What they are called, at most 15 bytes.
  ///   - countMax: How many threads there are at most.
  ///   - waitingMax: How many pieces of work wait at most.
  ///   - isPatient: Whether they take the processor only when nothing else wants it.
  public init(
    _ name: String = "needletail-aid", countMax: Int = 4, waitingMax: Int = .max,
    isPatient: Bool = false
  ) {
    self.name = name
    self.countMax = countMax
    self.waitingMax = waitingMax
    self.isPatient = isPatient
    condition = Condition()
  }

  /// Runs `work` on a helper thread; waits without holding the caller's thread.
  func run<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async -> Result {
    await unsafe withUnsafeContinuation { continuation in
      submit { unsafe continuation.resume(returning: work()) }
    }
  }

  /// The same, or nil at once when as much work waits as may.
  public func runIfFree<Result: Sendable>(
    _ work: @escaping @Sendable () -> Result
  ) async -> Result? {
    await unsafe withUnsafeContinuation { continuation in
      let isTaken = submit { unsafe continuation.resume(returning: work()) }
      if !isTaken { unsafe continuation.resume(returning: nil) }
    }
  }

  @discardableResult
  private func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
    let needsThread: Bool? = state.withLock { state in
      if state.queue.count >= waitingMax { return nil }
      state.queue.append(work)
      if state.idle >= state.queue.count || state.threads == countMax { return false }
      state.threads += 1
      return true
    }
    guard let needsThread else { return false }
    if needsThread {
      startThread(name) { [self] in
        if isPatient { needletail_yield_thread() }
        serve()
      }
    }
    condition.signal()
    return true
  }

  private func serve() {
    while true {
      let work = state.withLock { state -> (@Sendable () -> Void)? in
        if state.queue.isEmpty {
          state.idle += 1
          return nil
        }
        return state.queue.removeFirst()
      }
      if let work {
        work()
      } else {
        condition.wait()
        state.withLock { $0.idle -= 1 }
      }
    }
  }
}

/// A counting semaphore: a signal that comes before its wait is not lost.
@safe private final class Condition: Sendable {
  // Proof: the semaphore is made before and freed after any use, and sem_* are safe from any
  // thread.
  private nonisolated(unsafe) let semaphore: UnsafeMutablePointer<sem_t>

  init() {
    unsafe semaphore = .allocate(capacity: 1)
    unsafe sem_init(semaphore, 0, 0)
  }

  deinit {
    unsafe sem_destroy(semaphore)
    unsafe semaphore.deallocate()
  }

  func signal() { unsafe sem_post(semaphore) }
  func wait() { while unsafe sem_wait(semaphore) != 0 {} }
}

/// Starts a detached thread called `name` (at most 15 bytes) that runs `body`.
func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) {
  final class Box: Sendable {
    let body: @Sendable () -> Void
    let name: String
    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }
  var thread = pthread_t()
  let box = unsafe Unmanaged.passRetained(Box(name, body)).toOpaque()
  let result = unsafe pthread_create(
    &thread, nil,
    { argument in
      guard let argument = unsafe argument else { return nil }
      let box = unsafe Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
      unsafe needletail_name_thread(box.name)
      box.body()
      return nil
    }, box)
  precondition(result == 0, "no thread can be started")
  pthread_detach(thread)
}
