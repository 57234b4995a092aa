public import EventLoop
internal import TLS
internal import Wire

// Bytes in, bytes out.
extension ClientSession: DescriptorHandler, TurnHandler {
  /// Rounds of reading in one turn, so that one server cannot keep the others' waiting.
  private static let readRoundsMax = 32
  /// Output memory that is kept for the next turn, in bytes.
  private static let outputKeptBytesMax = 256 << 10

  /// Goes on with what waited for the socket.
  public func ready(_ readiness: Readiness) {
    switch phase {
    case .dialing: connected()
    case .handshaking: handshake()
    case .greeting, .open:
      if waitsToWrite, !readiness.isDisjoint(with: [.write, .error, .hangup]) { flush() }
      if !readiness.isDisjoint(with: [.read, .error, .hangup]) { receive() }
    case .closed: break
    }
  }

  // MARK: Out

  /// Writes what is there when the turn ends.
  func flushLater() {
    guard !isInEndOfTurn else { return }
    isInEndOfTurn = true
    loop.atEndOfTurn(self)
  }

  /// Writes what the turn left.
  public func endOfTurn() {
    isInEndOfTurn = false
    if mustReadOn {
      mustReadOn = false
      receive()
    }
    if !waitsToWrite { flush() }
  }

  /// Writes as much as the socket takes.
  func flush() {
    guard phase == .greeting || phase == .open else { return }
    do throws(TLSError) {
      while sentBytes < output.count {
        switch try transport?.write(output.bytes, from: sentBytes) {
        case .bytes(let count): sentBytes += count
        case .wantWrite: return waitToWrite(true)
        // Whatever the peer sends next lets the write go on: `receive` ends with a flush.
        case .wantRead: return
        case .closed, nil: return close(.connectionLost("The server closed the connection."))
        }
      }
    } catch {
      return close(.connectionLost("Sending failed: \(error)."))
    }
    sentBytes = 0
    output.removeAll(keepingCapacity: output.bytes.capacity <= Self.outputKeptBytesMax)
    if waitsToWrite { waitToWrite(false) }
  }

  private func waitToWrite(_ waits: Bool) {
    waitsToWrite = waits
    watch(waits ? [.read, .write] : .read)
  }

  // MARK: In

  /// Reads what is there and does what it says.
  func receive() {
    for _ in 0..<Self.readRoundsMax {
      let mayBeMore = shared.withInput { input in readRound(&input) }
      guard mayBeMore, phase != .closed else { return }
    }
    mustReadOn = true
    flushLater()
  }

  /// One record; says whether more may be there.
  private func readRound(_ input: inout [UInt8]) -> Bool {
    do throws(TLSError) {
      switch try transport?.read(into: &input) {
      case .bytes(let count):
        take(input, count)
        // Less than a record, and nothing fetched: the poller tells when more has come.
        return count == input.count || transport?.hasBufferedInput == true
      case .wantWrite: waitToWrite(true)
      case .closed: close(.connectionLost("The server closed the connection."))
      case .wantRead, nil: break
      }
    } catch {
      close(receivingFailed(error))
    }
    return false
  }

  /// Tells a server that does not trust this side from a connection that broke.
  ///
  /// In TLS 1.3 the server looks at a client's certificate when the handshake has ended here.
  private func receivingFailed(_ error: TLSError) -> ClientError {
    guard phase == .greeting, error.reason == .peerRefused else {
      return .connectionLost("Receiving failed: \(error).")
    }
    return .tls(
      "TLS with \(endpoint.address) failed: \(error). If the server asks for a client's "
        + "certificate, name one that it trusts: NEEDLETAIL_CERTIFICATE_FILE and "
        + "NEEDLETAIL_KEY_FILE.")
  }

  private func take(_ input: [UInt8], _ count: Int) {
    do throws(ProtocolError) {
      if partial.isEmpty {
        let taken = try frames(in: input, count)
        if taken < count { partial += input[taken..<count] }
      } else {
        partial += input[..<count]
        let whole = partial
        partial = []
        let taken = try frames(in: whole, whole.count)
        partial = taken == 0 ? whole : Array(whole[taken...])
      }
    } catch {
      return fail(error)
    }
    closeIfDrained()
  }

  /// Takes the whole frames of the first `count` bytes and says where the rest begins.
  private func frames(in bytes: [UInt8], _ count: Int) throws(ProtocolError) -> Int {
    let span = unsafe bytes.span.bytes.extracting(first: count)
    let now = loop.now.nanoseconds
    var offset = 0
    while phase != .closed {
      switch try splitFrame(span, at: offset, frameBytesMax: machine.frameBytesMax) {
      case .body(let range):
        try take(span.extracting(range), now: now)
        offset = range.upperBound
      case .incomplete(let declaredBytes):
        if offset < count {
          machine.frameIncomplete(declaredBytes: declaredBytes, now: now)
          arm()
        }
        return offset
      }
    }
    return count
  }

  private func take(_ body: RawSpan, now: UInt64) throws(ProtocolError) {
    switch try machine.receive(try Frame.decode(body), now: now) {
    case .end(let stream, let end):
      ended(stream, end, body)
    case .message(let stream, let data):
      calls[stream]?.callReceived(stream, body.extracting(data.message))
    case .sendable(let stream):
      calls[stream]?.callMaySend(stream)
    case .connectionSendable:
      tellSendable()
    case .credit(let bytes):
      output.credit(stream: 0, bytes: bytes)
      flushLater()
    case .pong(let token):
      output.pong(token: token)
      flushLater()
    case .ponged(let token):
      owner?.sessionPonged(self, token)
    case .welcome(let welcome):
      self.welcome = welcome
      phase = .open
      arm()
      owner?.sessionOpened(self, welcome)
      tellSendable()
    case .drain(let lastStream):
      drained(lastStream)
    case .ended(let status):
      close(.status(status))
    case .ignore:
      break
    }
  }

  private func ended(_ stream: UInt32, _ end: Frame.End, _ body: RawSpan) {
    if let handler = calls.remove(stream) {
      let status = end.status.flatMap { $0.isOK ? nil : $0 }
      handler.callEnded(stream, status, body.extracting(end.message))
    } else {
      release(stream)
    }
    owner?.sessionHasRoom(self)
  }

  private func tellSendable() {
    while let stream = machine.nextSendable() { calls[stream]?.callMaySend(stream) }
  }

  private func drained(_ lastStream: UInt32) {
    isDraining = true
    for stream in calls.streams.sorted() where stream > lastStream {
      let handler = calls.remove(stream)
      release(stream)
      handler?.callLost(
        stream, .connectionLost("The server drains and did not start the call."),
        mayHaveStarted: false)
    }
    owner?.sessionDrains(self)
  }
}
