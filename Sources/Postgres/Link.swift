internal import CPostgres
internal import EventLoop

/// libpq's connection object, closed and freed with the value.
@safe struct ConnectionHandle: ~Copyable {
  let raw: OpaquePointer

  init(adopting raw: OpaquePointer) { unsafe self.raw = unsafe raw }
  deinit { unsafe PQfinish(raw) }

  /// What libpq says of the last failure.
  var message: String { unsafe String(cString: PQerrorMessage(raw)).trimmed }
}

/// Is told of what happens to an open link.
protocol LinkOwner: AnyObject {
  /// Bytes have arrived, or the server has gone: ask libpq.
  func linkIsReadable()
  /// The link can no longer be used; it is closed already.
  func linkFailed(_ message: String)
}

/// A connection to the server and its descriptor's readiness, living on a loop.
final class Link: DescriptorHandler {
  let loop: Loop
  /// Who gets the events of the open link.
  var owner: (any LinkOwner)?
  private(set) var isOpen = true
  /// The report with which the server ended the session, if it was idle then.
  private(set) var farewell: ServerError?
  private var handle: ConnectionHandle?
  private var descriptor: Int32 = -1
  private var opening: Waiter?
  /// Whether libpq still connects, and whether there is something for it to do.
  private var isConnecting = true
  private var isAwake = false
  private var wantsWrite = false
  private var isFailing = false
  /// Waits until libpq has sent what it holds.
  private var flushWaiter: Waiter?

  private init(_ loop: Loop, _ handle: consuming ConnectionHandle) {
    self.loop = loop
    self.handle = consume handle
  }

  /// libpq's object; ask only while the link is open.
  var raw: OpaquePointer {
    precondition(isOpen, "the link is closed")
    switch handle {
    case .some(let handle): return unsafe handle.raw
    case .none: preconditionFailure("an open link has its handle")
    }
  }

  // MARK: Opening

  /// Connects, trying each host of the string, in `timeout` at most; `turn` rotates the hosts.
  static func open(
    _ string: ConnectionString, turn: Int, on loop: Loop, timeout: Duration
  ) async throws(PostgresError) -> Link {
    var string = string
    if !string.isResolved {
      string = try await loop.offload { [string] in string.resolved(turn: turn) }.get()
    }
    guard let handle = string.open() else { throw .away("out of memory") }
    let link = Link(loop, handle)
    do {
      try await link.connect(until: loop.now.advanced(by: timeout))
    } catch {
      link.close()
      throw error
    }
    return link
  }

  private func connect(until deadline: Instant) async throws(PostgresError) {
    guard unsafe PQstatus(raw) != CONNECTION_BAD else { throw failure() }
    var next = PGRES_POLLING_WRITING
    while next != PGRES_POLLING_OK {
      guard loop.now < deadline else { throw .away("no answer from the server in time") }
      try watch(next == PGRES_POLLING_READING ? .read : .write)
      isAwake = false
      let timer = loop.schedule(after: deadline.since(loop.now)) { [self] in wakeOpening() }
      await Waiter.suspend(unless: { isAwake }) { opening = $0 }
      loop.cancel(timer)
      // libpq may go on with another socket, so the loop forgets this one first.
      unwatch()
      if loop.now >= deadline { continue }
      next = unsafe PQconnectPoll(raw)
      if next == PGRES_POLLING_FAILED { throw failure() }
    }
    isConnecting = false
    _ = unsafe PQsetnonblocking(raw, 1)
    unsafe PQsetNoticeReceiver(raw, Link.receiveNotice, Unmanaged.passUnretained(self).toOpaque())
    try watch(.read)
  }

  /// Keeps the report with which the server ends an idle session: libpq takes it for a notice.
  ///
  /// Other notices are for people at a terminal; libpq would print them.
  private static let receiveNotice: PQnoticeReceiver = { context, result in
    guard let context = unsafe context, let result = unsafe result else { return }
    let report = unsafe ServerError(result)
    if report.isFatal {
      unsafe Unmanaged<Link>.fromOpaque(context).takeUnretainedValue().farewell = report
    }
  }

  private func failure() -> PostgresError {
    .away(unsafe String(cString: PQerrorMessage(raw)).trimmed)
  }

  private func watch(_ interest: Interest) throws(PostgresError) {
    descriptor = unsafe PQsocket(raw)
    guard descriptor >= 0 else { throw failure() }
    do {
      try loop.register(descriptor, interest, self)
    } catch {
      descriptor = -1
      throw .away(error.description)
    }
  }

  private func unwatch() {
    guard descriptor >= 0 else { return }
    loop.deregister(descriptor)
    descriptor = -1
  }

  private func wakeOpening() {
    isAwake = true
    let waiter = opening
    opening = nil
    waiter?.resume()
  }

  // MARK: Events

  func ready(_ readiness: Readiness) {
    if isConnecting { return wakeOpening() }
    guard isOpen else { return }
    if wantsWrite { flush() }
    guard isOpen, readiness != .write else { return }
    let isAlive = unsafe PQconsumeInput(raw) == 1
    // Asking whether a result is there is what makes libpq look at what has arrived. What came
    // before the end, such as the reason for it, is read first.
    _ = unsafe PQisBusy(raw)
    owner?.linkIsReadable()
    guard isOpen else { return }
    let status = unsafe PQstatus(raw)
    if !isAlive || status == CONNECTION_BAD { fail() }
  }

  /// Sends what libpq holds, and goes on when the socket takes more.
  func flush() {
    guard isOpen else { return }
    let left = unsafe PQflush(raw)
    if left < 0 { return fail() }
    if (left == 1) != wantsWrite {
      wantsWrite = left == 1
      do {
        try loop.setInterest(descriptor, wantsWrite ? [.read, .write] : .read)
      } catch {
        return fail(error.description)
      }
    }
    if left == 0 { wakeFlushWaiter() }
  }

  /// Whether libpq holds bytes that the socket did not take.
  var isCongested: Bool { wantsWrite }

  /// Waits until libpq holds no unsent bytes, or the link is closed.
  func flushed() async {
    flush()
    guard isOpen, wantsWrite else { return }
    await Waiter.suspend(unless: { !isOpen || !wantsWrite }) { flushWaiter = $0 }
  }

  private func wakeFlushWaiter() {
    let waiter = flushWaiter
    flushWaiter = nil
    waiter?.resume()
  }

  // MARK: Ending

  /// Ends a link that broke and tells its owner.
  func fail(_ message: String? = nil) {
    guard isOpen, !isFailing else { return }
    isFailing = true
    // A write that fails may be the first sign of an end whose reason waits to be read.
    _ = unsafe PQconsumeInput(raw)
    _ = unsafe PQisBusy(raw)
    owner?.linkIsReadable()
    guard isOpen else { return }
    let words = unsafe String(cString: PQerrorMessage(raw)).trimmed
    let message = message ?? words
    let owner = owner
    close()
    owner?.linkFailed(message.isEmpty ? "the connection broke" : message)
  }

  /// Ends the link without telling its owner.
  func close() {
    guard isOpen else { return }
    unwatch()
    isOpen = false
    owner = nil
    handle = nil
    wakeFlushWaiter()
  }

  /// Asks the server to stop what it runs for this link; a thread waits for it.
  ///
  /// The request may arrive late and stop something else, so the link must not be used after this.
  /// It is left out where too many others wait: the statement's own timeout ends it then.
  func cancelStatement() {
    guard isOpen, let request = unsafe PQgetCancel(raw) else { return }
    let address = UInt(bitPattern: request)
    loop.spawn {
      let isTaken: Void? = await Link.cancellers.runIfFree {
        let request = unsafe OpaquePointer(bitPattern: address)
        var words = [CChar](repeating: 0, count: 256)
        _ = unsafe PQcancel(request, &words, 256)
        unsafe PQfreeCancel(request)
      }
      if isTaken == nil { unsafe PQfreeCancel(OpaquePointer(bitPattern: address)) }
    }
  }

  /// Send the requests, each over a connection of its own, which libpq waits for.
  ///
  /// Where packets are swallowed that takes minutes. The loop's own helpers must not wait along:
  /// they look up where the server is that takes over.
  private static let cancellers = HelperThreads(
    "needletail-stop", countMax: 2, waitingMax: 1_024)
}

/// Takes an error report apart.
extension ServerError {
  init(_ result: OpaquePointer) {
    func field(_ code: Int32) -> String? {
      unsafe PQresultErrorField(result, code).map { unsafe String(cString: $0) }
    }
    let whole = unsafe String(cString: PQresultErrorMessage(result)).trimmed
    self.init(
      sqlState: field(needletail_field_sqlstate) ?? "",
      message: field(needletail_field_message) ?? whole, detail: field(needletail_field_detail),
      constraint: field(needletail_field_constraint), table: field(needletail_field_table),
      column: field(needletail_field_column), severity: field(needletail_field_severity) ?? "ERROR")
  }
}
