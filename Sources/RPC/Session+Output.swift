internal import EventLoop
internal import TLS
internal import Wire

extension Session {
  /// Writes at the end of the turn, once for everything that became ready in it.
  func scheduleFlush() {
    guard !isFlushScheduled, phase != .closed else { return }
    isFlushScheduled = true
    loop.atEndOfTurn(self)
  }

  func endOfTurn() {
    isFlushScheduled = false
    for call in startedCalls { call.watchDeadline() }
    startedCalls.removeAll(keepingCapacity: true)
    flush()
    watch()
  }

  /// Writes as much as the socket takes.
  func flush() {
    guard phase == .serving || phase == .closing, !waitsForWritable else { return }
    let before = written
    do throws(TLSError) {
      try writeOutput()
    } catch {
      return abandon("TLS failed: \(error)")
    }
    server.metrics.bytesWritten &+= UInt64(written - before)
    let unsent = output.count - written
    outflow.wrote(written - before, waiting: unsent, now: loop.now.nanoseconds)
    if unsent == 0 {
      output.removeAll(keepingCapacity: written <= Session.keptOutputBytes)
      written = 0
      if phase == .closing { finishClosing() }
    } else if written >= max(unsent, Session.keptOutputBytes) {
      // A peer that never reads everything must not make what was sent pile up.
      output.removeFirst(written)
      written = 0
    }
    if waitingBytes > settings.outputBytesPause { pauseReading() }
    if unsent < settings.outputBytesMax / 2 { wakeResponders() }
    resumeReadingIfPossible()
  }

  /// An output buffer up to this size is kept for the next turn; an idle connection drops it.
  static let keptOutputBytes = 64 << 10

  private func writeOutput() throws(TLSError) {
    let bytes = output.bytes
    while written < bytes.count {
      switch try unsafe tls.write(bytes.span.bytes.extracting(written...)) {
      case .bytes(let count): written += count
      case .wantWrite, .wantRead:
        waitsForWritable = true
        return
      case .closed: return abandon("the connection was cut")
      }
    }
  }

  /// Everything is sent: says that nothing follows.
  ///
  /// Input is discarded until the peer closes too, so that what it has not yet read is not lost to
  /// a reset.
  private func finishClosing() {
    guard !isShutdownSent else { return }
    do throws(TLSError) {
      if try tls.shutdown() == .done {
        isShutdownSent = true
        descriptor.finishWriting()
      } else {
        waitsForWritable = true
      }
    } catch {
      return abandon("TLS failed: \(error)")
    }
    if !machine.discardsInput {
      // Drained: the client has nothing open and knows that it may go.
      loop.schedule(after: settings.wire.lingerTimeout) { [weak self] in self?.abandon("drained") }
    }
  }

  /// Lets every stream go on that waits and may.
  func wakeResponders() {
    while let stream = machine.nextSendable() { calls[stream]?.mayRespond.notify() }
    guard hasBlockedResponders else { return }
    hasBlockedResponders = false
    for call in Array(calls.values) { call.mayRespond.notify() }
  }
}
