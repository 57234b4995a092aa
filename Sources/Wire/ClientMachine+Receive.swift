extension ClientMachine {
  /// Takes a frame of the server.
  ///
  /// - Throws: ``ProtocolError``; give its status to ``fail(_:)``.
  public mutating func receive(
    _ frame: consuming Frame, now: UInt64
  ) throws(ProtocolError) -> ClientAction {
    guard phase != .ended else { return .ignore }
    liveness.frameReceived(now: now)
    let stream = frame.stream
    switch frame.body {
    case .end(let end):
      try expectStream(stream, "End")
      return try receiveEnd(end, stream)
    case .data(let data):
      try expectStream(stream, "Data")
      return try receiveData(data, stream)
    case .credit(let bytes):
      try expectOpen("Credit")
      return try receiveCredit(bytes, on: stream)
    case .ping(let token):
      try expectConnection(stream, "Ping")
      return .pong(token: token)
    case .pong(let token):
      try expectConnection(stream, "Pong")
      return liveness.pong(token) ? .ponged(token: token) : .ignore
    case .goaway(let goaway):
      guard stream == 0 else { throw .streamMisplaced(frame: "Goaway", stream: stream) }
      return receiveGoaway(goaway)
    case .welcome(let welcome):
      return try receiveWelcome(welcome, stream)
    case .hello, .call, .cancel:
      try expectOpen(frame.body.name)
      throw .frameNotAllowed(frame: frame.body.name)
    }
  }

  private func expectOpen(_ frame: String) throws(ProtocolError) {
    guard phase == .open else { throw .welcomeExpected(frame: frame) }
  }

  private func expectStream(_ stream: UInt32, _ frame: String) throws(ProtocolError) {
    try expectOpen(frame)
    guard stream != 0 else { throw .streamMisplaced(frame: frame, stream: 0) }
    guard streams.wasOpened(stream) else {
      throw .streamNeverOpened(frame: frame, stream: stream)
    }
  }

  private func expectConnection(_ stream: UInt32, _ frame: String) throws(ProtocolError) {
    try expectOpen(frame)
    guard stream == 0 else { throw .streamMisplaced(frame: frame, stream: stream) }
  }

  // MARK: The connection

  private mutating func receiveWelcome(
    _ welcome: Welcome, _ stream: UInt32
  ) throws(ProtocolError) -> ClientAction {
    guard stream == 0 else { throw .streamMisplaced(frame: "Welcome", stream: stream) }
    guard phase == .awaitingWelcome else { throw .greetingRepeated(frame: "Welcome") }
    let announced = welcome.limits
    let streamWindow = try Self.window(
      announced?.streamWindowBytes, limits.defaultStreamWindowBytes,
      "limits.stream_window_bytes")
    let connectionWindow = try Self.window(
      announced?.connectionWindowBytes, limits.connectionWindowBytes,
      "limits.connection_window_bytes")
    phase = .open
    streams.openWindows(stream: streamWindow, connection: connectionWindow)
    if let announced { takeOver(announced) }
    return .welcome(welcome)
  }

  private static func window(
    _ announced: UInt64?, _ standard: Int64, _ field: String
  ) throws(ProtocolError) -> Int64 {
    guard let announced, announced > 0 else { return standard }
    guard let window = Int64(exactly: announced) else {
      throw .fieldTooLarge(field: field, max: .max)
    }
    return window
  }

  private mutating func receiveGoaway(_ goaway: Goaway) -> ClientAction {
    isDraining = true
    if let status = goaway.status {
      phase = .ended
      return .ended(status)
    }
    lastStreamAllowed = min(lastStreamAllowed, goaway.lastStream)
    return .drain(lastStream: lastStreamAllowed)
  }

  // MARK: Streams

  private mutating func receiveEnd(
    _ end: Frame.End, _ stream: UInt32
  ) throws(ProtocolError) -> ClientAction {
    guard let slot = streams.table.slot(of: stream) else {
      throw .frameAfterEnd(frame: "End", stream: stream)
    }
    guard !streams.table[slot].flags.contains(.ended) else {
      throw .frameAfterEnd(frame: "End", stream: stream)
    }
    streams.stopWaiting(at: slot)
    if streams.unconsumed(at: slot) > 0 {
      streams.table[slot].flags.insert(.ended)
      endedStreams += 1
    } else {
      _ = streams.remove(at: slot)
    }
    return .end(stream: stream, end)
  }

  private mutating func receiveData(
    _ data: Frame.Data, _ stream: UInt32
  ) throws(ProtocolError) -> ClientAction {
    if data.endOfRequests { throw .frameNotAllowed(frame: "Data with end_of_requests") }
    guard let slot = streams.table.slot(of: stream) else {
      throw .frameAfterEnd(frame: "Data", stream: stream)
    }
    let entry = streams.table[slot]
    guard !entry.flags.contains(.ended) else {
      throw .frameAfterEnd(frame: "Data", stream: stream)
    }
    guard entry.kind.streamsAnswers else {
      throw .frameNotAllowed(frame: "Data on a call with one answer")
    }
    try streams.receive(data.message.count, at: slot)
    guard entry.flags.contains(.cancelled) else { return .message(stream: stream, data) }
    let due = streams.consume(data.message.count, at: slot)
    return due.connectionBytes == 0 ? .ignore : .credit(connectionBytes: due.connectionBytes)
  }

  private mutating func receiveCredit(
    _ bytes: UInt64, on stream: UInt32
  ) throws(ProtocolError) -> ClientAction {
    if stream == 0 { return try streams.creditConnection(bytes) ? .connectionSendable : .ignore }
    guard streams.wasOpened(stream) else {
      throw .streamNeverOpened(frame: "Credit", stream: stream)
    }
    guard let slot = streams.table.slot(of: stream),
      !streams.table[slot].flags.contains(.ended)
    else { return .ignore }
    return try streams.credit(bytes, at: slot) ? .sendable(stream: stream) : .ignore
  }
}
