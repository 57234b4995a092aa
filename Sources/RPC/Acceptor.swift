public import EventLoop
internal import Synchronization

/// Takes connections from the listening socket and hands each to the loop with the fewest.
///
/// Lives on one loop.
public final class Acceptor: DescriptorHandler {
  private let loop: Loop
  private let socket: ListeningSocket
  private let state: ServerState
  private let mailboxes: [Mailbox]
  private let load: LoopLoad
  private var isPaused = false
  private var isClosed = false
  /// Connections that were refused since the log was told.
  private var refusals = 0
  private var nextNote = Instant(nanoseconds: 0)

  /// How many connections one turn accepts at most, so that the loop's other work goes on.
  static let acceptsPerTurnMax = 64

  /// Starts to accept on `socket`.
  ///
  /// - Parameters:
  ///   - loop: The loop to accept on.
  ///   - socket: Closed with the acceptor.
  ///   - state: Counts the connections and says how many there may be.
  ///   - mailboxes: The loops to hand connections to, in the order of `load`.
  ///   - load: How many connections each loop has.
  /// - Throws: ``SystemError`` when the socket cannot be watched.
  public init(
    _ loop: Loop, _ socket: consuming ListeningSocket, state: ServerState, mailboxes: [Mailbox],
    load: LoopLoad
  ) throws(SystemError) {
    self.loop = loop
    self.socket = socket
    self.state = state
    self.mailboxes = mailboxes
    self.load = load
    try loop.register(self.socket.descriptor.number, .read, self)
  }

  /// Takes no more connections.
  public func close() {
    guard !isClosed else { return }
    isClosed = true
    loop.deregister(socket.descriptor.number)
  }

  /// Accepts what has come, up to ``acceptsPerTurnMax``.
  public func ready(_ readiness: Readiness) {
    for _ in 0..<Acceptor.acceptsPerTurnMax where !isClosed && !isPaused {
      switch socket.accept() {
      case .connection(let descriptor, let peer): handOver(descriptor, peer)
      case .aborted: continue
      case .none: return
      case .descriptorLimit: pause()
      }
    }
  }

  private func handOver(_ descriptor: consuming Descriptor, _ peer: SocketAddress) {
    let permit: Permit
    switch state.admission.arrive(from: peer) {
    case .success(let admitted): permit = admitted
    case .failure(let refused):
      // Closing at once is all that can be said before a handshake.
      return noteRefusal(refused.limit, peer)
    }
    let index = load.take()
    let number = descriptor.release()
    mailboxes[index].post { loop in
      guard let server = (loop.attachment as? any ServesConnections)?.server else {
        _ = Descriptor(adopting: number)
        return
      }
      server.adopt(Descriptor(adopting: number), from: peer, permit)
    }
  }

  /// One line a second at most: whoever floods connections shall not flood the log.
  private func noteRefusal(_ limit: ConnectionLimit, _ peer: SocketAddress) {
    refusals += 1
    guard loop.now >= nextNote else { return }
    state.observer.note(
      .warning, "connection refused: too many are open",
      [("limit", limit.name), ("peer", peer.description), ("count", "\(refusals)")])
    refusals = 0
    nextNote = loop.now.advanced(by: .seconds(1))
  }

  /// Without a descriptor the socket stays readable: stop looking for a while instead of spinning.
  private func pause() {
    isPaused = true
    watch([])
    state.observer.note(.warning, "accepting pauses: no descriptor is left", [])
    loop.schedule(after: state.settings.acceptPause) { [weak self] in
      guard let self, !self.isClosed else { return }
      self.isPaused = false
      self.watch(.read)
    }
  }

  private func watch(_ interest: Interest) {
    do throws(SystemError) {
      try loop.setInterest(socket.descriptor.number, interest)
    } catch {
      state.observer.note(.error, "the listening socket cannot be watched: \(error)", [])
    }
  }
}

/// How many connections each loop has, as the acceptor counts.
public final class LoopLoad: Sendable {
  private let counts: Mutex<[Int]>

  /// Starts at zero for each of `loops`.
  public init(loops: Int) {
    counts = Mutex(Array(repeating: 0, count: loops))
  }

  /// Counts a connection for the loop with the fewest and returns that loop's index.
  func take() -> Int {
    counts.withLock { counts in
      var least = 0
      for index in counts.indices where counts[index] < counts[least] { least = index }
      counts[least] += 1
      return least
    }
  }

  /// A connection of the loop has ended.
  func release(_ index: Int) {
    counts.withLock { $0[index] -= 1 }
  }
}
