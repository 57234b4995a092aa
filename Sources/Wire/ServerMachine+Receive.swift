extension ServerMachine {
  /// Takes a frame of the client.
  ///
  /// - Throws: ``ProtocolError``; give its status to ``fail(_:now:)``.
  public mutating func receive(
    _ frame: consuming Frame, now: UInt64
  ) throws(ProtocolError) -> ServerAction {
    if discardsInput { return .ignore }
    precondition(phase != .authenticating, "a frame while a key is looked up")
    precondition(pending == nil, "a Call was neither accepted nor declined")
    liveness.frameReceived(now: now)
    let stream = frame.stream
    switch frame.body {
    case .call(let call):
      try expectStream(stream, "Call")
      return try receiveCall(call, stream)
    case .data(let data):
      try expectStream(stream, "Data")
      return try receiveData(data, stream)
    case .cancel:
      try expectStream(stream, "Cancel")
      return try receiveCancel(stream, now: now)
    case .credit(let bytes):
      try expectOpen("Credit")
      return stream == 0
        ? try receiveCredit(bytes, now: now) : try receiveCredit(bytes, on: stream, now: now)
    case .ping(let token):
      try expectConnection(stream, "Ping")
      try meter.ping(now: now)
      return .pong(token: token)
    case .pong(let token):
      try expectConnection(stream, "Pong")
      return try receivePong(token, now: now)
    case .goaway(let goaway):
      try expectConnection(stream, "Goaway")
      return try receiveGoaway(goaway, now: now)
    case .hello(let hello):
      return try receiveHello(hello, stream)
    case .welcome, .end:
      try expectOpen(frame.body.name)
      throw .frameNotAllowed(frame: frame.body.name)
    }
  }

  private func expectOpen(_ frame: String) throws(ProtocolError) {
    guard phase == .open else { throw .helloExpected(frame: frame) }
  }

  private func expectStream(_ stream: UInt32, _ frame: String) throws(ProtocolError) {
    try expectOpen(frame)
    guard stream != 0 else { throw .streamMisplaced(frame: frame, stream: 0) }
  }

  private func expectConnection(_ stream: UInt32, _ frame: String) throws(ProtocolError) {
    try expectOpen(frame)
    guard stream == 0 else { throw .streamMisplaced(frame: frame, stream: stream) }
  }

  // MARK: The connection

  private mutating func receiveHello(
    _ hello: Hello, _ stream: UInt32
  ) throws(ProtocolError) -> ServerAction {
    guard stream == 0 else { throw .streamMisplaced(frame: "Hello", stream: stream) }
    guard phase == .awaitingHello else { throw .greetingRepeated(frame: "Hello") }
    guard let window = Int64(exactly: hello.streamWindowBytes) else {
      throw .fieldTooLarge(field: "hello.stream_window_bytes", max: .max)
    }
    if window > 0 { streams.peerStreamWindow = window }
    phase = .authenticating
    return .authenticate(hello)
  }

  private mutating func receivePong(
    _ token: UInt64, now: UInt64
  ) throws(ProtocolError) -> ServerAction {
    guard liveness.pong(token) else {
      try meter.idleFrame(now: now)
      return .ignore
    }
    if case .announced(let drainToken, _) = drain, token >= drainToken {
      return .drain(finishDrain())
    }
    return .ignore
  }

  private mutating func receiveGoaway(
    _ goaway: Goaway, now: UInt64
  ) throws(ProtocolError) -> ServerAction {
    if let status = goaway.status {
      phase = .closing(until: now)
      return .peerEnded(status)
    }
    if peerIsDraining {
      try meter.idleFrame(now: now)
      return .ignore
    }
    peerIsDraining = true
    return .peerDrains
  }

  private mutating func receiveCredit(
    _ bytes: UInt64, now: UInt64
  ) throws(ProtocolError) -> ServerAction {
    if bytes == 0 || streams.sendWindow >= streams.peerConnectionWindow {
      try meter.idleFrame(now: now)
    }
    return try streams.creditConnection(bytes) ? .connectionSendable : .ignore
  }

  // MARK: Streams

  private mutating func receiveCall(
    _ call: Frame.Call, _ stream: UInt32
  ) throws(ProtocolError) -> ServerAction {
    guard UInt64(stream) == streams.next else {
      throw .streamOutOfOrder(stream: stream, expected: streams.next)
    }
    if peerIsDraining { throw .frameNotAllowed(frame: "Call") }
    streams.next += 1
    if case .final = drain { return .ignore }
    guard streams.table.count < limits.openStreamsMax else {
      meter.streamEnded(wasCancelled: false, uncreditedBytes: 0)
      return .refuse(stream: stream, tooManyStreams)
    }
    pending = PendingCall(
      stream: stream, endOfRequests: call.endOfRequests, hasNoMessage: call.hasNoMessage,
      hasMessage: !call.message.isEmpty)
    return .call(stream: stream, call)
  }

  private var tooManyStreams: Status {
    Status(
      .resourceExhausted, reason: "TOO_MANY_STREAMS",
      message: "More than \(limits.openStreamsMax) streams are open; wait for one to end.")
  }

  private mutating func receiveData(
    _ data: Frame.Data, _ stream: UInt32
  ) throws(ProtocolError) -> ServerAction {
    guard streams.wasOpened(stream) else {
      throw .streamNeverOpened(frame: "Data", stream: stream)
    }
    let bytes = data.message.count
    guard let slot = streams.table.slot(of: stream),
      !streams.table[slot].flags.contains(.ended)
    else {
      return data.isOnlyHalfClose ? .ignore : credit(try streams.discard(bytes))
    }
    let flags = streams.table[slot].flags
    guard !flags.contains(.halfClosed) else { throw .streamHalfClosed(stream: stream) }
    if !data.isOnlyHalfClose { try streams.receive(bytes, at: slot) }
    if data.endOfRequests { streams.table[slot].flags.insert(.halfClosed) }
    if flags.contains(.cancelled) {
      return credit(streams.consume(bytes, at: slot).connectionBytes)
    }
    return data.isOnlyHalfClose ? .halfClose(stream: stream) : .message(stream: stream, data)
  }

  private func credit(_ connectionBytes: UInt64) -> ServerAction {
    connectionBytes == 0 ? .ignore : .credit(connectionBytes: connectionBytes)
  }

  private mutating func receiveCancel(
    _ stream: UInt32, now: UInt64
  ) throws(ProtocolError) -> ServerAction {
    guard streams.wasOpened(stream) else {
      throw .streamNeverOpened(frame: "Cancel", stream: stream)
    }
    guard let slot = streams.table.slot(of: stream),
      !streams.table[slot].flags.contains(.ended)
    else {
      try meter.lateCancel(now: now)
      return .ignore
    }
    guard !streams.table[slot].flags.contains(.cancelled) else {
      try meter.idleFrame(now: now)
      return .ignore
    }
    try meter.cancel(now: now)
    streams.table[slot].flags.insert(.cancelled)
    return .cancel(stream: stream)
  }

  private mutating func receiveCredit(
    _ bytes: UInt64, on stream: UInt32, now: UInt64
  ) throws(ProtocolError) -> ServerAction {
    guard streams.wasOpened(stream) else {
      throw .streamNeverOpened(frame: "Credit", stream: stream)
    }
    guard let slot = streams.table.slot(of: stream),
      !streams.table[slot].flags.contains(.ended)
    else {
      try meter.lateCredit(bytes, now: now)
      return .ignore
    }
    if bytes == 0 || streams.table[slot].sendWindow >= streams.peerStreamWindow {
      try meter.idleFrame(now: now)
    }
    return try streams.credit(bytes, at: slot) ? .sendable(stream: stream) : .ignore
  }
}
