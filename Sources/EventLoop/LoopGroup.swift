internal import Glibc
internal import Synchronization

/// The loops of a process, a thread each.
public final class LoopGroup: Sendable {
  /// The ways onto the loops, in their order.
  public let mailboxes: [Mailbox]

  private let running: Mutex<Running>

  private struct Running {
    var loops: Int
    var waiters: [@Sendable () -> Void] = []
  }

  /// Starts `count` loops; `prepare` runs first on each loop's own thread, with its index.
  ///
  /// - Throws: ``SystemError`` when the process may open no more descriptors.
  public init(
    count: Int, prepare: @escaping @Sendable (Loop, Int) -> Void
  ) throws(SystemError) {
    precondition(count > 0, "a group has at least one loop")
    // A peer that went away is told by write's own result, not by a signal that ends the process.
    signal(SIGPIPE, SIG_IGN)
    let helpers = HelperThreads()
    var executors: [LoopExecutor] = []
    for _ in 0..<count { executors.append(try LoopExecutor()) }
    mailboxes = executors.map { Mailbox(executor: $0) }
    running = Mutex(Running(loops: count))
    for (index, executor) in executors.enumerated() {
      startThread("needletail-\(index)") {
        executor.adoptThread()
        LoopGroup.run(executor, helpers) { prepare($0, index) }
        self.loopEnded()
      }
    }
  }

  /// The life of a loop: when this returns, everything that lived on the loop is freed.
  private static func run(
    _ executor: LoopExecutor, _ helpers: HelperThreads, _ prepare: (Loop) -> Void
  ) {
    guard let loop = try? Loop(executor: executor, helpers: helpers) else {
      // The descriptors of all loops were just made; without this last one there is no loop.
      preconditionFailure("no descriptor is left for a loop's poller")
    }
    prepare(loop)
    loop.run()
  }

  /// Asks every loop to end after its turn.
  public func stop() {
    for mailbox in mailboxes { mailbox.post { $0.stop() } }
  }

  /// Waits until every loop has ended.
  public func waitUntilStopped() async {
    await unsafe withUnsafeContinuation { continuation in
      let isOver = running.withLock { running in
        if running.loops == 0 { return true }
        running.waiters.append { unsafe continuation.resume() }
        return false
      }
      if isOver { unsafe continuation.resume() }
    }
  }

  private func loopEnded() {
    let waiters = running.withLock { running in
      running.loops -= 1
      guard running.loops == 0 else { return [@Sendable () -> Void]() }
      defer { running.waiters = [] }
      return running.waiters
    }
    for waiter in waiters { waiter() }
  }
}
