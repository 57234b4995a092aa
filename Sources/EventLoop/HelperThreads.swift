internal import CLinux
internal import Glibc
internal import Synchronization

/// A bounded set of threads for calls that block: name look-ups, disk, password hashes.
final class HelperThreads: Sendable {
  /// How many threads there are at most.
  static let countMax = 4

  private let state = Mutex<State>(State())
  private let condition: Condition

  private struct State {
    var queue: [@Sendable () -> Void] = []
    var threads = 0
    var idle = 0
  }

  init() {
    condition = Condition()
  }

  /// Runs `work` on a helper thread; waits without holding the caller's thread.
  func run<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async -> Result {
    await unsafe withUnsafeContinuation { continuation in
      submit { unsafe continuation.resume(returning: work()) }
    }
  }

  private func submit(_ work: @escaping @Sendable () -> Void) {
    let needsThread = state.withLock { state in
      state.queue.append(work)
      if state.idle >= state.queue.count || state.threads == HelperThreads.countMax { return false }
      state.threads += 1
      return true
    }
    if needsThread { startThread("needletail-aid") { self.serve() } }
    condition.signal()
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
