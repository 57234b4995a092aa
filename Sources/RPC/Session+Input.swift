internal import EventLoop
internal import TLS
internal import Wire

extension Session {
  /// Reads what is there, up to a bound per turn, and takes every whole frame.
  func receive() {
    guard phase == .serving || phase == .closing else { return }
    if isInputEnded || isReadingPaused || isTurnOver { return }
    if machine.discardsInput { return discardInput() }
    var budget = settings.readBytesPerTurnMax
    while budget > 0, phase != .closed, !isReadingPaused, !isTurnOver, machine.wantsFrames,
      !machine.discardsInput
    {
      // What is left of a frame goes before what comes, unless it is a large frame that is
      // collected.
      let kept = input.count <= ReadBuffer.capacityBytes / 2 ? input.count : 0
      if kept > 0 { server.readBuffer.fill(input) }
      let (end, isDry) = fill(from: kept)
      if end > kept { take(end, kept: kept) }
      budget -= end - kept
      if isDry || !tls.hasBufferedInput { break }
    }
    if budget <= 0, tls.hasBufferedInput, !isTurnOver { loop.atEndOfTurn(ReadAgain(self)) }
  }

  /// Throws away what arrived of a peer that was told to go, every ``lingerTurn``, until it has
  /// gone or its time is over.
  ///
  /// To decrypt it, or to be woken by each packet, would let a flood cost as much after its end as
  /// before; meanwhile the kernel's buffer holds it up.
  func linger() {
    loop.schedule(after: Session.lingerTurn) { [weak self] in
      guard let self, phase == .closing, !isInputEnded else { return }
      discardInput()
      if !isInputEnded { linger() }
    }
  }

  /// How often a connection that was told to go is looked at.
  private static let lingerTurn = Duration.milliseconds(50)

  private func discardInput() {
    switch descriptor.discardInput(upTo: settings.readBytesPerTurnMax) {
    case .bytes(let count): server.metrics.bytesRead &+= UInt64(count)
    case .ended: inputEnded(endReason)
    }
  }

  /// Reads records into the loop's buffer, behind its first `count` bytes, until it is full or
  /// nothing more is there without asking the kernel again.
  ///
  /// It is dry when only the kernel can bring more: part of a record counts as buffered, too, and
  /// whoever asked for it again and again would never come to an end.
  private func fill(from count: Int) -> (count: Int, isDry: Bool) {
    var count = count
    var updates = tls.keyUpdateCount
    do throws(TLSError) {
      while count < ReadBuffer.capacityBytes {
        let transfer = try read(at: count)
        let hasUpdates = tls.keyUpdateCount > updates
        if hasUpdates {
          updates = tls.keyUpdateCount
          checkKeyUpdates(loop.now)
          if phase != .serving { return (count, true) }
        }
        switch transfer {
        case .bytes(let more): count += more
        case .wantRead:
          // TLS may return behind a key update with more to read.
          guard hasUpdates else { return (count, true) }
          continue
        case .wantWrite:
          waitsForWritable = true
          return (count, true)
        case .closed(let isClean):
          inputEnded(isClean ? "the peer closed the connection" : "the connection was cut")
          return (count, true)
        }
        if !tls.hasBufferedInput { return (count, true) }
      }
    } catch {
      inputEnded("TLS failed: \(error)")
      return (count, true)
    }
    return (count, false)
  }

  private func read(at offset: Int) throws(TLSError) -> TLSTransfer {
    try server.readBuffer.withRest(after: offset) { (rest) throws(TLSError) in
      try tls.read(into: &rest)
    }
  }

  private func inputEnded(_ reason: String) {
    isInputEnded = true
    if phase == .serving { endReason = reason }
    loop.atEndOfTurn(EndOfInput(self))
  }

  /// Takes the first `count` bytes of the loop's buffer, of which `kept` were read earlier.
  private func take(_ count: Int, kept: Int) {
    server.metrics.bytesRead &+= UInt64(count - kept)
    if machine.discardsInput { return }
    server.readBuffer.withBytes(count) { bytes in
      guard input.count == kept else {
        // A frame that is larger than the buffer: collected until it is whole.
        unsafe bytes.withUnsafeBytes { unsafe input.append(contentsOf: $0) }
        return takeInput()
      }
      if kept > 0 { input.removeAll(keepingCapacity: true) }
      let used = process(bytes)
      guard used < count, phase == .serving else { return }
      unsafe bytes.extracting(used..<count).withUnsafeBytes { unsafe input.append(contentsOf: $0) }
    }
  }

  /// Takes every whole frame of what was left.
  func takeInput() {
    guard !input.isEmpty else { return }
    var taken: [UInt8] = []
    swap(&taken, &input)
    let used = unsafe process(taken.span.bytes)
    if used < taken.count, phase == .serving {
      taken.removeFirst(used)
      input = taken
    }
  }

  /// Takes every whole frame of `bytes` that may be taken now, and says how many bytes those were.
  private func process(_ bytes: RawSpan) -> Int {
    var offset = 0
    do throws(ProtocolError) {
      while phase == .serving, machine.wantsFrames, !isReadingPaused, !isTurnOver {
        let split = try splitFrame(bytes, at: offset, frameBytesMax: machine.frameBytesMax)
        switch split {
        case .body(let range):
          let body = bytes.extracting(range)
          let frame = try Frame.decode(body)
          offset = range.upperBound
          perform(try machine.receive(frame, now: loop.now.nanoseconds), body)
        case .incomplete(let declared):
          if offset < bytes.byteCount {
            machine.frameIncomplete(declaredBytes: declared, now: loop.now.nanoseconds)
          }
          return offset
        }
      }
    } catch {
      fail(error)
    }
    return offset
  }

  private func perform(_ action: ServerAction, _ body: RawSpan) {
    switch action {
    case .ignore: break
    case .authenticate(let hello): authenticate(hello)
    case .call(let stream, let call):
      open(stream, call, body)
      take(calls: 1)
    case .refuse(let stream, let status):
      server.metrics.streamsRefused &+= 1
      output.end(stream: stream, status: status)
      scheduleFlush()
    case .message(let stream, let data): deliver(data, to: stream, body)
    case .halfClose(let stream):
      guard let call = calls[stream] else { break }
      call.requests.isEnded = true
      call.requestArrived.notify()
    case .cancel(let stream):
      calls[stream]?.cancel(.cancelled)
      take(calls: Session.callsPerCancel)
      if machine.cancelsOften { rest(settings.cancelPause) }
    case .sendable(let stream): calls[stream]?.mayRespond.notify()
    case .connectionSendable: wakeResponders()
    case .credit(let bytes):
      output.credit(stream: 0, bytes: bytes)
      scheduleFlush()
    case .pong(let token):
      output.pong(token: token)
      scheduleFlush()
    case .drain(let goaway):
      output.goaway(goaway)
      scheduleFlush()
      closeIfDrained()
    case .peerDrains: closeIfDrained()
    case .peerEnded(let status):
      abandon("the peer ended the connection: \(status.reason) \(status.message)")
    }
  }

  /// How many Calls of a turn's share a cancel counts for: whoever gives up what it has just asked
  /// for gets work for nothing, and the others wait for it.
  private static let callsPerCancel = 32

  /// Lets others go first after so many Calls: one read may hold thousands.
  private func take(calls count: Int) {
    callsOfTurn += count
    guard callsOfTurn >= settings.callsPerTurnMax, !isTurnOver else { return }
    isTurnOver = true
    loop.atEndOfTurn(ReadAgain(self))
  }

  private func deliver(_ data: Frame.Data, to stream: UInt32, _ body: RawSpan) {
    guard let call = calls[stream] else { return }
    call.requests.append(unsafe body.extracting(data.message).withUnsafeBytes { unsafe Array($0) })
    if data.endOfRequests { call.requests.isEnded = true }
    charge(data.message.count)
    queuedMessages += 1
    if queuedMessages >= Session.queuedMessagesMax { pauseReading() }
    call.requestArrived.notify()
  }

  // MARK: Back-pressure

  /// What waits in memory: Calls that handlers are at work on, and answers not yet sent.
  var waitingBytes: Int { callBytes + output.count - written }

  /// Reads no further: too much waits.
  func pauseReading() {
    guard !isReadingPaused else { return }
    isReadingPaused = true
    machine.pauseReading()
  }

  /// Reads on once little enough waits.
  func resumeReadingIfPossible() {
    guard isReadingPaused, !isPenalized, phase == .serving,
      waitingBytes < settings.outputBytesPause / 2,
      queuedMessages < Session.queuedMessagesMax / 2
    else { return }
    isReadingPaused = false
    machine.resumeReading(now: loop.now.nanoseconds)
    loop.atEndOfTurn(ReadAgain(self))
  }
}

/// Goes on with input that the socket will not be readable for again.
final class ReadAgain: TurnHandler {
  private let session: Session
  init(_ session: Session) { self.session = session }

  func endOfTurn() {
    session.callsOfTurn = 0
    session.isTurnOver = false
    session.takeInput()
    session.receive()
    session.watch()
  }
}

/// Closes a connection whose peer sends no more, after its last frames were taken.
private final class EndOfInput: TurnHandler {
  private let session: Session
  init(_ session: Session) { self.session = session }

  func endOfTurn() { session.abandon(session.endReason) }
}
