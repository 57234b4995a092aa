extension ClientMachine {
  /// Takes the next stream number: write its Call at once, before that of any other stream.
  ///
  /// - Parameters:
  ///   - kind: The method's kind.
  ///   - endOfRequests: Whether the Call says so; true for calls with one request.
  /// - Returns: The stream's number.
  /// - Throws: ``OpenRefusal``.
  public mutating func open(
    _ kind: CallKind, endOfRequests: Bool
  ) throws(OpenRefusal) -> UInt32 {
    precondition(endOfRequests || kind.streamsRequests, "the method takes one request")
    guard !isDraining else { throw .draining }
    guard openStreams < limits.openStreamsMax else { throw .tooManyStreams }
    guard let stream = UInt32(exactly: streams.next) else { throw .numbersExhausted }
    streams.next += 1
    streams.open(stream, kind: kind, flags: endOfRequests ? [.halfClosed] : [])
    return stream
  }

  /// Whether one Data frame may be sent on the stream now.
  ///
  /// If not, the stream is named by a later `sendable` or ``nextSendable()``, unless it ends.
  /// Data that only half-closes needs no window.
  public mutating func canSend(on stream: UInt32) -> Bool {
    guard let slot = streams.table.slot(of: stream),
      streams.table[slot].flags.isDisjoint(with: [.halfClosed, .ended, .cancelled])
    else { return false }
    return streams.canSend(at: slot)
  }

  /// Counts a Data frame with so many message bytes, for which ``canSend(on:)`` was true.
  public mutating func didSend(_ bytes: Int, on stream: UInt32) {
    guard let slot = streams.table.slot(of: stream) else {
      preconditionFailure("Data was sent on stream \(stream), which is not open")
    }
    let flags = streams.table[slot].flags
    precondition(!flags.contains(.halfClosed), "Data after end_of_requests")
    precondition(!flags.contains(.cancelled), "Data after Cancel")
    streams.didSend(bytes, at: slot)
  }

  /// `end_of_requests` was written on the stream.
  public mutating func didHalfClose(_ stream: UInt32) {
    guard let slot = streams.table.slot(of: stream) else { return }
    streams.stopWaiting(at: slot)
    streams.table[slot].flags.insert(.halfClosed)
  }

  /// Gives a call up: write Cancel if the result is true.
  ///
  /// Its End still comes.
  ///
  /// - Returns: False when the call has ended, or was cancelled before.
  public mutating func cancel(_ stream: UInt32) -> Bool {
    guard let slot = streams.table.slot(of: stream),
      streams.table[slot].flags.isDisjoint(with: [.ended, .cancelled])
    else { return false }
    streams.stopWaiting(at: slot)
    streams.table[slot].flags.insert(.cancelled)
    return true
  }

  /// The next stream that waited for window and may send, in turn; nil when there is none.
  public mutating func nextSendable() -> UInt32? { streams.nextSendable() }

  /// Whether the call's End is still to come.
  public func isOpen(_ stream: UInt32) -> Bool {
    guard let slot = streams.table.slot(of: stream) else { return false }
    return !streams.table[slot].flags.contains(.ended)
  }

  /// Counts message bytes as consumed, and says what Credit to write.
  ///
  /// Credit is returned once half a window was consumed.
  public mutating func consume(_ bytes: Int, on stream: UInt32) -> CreditDue {
    guard let slot = streams.table.slot(of: stream) else {
      return CreditDue(streamBytes: 0, connectionBytes: 0)
    }
    var due = streams.consume(bytes, at: slot)
    if streams.table[slot].flags.contains(.ended), streams.unconsumed(at: slot) == 0 {
      endedStreams -= 1
      due.connectionBytes += streams.remove(at: slot)
    }
    return due
  }

  /// Forgets a stream that has ended, or that a drain's `lastStream` leaves out.
  ///
  /// - Returns: Bytes to write as Credit on stream 0, for messages that were never consumed;
  ///   0 for none.
  public mutating func release(_ stream: UInt32) -> UInt64 {
    guard let slot = streams.table.slot(of: stream) else { return 0 }
    let hasEnded = streams.table[slot].flags.contains(.ended)
    precondition(hasEnded || stream > lastStreamAllowed, "the stream's End is still to come")
    if hasEnded { endedStreams -= 1 }
    return streams.remove(at: slot)
  }
}
