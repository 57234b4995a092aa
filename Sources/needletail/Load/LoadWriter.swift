internal import Client
internal import EventLoop
internal import Messages
internal import Wire

/// One writer of metrics: a stream with as many unacknowledged batches as the plan has it.
final class LoadWriter: CallHandler {
  private unowned let worker: LoadWorker
  private let session: ClientSession
  private let plan: AppendPlan
  private let runID: String
  private let inFlight: Int
  private let pace: Duration?
  private let startUs = WallClock.microseconds()
  private var stream: UInt32?
  /// When the batches that are not acknowledged were due, the oldest first.
  private var starts: [Instant] = []
  private var acknowledged: UInt64 = 0
  private var isOpen = false
  private var isHalfClosed = false
  /// A timer is set that goes on.
  private var isWaiting = false
  /// A batch that found no room in the window.
  private var unsent: [UInt8] = []
  /// When a paced batch is to be sent.
  private var due = Instant.now()

  init(
    _ worker: LoadWorker, _ session: ClientSession, _ load: LoadPlan, _ plan: AppendPlan,
    runID: String
  ) {
    self.worker = worker
    self.session = session
    self.plan = plan
    self.runID = runID
    inFlight = load.inFlight
    pace = load.pace
  }

  /// Opens the stream; a paced writer's first batch is due after `offset`.
  func open(after offset: Duration) {
    due = Instant.now().advanced(by: offset)
    var opening = AppendMetricsRequest()
    opening.writerID = Sample.randomUUID()
    let message = opening.encoded
    let header = CallHeader(
      method: TrackingMethods.appendMetrics.name, endOfRequests: false)
    worker.writerBegan()
    do throws(OpenRefusal) {
      stream = try session.start(
        header, kind: .bidirectional, message: unsafe message.span.bytes, handler: self)
    } catch {
      worker.writerEnded(
        ClientError(
          .status, Status(.unavailable, reason: "NO_ROOM", message: "No room: \(error).")))
    }
  }

  // MARK: Sending

  private func send() {
    guard let stream, isOpen, !isHalfClosed else { return }
    guard flush(stream) else { return }
    while starts.count < inFlight {
      let now = Instant.now()
      if pace != nil, due > now { return wake(at: due) }
      guard worker.takeBatch() else { return end(stream) }
      // A batch that is sent late, because those before were not acknowledged, counts from when
      // it was due.
      starts.append(pace == nil ? now : due)
      if let pace { due = due.advanced(by: pace) }
      let sequence = acknowledged + UInt64(starts.count)
      unsent = plan.batch(sequence, of: runID, from: startUs).encoded
      guard flush(stream) else { return }
    }
  }

  /// Sends what found no room; says whether nothing is left.
  private func flush(_ stream: UInt32) -> Bool {
    guard !unsent.isEmpty else { return true }
    let message = unsent
    guard unsafe session.send(message.span.bytes, on: stream, endOfRequests: false) else {
      return false
    }
    unsent = []
    return true
  }

  private func wake(at instant: Instant) {
    guard !isWaiting else { return }
    isWaiting = true
    worker.wake(at: instant) {
      self.isWaiting = false
      self.send()
    }
  }

  private func end(_ stream: UInt32) {
    guard starts.isEmpty else { return }
    isHalfClosed = true
    let nothing: [UInt8] = []
    _ = unsafe session.send(nothing.span.bytes, on: stream, endOfRequests: true)
  }

  // MARK: Hearing

  func callReceived(_ stream: UInt32, _ message: RawSpan) {
    session.consume(message.byteCount, on: stream)
    let now = Instant.now()
    guard let answer = try? AppendMetricsResponse.decode(message) else { return }
    isOpen = true
    let count = min(starts.count, Int(clamping: answer.acknowledgedSequence &- acknowledged))
    if answer.acknowledgedSequence > acknowledged {
      for start in starts[..<count] { worker.batchAcknowledged(since: start, now: now) }
      starts.removeFirst(count)
      acknowledged = answer.acknowledgedSequence
    }
    send()
  }

  func callMaySend(_ stream: UInt32) { send() }

  func callEnded(_ stream: UInt32, _ status: Status?, _ message: RawSpan) {
    self.stream = nil
    worker.writerEnded(status.map { ClientError(.status, $0) })
  }

  func callLost(_ stream: UInt32, _ error: ClientError, mayHaveStarted: Bool) {
    self.stream = nil
    worker.writerEnded(error)
  }
}
