internal import Client
internal import EventLoop
internal import Messages
internal import TLS
internal import Wire

/// The connections of one loop and the calls that they make.
///
/// Each call under way is a slot that starts its next call when it has its answer: no tasks, no
/// queues, and no allocation a call on this side.
final class LoadWorker: SessionOwner {
  /// Connections that all loops open at the same time: fewer than a server takes of an address
  /// before they have greeted.
  private static let openingMax = 48

  private let loop: Loop
  private let plan: LoadPlan
  private let gate: LoadGate
  private let connections: Int
  private let index: Int
  private var context: TLSContext?
  private var sessions: [ClientSession] = []
  private var opening = 0
  private var hasFailed = false

  fileprivate var result = LoadResult()
  fileprivate var callsLeft: Int
  fileprivate var isOver = false
  fileprivate var underWay = 0
  private var keyPrefix = ""
  private var keys: UInt64 = 0
  /// From when on what begins is counted.
  private var counted = Instant(nanoseconds: 0)
  private let ended = Signal()

  init(_ plan: LoadPlan, on loop: Loop, index: Int, gate: LoadGate) {
    self.loop = loop
    self.plan = plan
    self.gate = gate
    self.index = index
    connections = plan.share(of: plan.connections, loop: index)
    callsLeft = .max
    if case .calls(let count) = plan.end { callsLeft = plan.share(of: count, loop: index) }
    if plan.method.idempotency == .keyed, plan.sendsKeys {
      keyPrefix = "load-\(UInt64.random(in: .min ... .max))-\(index)-"
    }
  }

  /// Opens the connections, makes the calls, and says what came of them.
  func run() async -> LoadResult {
    do throws(ClientError) {
      context = try plan.endpoint.makeContext()
    } catch {
      gate.fail(error)
    }
    openMore()
    // Nobody starts before all are open; a millisecond is below what the result tells.
    while !gate.isOpen, gate.error == nil { await loop.pause(.milliseconds(1)) }
    guard gate.error == nil else { return result }
    switch plan.end {
    case nil:
      while true { await loop.pause(.seconds(3_600)) }
    case .after(let duration):
      loop.schedule(after: plan.lead + duration) { self.isOver = true }
    case .calls: break
    }
    let started = Instant.now()
    counted = started.advanced(by: plan.lead)
    if let append = plan.append {
      write(append)
    } else {
      for session in sessions {
        for _ in 0..<plan.inFlight { LoadSlot(self, session, plan).next(now: started) }
      }
    }
    while underWay > 0 { await ended.wait(unless: { underWay == 0 }) }
    for session in sessions { session.drain() }
    return result
  }

  // MARK: Connections

  private func openMore() {
    guard let context, !hasFailed else { return }
    while opening < max(1, Self.openingMax / plan.loops), sessions.count < connections {
      opening += 1
      sessions.append(ClientSession(on: loop, to: plan.endpoint, context: context, owner: self))
    }
  }

  func sessionOpened(_ session: ClientSession, _ welcome: Welcome) {
    opening -= 1
    gate.arrive()
    openMore()
  }

  func sessionClosed(_ session: ClientSession, _ error: ClientError) {
    guard session.welcome == nil else { return }
    hasFailed = true
    gate.fail(error)
  }

  func sessionHasRoom(_ session: ClientSession) {}
  func sessionDrains(_ session: ClientSession) {}
  func sessionPonged(_ session: ClientSession, _ token: UInt64) {}

  // MARK: Calls

  /// Whether one more call may start; counts it.
  fileprivate func take() -> Bool {
    guard !isOver, callsLeft > 0 else { return false }
    callsLeft -= 1
    underWay += 1
    return true
  }

  fileprivate func nextKey() -> String {
    guard !keyPrefix.isEmpty else { return "" }
    keys += 1
    return keyPrefix + String(keys)
  }

  fileprivate func finished(_ error: ClientError?, since start: Instant, now: Instant) {
    underWay -= 1
    if let error {
      result.errors += 1
      result.example = result.example ?? error
    } else {
      count(since: start, now: now)
    }
  }

  private func count(since start: Instant, now: Instant) {
    guard start >= counted else { return }
    result.calls += 1
    result.latencies.add(now.nanoseconds - start.nanoseconds)
    result.seconds = Double(now.nanoseconds - counted.nanoseconds) / 1e9
  }

  /// Goes on with a slot at a time of its own; it counts as under way meanwhile.
  fileprivate func wait(until due: Instant, _ goOn: @escaping () -> Void) {
    underWay += 1
    loop.schedule(after: due.since(loop.now)) {
      self.underWay -= 1
      goOn()
    }
  }

  fileprivate func slotEnded() {
    if underWay == 0 { ended.notify() }
  }

  // MARK: Writers

  /// Starts the writers of this loop's connections; paced ones begin spread over their interval, as
  /// programs do that know nothing of one another.
  private func write(_ append: AppendPlan) {
    let all = append.runIDs.count
    for (place, session) in sessions.enumerated() {
      for number in 0..<append.writers {
        let writer = (number * connections + place) * plan.loops + index
        let run = append.runIDs[writer % all]
        let offset = plan.pace.map { $0 * writer / all } ?? .zero
        LoadWriter(self, session, plan, append, runID: run).open(after: offset)
      }
    }
  }

  /// Whether one more batch may be sent; counts it.
  func takeBatch() -> Bool {
    guard !isOver, callsLeft > 0 else { return false }
    callsLeft -= 1
    return true
  }

  func batchAcknowledged(since start: Instant, now: Instant) {
    count(since: start, now: now)
  }

  func wake(at instant: Instant, _ goOn: @escaping () -> Void) {
    loop.schedule(after: instant.since(loop.now), goOn)
  }

  func writerBegan() { underWay += 1 }

  func writerEnded(_ error: ClientError?) {
    underWay -= 1
    if let error {
      result.errors += 1
      result.example = result.example ?? error
    }
    slotEnded()
  }
}

/// One call under way, again and again.
private final class LoadSlot: CallHandler {
  private unowned let worker: LoadWorker
  private let session: ClientSession
  private let message: [UInt8]
  private var header: CallHeader
  private let pace: Duration?
  private var start = Instant(nanoseconds: 0)
  /// When a paced call should have begun.
  private var due: Instant

  init(_ worker: LoadWorker, _ session: ClientSession, _ plan: LoadPlan) {
    self.worker = worker
    self.session = session
    message = plan.message
    pace = plan.pace
    due = .now()
    header = CallHeader(method: plan.method.name, endOfRequests: true)
  }

  func next(now: Instant) {
    guard worker.take() else { return worker.slotEnded() }
    start = now
    header.idempotencyKey = worker.nextKey()
    let message = message
    do throws(OpenRefusal) {
      _ = try session.start(
        header, kind: .unary, message: unsafe message.span.bytes, handler: self)
    } catch {
      // This slot's connection takes no more calls; the others go on.
      worker.finished(
        ClientError(
          .status, Status(.unavailable, reason: "NO_ROOM", message: "No room: \(error).")),
        since: start, now: now)
      worker.slotEnded()
    }
  }

  func callReceived(_ stream: UInt32, _ message: RawSpan) {}
  func callMaySend(_ stream: UInt32) {}

  func callEnded(_ stream: UInt32, _ status: Status?, _ message: RawSpan) {
    let now = Instant.now()
    worker.finished(status.map { ClientError(.status, $0) }, since: start, now: now)
    guard let pace else { return next(now: now) }
    // An answer that comes after the next call was due makes that one late, and it counts from
    // then: otherwise a server that stalls would be measured less often just when it does.
    due = due.advanced(by: pace)
    if due <= now { return next(now: due) }
    worker.wait(until: due) { self.next(now: .now()) }
  }

  func callLost(_ stream: UInt32, _ error: ClientError, mayHaveStarted: Bool) {
    worker.finished(error, since: start, now: start)
    worker.slotEnded()
  }
}
