internal import EventLoop

/// A call that waits to have a connection to itself.
final class Lease {
  let work: Work
  let queuedAt: Instant
  private(set) var connection: Connection?
  private(set) var error: PostgresError?
  private var waiter: Waiter?

  init(_ work: Work, at now: Instant) {
    self.work = work
    queuedAt = now
  }

  var isOver: Bool { connection != nil || error != nil }

  func wait() async {
    await Waiter.suspend(unless: { isOver }) { waiter = $0 }
  }

  func finish(_ connection: Connection?, _ error: PostgresError?) {
    guard !isOver else { return }
    self.connection = connection
    self.error = error
    let waiter = waiter
    self.waiter = nil
    waiter?.resume()
  }
}
