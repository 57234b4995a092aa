import EventLoop
import Testing

/// A loop for one test, with a way to run a test's body as a task of it.
struct LoopHarness {
  private let group: LoopGroup

  init(loops: Int = 1) throws {
    group = try LoopGroup(count: loops) { loop, index in
      loop.attachment = LoopIndex(index)
    }
  }

  /// Runs `body` on the loop and waits for what it returns; the loop ends with the harness.
  func run<Result: Sendable>(
    _ body: @escaping @Sendable (Loop) async -> Result
  ) async -> Result {
    await withCheckedContinuation { continuation in
      group.mailboxes[0].post { loop in
        loop.spawn { continuation.resume(returning: await body(loop)) }
      }
    }
  }

  /// The ways onto the loops.
  var mailboxes: [Mailbox] { group.mailboxes }

  /// Ends the loops and waits for their threads.
  func stop() async {
    group.stop()
    await group.waitUntilStopped()
  }
}

/// Which loop of its group a loop is.
final class LoopIndex {
  let value: Int
  init(_ value: Int) { self.value = value }
}

/// Collects what happens on a loop, in order.
final class Journal {
  var entries: [String] = []
}
