internal import CPostgres
internal import EventLoop

/// A link outside of pipeline mode: one command at a time, for what pipelines do not allow.
final class PlainConnection: LinkOwner {
  let link: Link
  /// Told of notifications, between commands too.
  var onNotification: ((_ channel: String, _ payload: String) -> Void)?
  /// Told when the connection breaks.
  var onEnd: ((_ message: String) -> Void)?

  private var scratch = Scratch()
  private var reader: Waiter?
  private(set) var endMessage: String?

  init(_ link: Link) {
    self.link = link
    link.owner = self
  }

  // MARK: Commands

  /// Runs one or more statements of text and keeps no result.
  ///
  /// - Throws: The first statement's error; what follows it did not run.
  func simple(_ sql: String, _ work: Work) async throws(PostgresError) {
    guard !sql.utf8.contains(0) else { throw .configuration("a statement holds a NUL") }
    try check()
    unsafe try sent(sql.withCString { unsafe PQsendQuery(link.raw, $0) == 1 })
    while let result = try await unsafe next(work) { unsafe PQclear(result) }
  }

  /// Runs one statement with parameters.
  func run<Output>(_ query: Query<Output>, _ work: Work) async throws(PostgresError) -> Output {
    try check()
    try sent(
      unsafe scratch.send(query.statement, query.parameters, isPrepared: false, to: link.raw))
    var reply: Reply?
    while let result = try await unsafe next(work) {
      reply = unsafe Reply(adopting: result, of: query.statement)
    }
    guard let reply else {
      throw .connectionLost(outcomeUnknown: true, message: "the server sent no result")
    }
    return try query.decode(reply)
  }

  /// Begins a COPY FROM STDIN.
  func beginCopy(_ sql: String, _ work: Work) async throws(PostgresError) {
    try check()
    unsafe try sent(sql.withCString { unsafe PQsendQuery(link.raw, $0) == 1 })
    guard let result = try await unsafe next(work) else { return }
    let status = unsafe PQresultStatus(result)
    unsafe PQclear(result)
    if status == PGRES_COPY_IN { return }
    while let result = try await unsafe next(work) { unsafe PQclear(result) }
    throw .configuration("not a COPY FROM STDIN: \(sql)")
  }

  /// Sends a piece of a COPY.
  func put(_ bytes: [UInt8]) async throws(PostgresError) {
    while true {
      try check()
      let status = unsafe bytes.withUnsafeBytes { bytes in
        unsafe bytes.withMemoryRebound(to: CChar.self) {
          unsafe PQputCopyData(link.raw, $0.baseAddress, Int32($0.count))
        }
      }
      if status < 0 { throw lost() }
      await link.flushed()
      if status == 1 { return }
    }
  }

  /// Ends a COPY, or gives it up because of `problem`; returns the number of rows.
  func endCopy(_ problem: String?, _ work: Work) async throws(PostgresError) -> Int {
    while true {
      try check()
      let status: Int32
      if let problem {
        status = unsafe problem.withCString { unsafe PQputCopyEnd(link.raw, $0) }
      } else {
        status = unsafe PQputCopyEnd(link.raw, nil)
      }
      if status < 0 { throw lost() }
      await link.flushed()
      if status == 1 { break }
    }
    var count = 0
    while let result = try await unsafe next(work) {
      count = unsafe Reply(adopting: result, of: PlainConnection.copy).affectedCount
    }
    return count
  }

  private static let copy = Statement(computed: "copy", sql: "", parameters: [])

  // MARK: Results

  private func check() throws(PostgresError) {
    if !link.isOpen { throw lost() }
  }

  private func lost() -> PostgresError {
    .connectionLost(outcomeUnknown: true, message: endMessage ?? "the connection is closed")
  }

  private func sent(_ isSent: Bool) throws(PostgresError) {
    if !isSent { link.fail() }
    try check()
    link.flush()
  }

  /// The next result of the command, or nil at its end; throws after the command's end.
  private func next(_ work: Work) async throws(PostgresError) -> OpaquePointer? {
    try await ready(work)
    guard let result = unsafe PQgetResult(link.raw) else {
      deliverNotifications()
      return nil
    }
    let status = unsafe PQresultStatus(result)
    guard status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE else {
      return unsafe result
    }
    let report = unsafe ServerError(result)
    unsafe PQclear(result)
    if report.isFatal || report.sqlState.isEmpty {
      endMessage = report.message
      link.fail(report.message)
      throw lost()
    }
    while true {
      try await ready(work)
      guard let rest = unsafe PQgetResult(link.raw) else { throw .server(report) }
      unsafe PQclear(rest)
    }
  }

  /// Waits until libpq has a result; stops the statement when the work is no longer wanted.
  private func ready(_ work: Work) async throws(PostgresError) {
    while true {
      try check()
      if let failure = work.failure(at: link.loop.now) {
        link.cancelStatement()
        close()
        throw failure
      }
      guard unsafe PQisBusy(link.raw) != 0 else { return }
      let token = work.cancellation?.onCancel { [self] _ in wakeReader() }
      let timer = work.deadline.map { deadline in
        link.loop.schedule(after: deadline.since(link.loop.now)) { [self] in wakeReader() }
      }
      await Waiter.suspend(unless: { isOver(work) }) { reader = $0 }
      if let timer { link.loop.cancel(timer) }
      if let token { work.cancellation?.remove(token) }
    }
  }

  /// Whether there is no reason left to wait for the server.
  private func isOver(_ work: Work) -> Bool {
    guard link.isOpen, work.failure(at: link.loop.now) == nil else { return true }
    return unsafe PQisBusy(link.raw) == 0
  }

  private func wakeReader() {
    let waiter = reader
    reader = nil
    waiter?.resume()
  }

  func linkIsReadable() {
    wakeReader()
    deliverNotifications()
  }

  private func deliverNotifications() {
    while link.isOpen, let notification = unsafe PQnotifies(link.raw) {
      let channel = unsafe String(cString: notification.pointee.relname)
      let payload = unsafe String(cString: notification.pointee.extra)
      unsafe PQfreemem(notification)
      onNotification?(channel, payload)
    }
  }

  // MARK: Ending

  func linkFailed(_ message: String) {
    if endMessage == nil { endMessage = message }
    wakeReader()
    let onEnd = onEnd
    self.onEnd = nil
    onNotification = nil
    onEnd?(message)
  }

  func close() {
    onEnd = nil
    onNotification = nil
    link.close()
    wakeReader()
  }
}
