/// Names one scheduled action; stale names are harmless.
public struct Timer: Sendable, Equatable {
  let index: Int32
  let generation: UInt32
}

/// Timers in a hierarchy of wheels: four levels of 64 slots, a slot of the lowest is a millisecond.
///
/// Inserting and removing cost the same whatever else is scheduled, which matters because nearly
/// every timer here is a deadline that is removed before it comes.
struct TimerWheel {
  private static let slotBits: UInt64 = 6
  private static let slots = 1 << 6
  private static let levels = 4
  /// Beyond this many milliseconds (about 4.6 hours) a timer waits in the last slot and is put
  /// back.
  private static let horizon: UInt64 = 1 << (6 * 4)

  private struct Node {
    var action: (() -> Void)?
    var tick: UInt64 = 0
    var generation: UInt32 = 0
    var next: Int32 = -1
    var previous: Int32 = -1
    /// The slot that the node hangs in; -1 when it is free.
    var slot: Int32 = -1
  }

  private var nodes: [Node] = []
  private var free: Int32 = -1
  private var heads = [Int32](repeating: -1, count: slots * levels)
  private var occupied = [UInt64](repeating: 0, count: levels)
  private var tick: UInt64
  private(set) var count = 0

  init(now: Instant) {
    tick = now.nanoseconds / 1_000_000
  }

  mutating func insert(at instant: Instant, _ action: @escaping () -> Void) -> Timer {
    // Rounded up: a timer never runs early.
    let due = instant.nanoseconds / 1_000_000 + 1
    let index = allocate()
    nodes[Int(index)].action = action
    nodes[Int(index)].tick = max(due, tick + 1)
    link(index)
    count += 1
    return Timer(index: index, generation: nodes[Int(index)].generation)
  }

  mutating func remove(_ timer: Timer) {
    let index = Int(timer.index)
    guard index < nodes.count, nodes[index].generation == timer.generation,
      nodes[index].slot >= 0
    else { return }
    unlink(timer.index)
    release(timer.index)
  }

  /// Takes the next action that is due at `now`.
  ///
  /// Actions are taken one by one, because each may insert and remove others.
  mutating func takeDue(at now: Instant) -> (() -> Void)? {
    let target = now.nanoseconds / 1_000_000
    while true {
      let index = heads[Int(tick & 63)]
      if index >= 0 {
        unlink(index)
        let action = nodes[Int(index)].action
        release(index)
        return action
      }
      if count == 0 { tick = max(tick, target) }
      if tick >= target { return nil }
      tick += 1
      cascade()
    }
  }

  /// How long a poll may sleep: -1 without timers, else at least 1 and at most 1,000 milliseconds.
  func millisecondsToNext(now: Instant) -> Int32 {
    guard count > 0 else { return -1 }
    let behind = now.nanoseconds / 1_000_000
    if behind > tick + 1 { return 0 }
    let position = tick & 63
    let ahead = occupied[0] & ~(position == 63 ? .max : (1 << (position + 1)) - 1)
    if ahead != 0 { return Int32(ahead.trailingZeroBitCount) - Int32(position) }
    // Nothing more in this round of the lowest wheel: sleep to its end, where the next level
    // cascades.
    return Int32(64 - position)
  }

  // MARK: The wheels

  private mutating func link(_ index: Int32) {
    let due = nodes[Int(index)].tick
    let distance = min(due - tick, TimerWheel.horizon - 1)
    let shown = tick + distance
    var level = 0
    while level < TimerWheel.levels - 1, distance >= 1 << (TimerWheel.slotBits * UInt64(level + 1))
    {
      level += 1
    }
    let position = (shown >> (TimerWheel.slotBits * UInt64(level))) & 63
    let slot = level * TimerWheel.slots + Int(position)
    nodes[Int(index)].slot = Int32(slot)
    nodes[Int(index)].previous = -1
    nodes[Int(index)].next = heads[slot]
    if heads[slot] >= 0 { nodes[Int(heads[slot])].previous = index }
    heads[slot] = index
    occupied[level] |= 1 << position
  }

  private mutating func unlink(_ index: Int32) {
    let node = nodes[Int(index)]
    let slot = Int(node.slot)
    if node.previous >= 0 {
      nodes[Int(node.previous)].next = node.next
    } else {
      heads[slot] = node.next
      if node.next < 0 { occupied[slot / TimerWheel.slots] &= ~(1 << UInt64(slot & 63)) }
    }
    if node.next >= 0 { nodes[Int(node.next)].previous = node.previous }
    nodes[Int(index)].slot = -1
  }

  /// At the start of a round of one level, spreads the next slot of the level above over it.
  private mutating func cascade() {
    for level in 1..<TimerWheel.levels {
      let shift = TimerWheel.slotBits * UInt64(level)
      guard tick & ((1 << shift) - 1) == 0 else { return }
      let slot = level * TimerWheel.slots + Int((tick >> shift) & 63)
      var index = heads[slot]
      heads[slot] = -1
      occupied[level] &= ~(1 << UInt64(slot & 63))
      while index >= 0 {
        let next = nodes[Int(index)].next
        relink(index)
        index = next
      }
    }
  }

  private mutating func relink(_ index: Int32) {
    // Due in this very tick: the lowest wheel's current slot is run right after the cascade.
    if nodes[Int(index)].tick <= tick { nodes[Int(index)].tick = tick }
    link(index)
  }

  private mutating func allocate() -> Int32 {
    if free >= 0 {
      let index = free
      free = nodes[Int(index)].next
      return index
    }
    nodes.append(Node())
    return Int32(nodes.count - 1)
  }

  private mutating func release(_ index: Int32) {
    nodes[Int(index)].action = nil
    nodes[Int(index)].generation &+= 1
    nodes[Int(index)].next = free
    free = index
    count -= 1
  }
}
