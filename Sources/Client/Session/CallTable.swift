/// The handlers of a session's calls by stream: open addressing with linear probing.
///
/// Streams are numbered one after the other, so their low bits hardly collide and a call costs
/// one slot. Invariant: no free slot lies between a stream's home and its slot.
struct CallTable {
  private struct Slot {
    var stream: UInt32 = 0
    var handler: (any CallHandler)?
  }

  private var slots: [Slot] = []
  private(set) var count = 0

  private var mask: Int { slots.count - 1 }

  /// The streams that have a handler, in no order.
  var streams: [UInt32] { slots.lazy.filter { $0.stream != 0 }.map(\.stream) }

  subscript(stream: UInt32) -> (any CallHandler)? {
    find(stream).flatMap { slots[$0].handler }
  }

  mutating func insert(_ stream: UInt32, _ handler: any CallHandler) {
    if (count + 1) * 4 > slots.count * 3 { grow() }
    place(Slot(stream: stream, handler: handler))
    count += 1
  }

  /// Takes the handler of a stream out.
  mutating func remove(_ stream: UInt32) -> (any CallHandler)? {
    guard let found = find(stream) else { return nil }
    let handler = slots[found].handler
    var gap = found
    var next = found
    while true {
      next = (next + 1) & mask
      let stream = slots[next].stream
      guard stream != 0 else { break }
      let distance = (next - Int(stream)) & mask
      guard distance >= (next - gap) & mask else { continue }
      slots[gap] = slots[next]
      gap = next
    }
    slots[gap] = Slot()
    count -= 1
    return handler
  }

  private func find(_ stream: UInt32) -> Int? {
    guard count > 0 else { return nil }
    var slot = Int(stream) & mask
    while slots[slot].stream != stream {
      if slots[slot].stream == 0 { return nil }
      slot = (slot + 1) & mask
    }
    return slot
  }

  private mutating func place(_ entry: Slot) {
    var slot = Int(entry.stream) & mask
    while slots[slot].stream != 0 { slot = (slot + 1) & mask }
    slots[slot] = entry
  }

  private mutating func grow() {
    let old = slots
    slots = Array(repeating: Slot(), count: max(8, old.count * 2))
    for entry in old where entry.stream != 0 { place(entry) }
  }
}
