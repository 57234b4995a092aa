/// One stream of a connection, 32 bytes.
struct StreamEntry {
  struct Flags: OptionSet {
    let rawValue: UInt8
    /// The client's messages are complete.
    static let halfClosed = Flags(rawValue: 1)
    /// End was sent or received; the slot is still held.
    static let ended = Flags(rawValue: 2)
    /// Cancel was sent or received.
    static let cancelled = Flags(rawValue: 4)
    /// This side has Data that waits for window.
    static let waitsToSend = Flags(rawValue: 8)
  }

  /// The stream's number; 0 marks a free slot.
  var number: UInt32
  var kind: CallKind
  var flags: Flags
  /// Message bytes that this side may still send; at or below zero: none.
  var sendWindow: Int64
  /// Message bytes that the peer may still send; at or below zero: none.
  var receiveWindow: Int64
  /// Message bytes that were consumed and not yet returned as Credit.
  var unreturned: Int64

  static let free = StreamEntry(
    number: 0, kind: .unary, flags: [], sendWindow: 0, receiveWindow: 0, unreturned: 0)
}

/// The streams of a connection by their number: open addressing with linear probing.
///
/// Multiplying by the golden ratio spreads consecutive numbers evenly and apart, so that opening
/// and closing a stream touch a slot or two; their low bits alone would make one long run, which
/// every removal has to walk. Memory is taken with the first stream, and doubles when half is
/// used: 8 slots are 256 bytes. Invariant: no free slot lies between a number's home and its slot.
struct StreamTable {
  private(set) var slots: [StreamEntry] = []
  private(set) var count = 0

  private var mask: Int { slots.count - 1 }

  /// Where a number is looked for first; there are at least 8 slots.
  private func home(_ number: UInt32) -> Int {
    let bits = UInt32(truncatingIfNeeded: slots.count.trailingZeroBitCount)
    return Int((number &* 0x9E37_79B9) &>> (32 &- bits))
  }

  /// The slot of a stream, or nil.
  func slot(of number: UInt32) -> Int? {
    guard count > 0 else { return nil }
    var slot = home(number)
    while slots[slot].number != number {
      if slots[slot].number == 0 { return nil }
      slot = (slot + 1) & mask
    }
    return slot
  }

  subscript(slot: Int) -> StreamEntry {
    get { slots[slot] }
    _modify { yield &slots[slot] }
  }

  /// Adds a stream whose number is not in the table.
  mutating func insert(_ entry: StreamEntry) {
    if (count + 1) * 2 > slots.count { grow() }
    place(entry)
    count += 1
  }

  /// Removes the stream in a slot, and moves those behind it back to where they are found.
  mutating func remove(at slot: Int) {
    var gap = slot
    var next = slot
    while true {
      next = (next + 1) & mask
      let number = slots[next].number
      guard number != 0 else { break }
      let distance = (next - home(number)) & mask
      guard distance >= (next - gap) & mask else { continue }
      slots[gap] = slots[next]
      gap = next
    }
    slots[gap] = .free
    count -= 1
  }

  private mutating func place(_ entry: StreamEntry) {
    var slot = home(entry.number)
    while slots[slot].number != 0 { slot = (slot + 1) & mask }
    slots[slot] = entry
  }

  private mutating func grow() {
    let old = slots
    slots = Array(repeating: .free, count: max(8, old.count * 2))
    for entry in old where entry.number != 0 { place(entry) }
  }
}
