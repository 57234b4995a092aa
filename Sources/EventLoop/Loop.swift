internal import CLinux
internal import Glibc

/// Which events of a descriptor to be told of.
public struct Interest: OptionSet, Sendable {
  /// A bit for each.
  public let rawValue: UInt8

  /// Makes the set of these bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// There is something to read, or the peer has finished.
  public static let read = Interest(rawValue: 1)
  /// There is room to write, or a connection attempt has ended.
  public static let write = Interest(rawValue: 2)

  var events: UInt32 {
    (contains(.read) ? EPOLLIN.rawValue | EPOLLRDHUP.rawValue : 0)
      | (contains(.write) ? EPOLLOUT.rawValue : 0)
  }
}

/// What happened to a descriptor.
public struct Readiness: OptionSet, Sendable {
  /// A bit for each.
  public let rawValue: UInt8

  /// Makes the set of these bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// There is something to read, or the peer has finished.
  public static let read = Readiness(rawValue: 1)
  /// There is room to write, or a connection attempt has ended.
  public static let write = Readiness(rawValue: 2)
  /// Both directions are closed.
  public static let hangup = Readiness(rawValue: 4)
  /// The descriptor is in error.
  public static let error = Readiness(rawValue: 8)

  init(events: UInt32) {
    var value: UInt8 = 0
    if events & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0 { value |= 1 }
    if events & EPOLLOUT.rawValue != 0 { value |= 2 }
    if events & EPOLLHUP.rawValue != 0 { value |= 4 }
    if events & EPOLLERR.rawValue != 0 { value |= 8 }
    rawValue = value
  }
}

/// Is told what happens to a descriptor.
public protocol DescriptorHandler: AnyObject {
  /// The descriptor became ready; level-triggered, so what is left is told again next turn.
  func ready(_ readiness: Readiness)
}

/// Is told when a turn of the loop ends.
public protocol TurnHandler: AnyObject {
  /// Everything that was ready has run: write what it left.
  func endOfTurn()
}

/// One event loop: a thread with its descriptors, timers and tasks.
///
/// A loop is not Sendable, and neither is anything that lives on one; the compiler's region
/// isolation keeps all of it on the loop's thread. Other threads reach it through its ``mailbox``.
public final class Loop {
  /// The moment at which this turn began.
  public private(set) var now: Instant
  /// The way in from other threads.
  public let mailbox: Mailbox
  /// What the program keeps per loop.
  public var attachment: AnyObject?
  /// Counts since the loop started.
  public private(set) var statistics = LoopStatistics()

  let executor: LoopExecutor
  private let helpers: HelperThreads
  private let poller: Int32
  private var registrations: [Registration?] = []
  private var timers: TimerWheel
  private var turnHandlers: [any TurnHandler] = []
  private var endingHandlers: [any TurnHandler] = []
  private var isStopping = false

  /// How many rounds of jobs one turn runs at most before it looks at its descriptors again.
  static let jobRoundsPerTurnMax = 16

  private struct Registration {
    var handler: any DescriptorHandler
    var interest: Interest
    /// Tells a stale event from one of a descriptor that reuses the number.
    var generation: UInt32
  }
  private var generation: UInt32 = 0

  init(executor: LoopExecutor, helpers: HelperThreads) throws(SystemError) {
    self.executor = executor
    self.helpers = helpers
    now = .now()
    timers = TimerWheel(now: now)
    mailbox = Mailbox(executor: executor)
    poller = epoll_create1(Int32(EPOLL_CLOEXEC))
    if poller < 0 { throw .last("epoll_create1") }
    let wake = executor.wakeDescriptor
    let result = needletail_poll_control(
      poller, EPOLL_CTL_ADD, wake, EPOLLIN.rawValue, UInt64(UInt32(bitPattern: wake)))
    if result != 0 { throw .last("epoll_ctl") }
  }

  deinit { close(poller) }

  // MARK: Descriptors

  /// Watches `descriptor`, level-triggered, until ``deregister(_:)``.
  public func register(
    _ descriptor: Int32, _ interest: Interest, _ handler: any DescriptorHandler
  ) throws(SystemError) {
    let index = Int(descriptor)
    if index >= registrations.count {
      registrations.append(
        contentsOf: repeatElement(nil, count: max(index + 1, 64) - registrations.count))
    }
    precondition(registrations[index] == nil, "descriptor \(descriptor) is registered twice")
    generation &+= 1
    registrations[index] = Registration(
      handler: handler, interest: interest, generation: generation)
    do {
      try control(EPOLL_CTL_ADD, descriptor, interest, generation)
    } catch {
      registrations[index] = nil
      throw error
    }
  }

  /// Changes what `descriptor` is watched for.
  public func setInterest(_ descriptor: Int32, _ interest: Interest) throws(SystemError) {
    let index = Int(descriptor)
    guard index < registrations.count, let registration = registrations[index],
      registration.interest != interest
    else { return }
    try control(EPOLL_CTL_MOD, descriptor, interest, registration.generation)
    registrations[index]?.interest = interest
  }

  /// Stops watching `descriptor`; call it before closing the descriptor.
  public func deregister(_ descriptor: Int32) {
    let index = Int(descriptor)
    guard index < registrations.count, registrations[index] != nil else { return }
    registrations[index] = nil
    _ = needletail_poll_control(poller, EPOLL_CTL_DEL, descriptor, 0, 0)
  }

  private func control(
    _ operation: Int32, _ descriptor: Int32, _ interest: Interest, _ generation: UInt32
  ) throws(SystemError) {
    let token = UInt64(generation) << 32 | UInt64(UInt32(bitPattern: descriptor))
    if needletail_poll_control(poller, operation, descriptor, interest.events, token) != 0 {
      throw .last("epoll_ctl")
    }
  }

  // MARK: Time

  /// Runs `action` once, `delay` from now or a little later; the wheel turns every millisecond.
  @discardableResult
  public func schedule(after delay: Duration, _ action: @escaping () -> Void) -> Timer {
    timers.insert(at: now.advanced(by: delay), action)
  }

  /// Forgets a timer; one that has run or was cancelled is ignored.
  public func cancel(_ timer: Timer) {
    timers.remove(timer)
  }

  // MARK: Work

  /// Runs `body` as a task of this loop, which begins before this turn ends.
  public func spawn(_ body: @escaping () async -> Void) {
    // Proof: the loop and all that `body` captured belong to this thread, and the executor that the
    // task prefers runs its jobs on this thread only.
    nonisolated(unsafe) let body = body
    Task(executorPreference: executor) { unsafe await body() }
  }

  /// Tells `handler` when everything that is ready has run; give each handler once a turn.
  public func atEndOfTurn(_ handler: any TurnHandler) {
    turnHandlers.append(handler)
  }

  /// Runs `work`, which may block, on a helper thread and waits for its result.
  public func offload<Result: Sendable>(
    _ work: @escaping @Sendable () -> Result
  ) async -> Result {
    await helpers.run(work)
  }

  /// Lets the loop's thread end after this turn.
  public func stop() {
    isStopping = true
  }

  // MARK: The turn

  /// Takes turns until ``stop()``.
  func run() {
    var events = [needletail_event](
      repeating: needletail_event(), count: Int(NEEDLETAIL_EVENTS_MAX))
    while !isStopping {
      let patience = hasWork ? 0 : timers.millisecondsToNext(now: .now())
      let count = unsafe needletail_poll_wait(poller, &events, patience)
      now = .now()
      statistics.turns &+= 1
      for index in 0..<Int(max(count, 0)) {
        dispatch(events[index])
      }
      for post in executor.collect() { post(self) }
      while let action = timers.takeDue(at: now) { action() }
      executor.drain(rounds: Loop.jobRoundsPerTurnMax)
      endTurn()
    }
  }

  private var hasWork: Bool { executor.hasJobs || !turnHandlers.isEmpty }

  private func dispatch(_ event: needletail_event) {
    let index = Int(UInt32(truncatingIfNeeded: event.token))
    guard index < registrations.count, let registration = registrations[index],
      registration.generation == UInt32(truncatingIfNeeded: event.token >> 32)
    else { return }
    statistics.events &+= 1
    registration.handler.ready(Readiness(events: event.events))
  }

  private func endTurn() {
    guard !turnHandlers.isEmpty else { return }
    swap(&turnHandlers, &endingHandlers)
    for handler in endingHandlers { handler.endOfTurn() }
    endingHandlers.removeAll(keepingCapacity: true)
  }
}

/// What a loop has done since it started.
public struct LoopStatistics: Sendable {
  /// Turns taken.
  public var turns: UInt64 = 0
  /// Descriptor events served.
  public var events: UInt64 = 0
}

/// The way onto a loop from any thread.
public struct Mailbox: Sendable {
  let executor: LoopExecutor

  /// Runs `body` on the loop's thread, soon.
  public func post(_ body: @escaping @Sendable (Loop) -> Void) {
    executor.post(body)
  }
}
