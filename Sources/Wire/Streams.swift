/// Credit that is due to the peer, in message bytes; 0 means that no frame is to be written.
public struct CreditDue: Sendable, Equatable {
  /// For a Credit on the stream.
  public var streamBytes: UInt64
  /// For a Credit on stream 0.
  public var connectionBytes: UInt64

  /// Makes an amount of credit.
  public init(streamBytes: UInt64, connectionBytes: UInt64) {
    self.streamBytes = streamBytes
    self.connectionBytes = connectionBytes
  }

  /// Whether nothing is to be written.
  public var isNone: Bool { streamBytes == 0 && connectionBytes == 0 }
}

/// The stream table and both directions' windows: what server and client have in common.
///
/// Invariants, for each stream and for the connection:
/// - `receiveWindow + unreturned + bytes received and not yet consumed` is the window's full size,
///   so a peer that holds to its windows can never make this side buffer more than that size and
///   one message, and every consumed byte is returned exactly once.
/// - Once everything is consumed, at least half of the window is open: batching cannot stall.
/// - A window leaves zero downwards only by one message.
struct Streams {
  var table = StreamTable()
  /// The number that the next Call has; above 32 bits when all are used.
  var next: UInt64 = 1

  /// What tells that no more Data comes on a stream, so that Credit for it would be idle.
  let silent: StreamEntry.Flags

  /// The full size of a stream's window towards this side.
  let streamWindow: Int64
  /// The full size of the connection's window towards this side.
  let connectionWindow: Int64
  /// The full size of a stream's window towards the peer.
  var peerStreamWindow: Int64
  /// The full size of the connection's window towards the peer.
  var peerConnectionWindow: Int64

  /// Message bytes that this side may still send on the connection.
  var sendWindow: Int64
  /// Message bytes that the peer may still send on the connection.
  private(set) var receiveWindow: Int64
  /// Message bytes that were consumed and not yet returned as Credit on stream 0.
  private var unreturned: Int64 = 0

  private var waiting = 0
  private var scan = 0

  init(
    silent: StreamEntry.Flags, streamWindow: Int64, connectionWindow: Int64,
    peerStreamWindow: Int64,
    peerConnectionWindow: Int64
  ) {
    self.silent = silent
    self.streamWindow = streamWindow
    self.connectionWindow = connectionWindow
    self.peerStreamWindow = peerStreamWindow
    self.peerConnectionWindow = peerConnectionWindow
    self.sendWindow = peerConnectionWindow
    self.receiveWindow = connectionWindow
  }

  /// Whether the number belongs to a stream that was opened at some time.
  func wasOpened(_ stream: UInt32) -> Bool { UInt64(stream) < next }

  mutating func open(_ stream: UInt32, kind: CallKind, flags: StreamEntry.Flags) {
    table.insert(
      StreamEntry(
        number: stream, kind: kind, flags: flags, sendWindow: peerStreamWindow,
        receiveWindow: streamWindow, unreturned: 0))
  }

  /// Opens the windows towards the peer, for streams that are open already too.
  mutating func openWindows(stream: Int64, connection: Int64) {
    peerStreamWindow = stream
    peerConnectionWindow = connection
    sendWindow = connection
    for slot in table.slots.indices where table[slot].number != 0 {
      table[slot].sendWindow = stream
    }
  }

  // MARK: Receiving

  /// Takes a message's bytes out of both windows.
  mutating func receive(_ bytes: Int, at slot: Int) throws(ProtocolError) {
    guard table[slot].receiveWindow > 0 else {
      throw .windowOverrun(stream: table[slot].number)
    }
    try receiveOnConnection(bytes)
    table[slot].receiveWindow -= Int64(bytes)
  }

  /// Takes the bytes of a message for a stream that has ended, and consumes them.
  mutating func discard(_ bytes: Int) throws(ProtocolError) -> UInt64 {
    try receiveOnConnection(bytes)
    return returnOnConnection(Int64(bytes))
  }

  private mutating func receiveOnConnection(_ bytes: Int) throws(ProtocolError) {
    guard receiveWindow > 0 else { throw .windowOverrun(stream: 0) }
    receiveWindow -= Int64(bytes)
  }

  /// Counts a stream's bytes as consumed.
  mutating func consume(_ bytes: Int, at slot: Int) -> CreditDue {
    precondition(bytes >= 0 && Int64(bytes) <= unconsumed(at: slot), "consumed more than came")
    table[slot].unreturned += Int64(bytes)
    var due = CreditDue(streamBytes: 0, connectionBytes: returnOnConnection(Int64(bytes)))
    let entry = table[slot]
    if entry.unreturned >= max(1, streamWindow / 2), entry.flags.isDisjoint(with: silent) {
      due.streamBytes = UInt64(entry.unreturned)
      table[slot].receiveWindow += entry.unreturned
      table[slot].unreturned = 0
    }
    return due
  }

  /// Removes a stream; what it had not consumed goes back to the connection.
  mutating func remove(at slot: Int) -> UInt64 {
    let rest = unconsumed(at: slot)
    if table[slot].flags.contains(.waitsToSend) { waiting -= 1 }
    table.remove(at: slot)
    return rest > 0 ? returnOnConnection(rest) : 0
  }

  /// Message bytes that came on a stream and were not consumed.
  func unconsumed(at slot: Int) -> Int64 {
    streamWindow - table[slot].receiveWindow - table[slot].unreturned
  }

  private mutating func returnOnConnection(_ bytes: Int64) -> UInt64 {
    unreturned += bytes
    guard unreturned >= max(1, connectionWindow / 2) else { return 0 }
    defer { unreturned = 0 }
    receiveWindow += unreturned
    return UInt64(unreturned)
  }

  // MARK: Sending

  /// Whether a Data frame may be sent; if not, the stream is told of by ``nextSendable()``.
  mutating func canSend(at slot: Int) -> Bool {
    let entry = table[slot]
    if entry.sendWindow > 0 && sendWindow > 0 { return true }
    if !entry.flags.contains(.waitsToSend) {
      table[slot].flags.insert(.waitsToSend)
      waiting += 1
    }
    return false
  }

  mutating func didSend(_ bytes: Int, at slot: Int) {
    precondition(table[slot].sendWindow > 0 && sendWindow > 0, "sent without window")
    table[slot].sendWindow -= Int64(bytes)
    sendWindow -= Int64(bytes)
  }

  /// Adds Credit for the connection, and says whether streams may wait for it.
  mutating func creditConnection(_ bytes: UInt64) throws(ProtocolError) -> Bool {
    let before = sendWindow
    sendWindow = try Self.widened(before, by: bytes, stream: 0)
    return before <= 0 && sendWindow > 0 && waiting > 0
  }

  /// Adds Credit for a stream, and says whether the stream waited and may now send.
  mutating func credit(_ bytes: UInt64, at slot: Int) throws(ProtocolError) -> Bool {
    let entry = table[slot]
    let widened = try Self.widened(entry.sendWindow, by: bytes, stream: entry.number)
    table[slot].sendWindow = widened
    guard widened > 0, sendWindow > 0 else { return false }
    return stopWaiting(at: slot)
  }

  /// The next stream that waits and may send, in turn; nil when there is none.
  mutating func nextSendable() -> UInt32? {
    guard waiting > 0, sendWindow > 0 else { return nil }
    for _ in 0..<table.slots.count {
      let slot = scan % table.slots.count
      scan = slot + 1
      let entry = table[slot]
      guard entry.number != 0, entry.sendWindow > 0 else { continue }
      if stopWaiting(at: slot) { return entry.number }
    }
    return nil
  }

  /// Stops telling of a stream that has nothing more to send.
  @discardableResult
  mutating func stopWaiting(at slot: Int) -> Bool {
    guard table[slot].flags.contains(.waitsToSend) else { return false }
    table[slot].flags.remove(.waitsToSend)
    waiting -= 1
    return true
  }

  private static func widened(
    _ window: Int64, by bytes: UInt64, stream: UInt32
  ) throws(ProtocolError) -> Int64 {
    // What is left up to the largest window; a negative window leaves more than that.
    let room = UInt64(bitPattern: Int64.max &- window)
    guard bytes <= room else { throw .windowOverflow(stream: stream) }
    return Int64(bitPattern: UInt64(bitPattern: window) &+ bytes)
  }
}
