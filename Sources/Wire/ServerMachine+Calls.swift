extension ServerMachine {
  /// Takes a slot for the Call that was just received, now that its method's kind is known.
  ///
  /// - Returns: Nil when the stream is open; otherwise the status to write as its End, and the
  ///   stream has ended.
  public mutating func accept(_ stream: UInt32, kind: CallKind) -> Status? {
    guard let call = pending, call.stream == stream else {
      preconditionFailure("stream \(stream) has no Call to accept")
    }
    if let status = Self.shapeError(call, kind) {
      decline(stream)
      return status
    }
    pending = nil
    streams.open(stream, kind: kind, flags: call.endOfRequests ? [.halfClosed] : [])
    return nil
  }

  /// Gives the Call that was just received no slot: write its End.
  public mutating func decline(_ stream: UInt32) {
    precondition(pending?.stream == stream, "stream has no Call to decline")
    pending = nil
    meter.streamEnded(wasCancelled: false, uncreditedBytes: 0)
  }

  private static func shapeError(_ call: PendingCall, _ kind: CallKind) -> Status? {
    if call.hasNoMessage && call.hasMessage {
      return Status(
        .invalidArgument, reason: "MESSAGE_NOT_EXPECTED",
        message: "The Call has a message, and no_message says that it has none.")
    }
    guard !kind.streamsRequests else { return nil }
    if call.hasNoMessage {
      return Status(
        .invalidArgument, reason: "MESSAGE_MISSING",
        message: "The method takes one message; send it in the Call, without no_message.")
    }
    if !call.endOfRequests {
      return Status(
        .invalidArgument, reason: "END_OF_REQUESTS_MISSING",
        message: "The method takes one message; set end_of_requests in the Call.")
    }
    return nil
  }

  /// Counts message bytes as consumed, and says what Credit to write.
  ///
  /// Credit is returned once half a window was consumed. Nothing is due for a stream whose slot
  /// was released: its bytes were returned then.
  public mutating func consume(_ bytes: Int, on stream: UInt32) -> CreditDue {
    guard let slot = streams.table.slot(of: stream) else {
      return CreditDue(streamBytes: 0, connectionBytes: 0)
    }
    return streams.consume(bytes, at: slot)
  }

  /// Whether one Data frame may be sent on the stream now.
  ///
  /// If not, the stream is named by a later `sendable` or ``nextSendable()``, unless it ends.
  public mutating func canSend(on stream: UInt32) -> Bool {
    guard let slot = streams.table.slot(of: stream),
      !streams.table[slot].flags.contains(.ended)
    else { return false }
    return streams.canSend(at: slot)
  }

  /// Counts a Data frame with so many message bytes, for which ``canSend(on:)`` was true.
  public mutating func didSend(_ bytes: Int, on stream: UInt32) {
    guard let slot = streams.table.slot(of: stream) else {
      preconditionFailure("Data was sent on stream \(stream), which is not open")
    }
    let entry = streams.table[slot]
    precondition(entry.kind.streamsAnswers, "the method answers with one message, in End")
    precondition(!entry.flags.contains(.ended), "Data after End")
    streams.didSend(bytes, at: slot)
  }

  /// The next stream that waited for window and may send, in turn; nil when there is none.
  public mutating func nextSendable() -> UInt32? { streams.nextSendable() }

  /// Whether End is still to be written on the stream.
  public func isOpen(_ stream: UInt32) -> Bool {
    guard let slot = streams.table.slot(of: stream) else { return false }
    return !streams.table[slot].flags.contains(.ended)
  }

  /// End was written while the handler still runs; its slot stays taken.
  public mutating func didEnd(_ stream: UInt32) {
    guard let slot = streams.table.slot(of: stream) else {
      preconditionFailure("End was sent on stream \(stream), which is not open")
    }
    precondition(!streams.table[slot].flags.contains(.ended), "End was sent twice")
    end(at: slot)
  }

  /// Frees the stream's slot: its handler has stopped and its End is written.
  ///
  /// - Returns: Bytes to write as Credit on stream 0, for messages that were never consumed;
  ///   0 for none.
  public mutating func release(_ stream: UInt32) -> UInt64 {
    guard let slot = streams.table.slot(of: stream) else {
      preconditionFailure("stream \(stream) holds no slot")
    }
    if !streams.table[slot].flags.contains(.ended) { end(at: slot) }
    return streams.remove(at: slot)
  }

  private mutating func end(at slot: Int) {
    streams.stopWaiting(at: slot)
    streams.table[slot].flags.insert(.ended)
    let entry = streams.table[slot]
    meter.streamEnded(
      wasCancelled: entry.flags.contains(.cancelled),
      uncreditedBytes: streams.peerStreamWindow - entry.sendWindow)
  }
}
