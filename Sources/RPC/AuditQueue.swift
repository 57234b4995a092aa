public import EventLoop

/// A sink with its thread, which all loops of a server share.
public final class AuditOutlet: Sendable {
  private let sink: any AuditSink
  private let thread: LoopGroup

  /// Starts the sink's thread.
  ///
  /// - Throws: ``SystemError`` when no descriptor is left.
  public init(_ sink: any AuditSink) throws(SystemError) {
    self.sink = sink
    thread = try LoopGroup(count: 1) { _, _ in }
  }

  deinit { thread.stop() }

  /// Hands over entries; `whenDone` runs on the sink's thread when it has taken them.
  func give(_ entries: [AuditRecord], whenDone: @escaping @Sendable () -> Void) {
    thread.mailboxes[0].post { [sink] _ in
      sink.receive(entries)
      whenDone()
    }
  }
}

/// Entries of one loop that wait for one sink.
///
/// While the sink is at work on some, the next ones wait, up to a bound; those beyond it are
/// counted and left out.
///
/// Lives on the loop.
final class AuditQueue: TurnHandler {
  /// Bytes that wait at most, about.
  static let bytesMax = 4 << 20
  /// What an entry counts beside its details.
  static let entryBytes = 512

  private let outlet: AuditOutlet
  /// Its place among the queues of the loop.
  private let index: Int
  private unowned let server: LoopServer
  private var entries: [AuditRecord] = []
  private var bytes = 0
  private var isSinkAtWork = false
  private var isScheduled = false
  private let taken = Signal()

  init(_ outlet: AuditOutlet, _ index: Int, _ server: LoopServer) {
    self.outlet = outlet
    self.index = index
    self.server = server
  }

  private var isIdle: Bool { entries.isEmpty && !isSinkAtWork }

  func add(_ entry: AuditRecord) {
    let size = AuditQueue.entryBytes + entry.detailsJSON.utf8.count
    guard bytes + size <= AuditQueue.bytesMax else {
      server.metrics.auditSinkDropped &+= 1
      return
    }
    entries.append(entry)
    bytes += size
    guard !isScheduled, !isSinkAtWork else { return }
    isScheduled = true
    server.loop.atEndOfTurn(self)
  }

  func endOfTurn() {
    isScheduled = false
    give()
  }

  private func give() {
    guard !isSinkAtWork, !entries.isEmpty else { return }
    isSinkAtWork = true
    let batch = entries
    entries = []
    bytes = 0
    outlet.give(batch) { [home = server.loop.mailbox, index] in
      home.post { loop in
        (loop.attachment as? any ServesConnections)?.server.audit.taken(index)
      }
    }
  }

  /// The sink has taken what it was given.
  func sinkIsDone() {
    isSinkAtWork = false
    give()
    taken.notify()
  }

  /// Waits until the sink has taken everything, at most until `deadline`.
  func drain(until deadline: Instant) async {
    let loop = server.loop
    let timer = loop.schedule(after: deadline.since(loop.now)) { [taken] in taken.notify() }
    while !isIdle, loop.now < deadline { await taken.wait(unless: { isIdle }) }
    loop.cancel(timer)
  }
}
