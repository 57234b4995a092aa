internal import CLinux
internal import Glibc
internal import Synchronization

/// Runs the jobs of one loop on the loop's own thread, as the executor that its tasks prefer.
///
/// Jobs enqueued on the thread itself go to a plain array; those of other threads pass a locked
/// inbox and wake the loop through an eventfd.
final class LoopExecutor: TaskExecutor {
  /// Written to by other threads, watched by the loop.
  let wakeDescriptor: Int32

  private let thread = Atomic<UInt>(0)
  private let isWoken = Atomic<Bool>(false)
  private let inbox = Mutex<Inbox>(Inbox())

  // Proof: both arrays are touched only where `isOnLoop` holds, that is by the loop's thread alone.
  private nonisolated(unsafe) var ready: [UnownedJob] = []
  private nonisolated(unsafe) var running: [UnownedJob] = []

  private struct Inbox {
    var jobs: [UnownedJob] = []
    var posts: [@Sendable (Loop) -> Void] = []
  }

  init() throws(SystemError) {
    wakeDescriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
    if wakeDescriptor < 0 { throw .last("eventfd") }
  }

  deinit { close(wakeDescriptor) }

  /// Makes the calling thread the loop's own.
  func adoptThread() {
    thread.store(UInt(pthread_self()), ordering: .releasing)
  }

  var isOnLoop: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isOnLoop {
      unsafe ready.append(job)
    } else {
      inbox.withLock { $0.jobs.append(job) }
      wake()
    }
  }

  /// Runs `body` on the loop's thread, soon.
  func post(_ body: @escaping @Sendable (Loop) -> Void) {
    inbox.withLock { $0.posts.append(body) }
    wake()
  }

  private func wake() {
    if !isWoken.exchange(true, ordering: .acquiringAndReleasing) {
      eventfd_write(wakeDescriptor, 1)
    }
  }

  /// Takes what other threads sent; the posts are returned to be run by the caller.
  func collect() -> [@Sendable (Loop) -> Void] {
    guard isWoken.load(ordering: .acquiring) else { return [] }
    // The descriptor first: who wakes the loop after the flag is cleared writes to it anew.
    var count: eventfd_t = 0
    unsafe eventfd_read(wakeDescriptor, &count)
    isWoken.store(false, ordering: .sequentiallyConsistent)
    let taken = inbox.withLock { inbox in
      let taken = inbox
      inbox = Inbox()
      return taken
    }
    unsafe ready.append(contentsOf: taken.jobs)
    return taken.posts
  }

  /// Whether a job waits for its turn.
  var hasJobs: Bool { unsafe !ready.isEmpty }

  /// Runs what is ready, and what that makes ready, for at most `rounds` rounds, so that jobs which
  /// make each other ready cannot keep the loop from its descriptors.
  func drain(rounds: Int) {
    let task = unsafe asUnownedTaskExecutor()
    for _ in 0..<rounds where unsafe !ready.isEmpty {
      unsafe swap(&ready, &running)
      for job in unsafe running {
        unsafe job.runSynchronously(on: task)
      }
      unsafe running.removeAll(keepingCapacity: true)
    }
  }
}
