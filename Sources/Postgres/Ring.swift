/// A queue in a circular buffer that keeps its room.
struct Ring<Element> {
  private var slots: [Element?]
  private var head = 0
  private(set) var count = 0

  init() { slots = Array(repeating: nil, count: 16) }

  var isEmpty: Bool { count == 0 }

  var first: Element? { count == 0 ? nil : slots[head] }

  /// Lends every element, the first one first.
  func forEach(_ body: (Element) -> Void) {
    for offset in 0..<count {
      if let element = slots[(head + offset) & (slots.count - 1)] { body(element) }
    }
  }

  mutating func append(_ element: Element) {
    if count == slots.count { grow() }
    slots[(head + count) & (slots.count - 1)] = element
    count += 1
  }

  @discardableResult
  mutating func popFirst() -> Element? {
    guard count > 0 else { return nil }
    let element = slots[head]
    slots[head] = nil
    head = (head + 1) & (slots.count - 1)
    count -= 1
    return element
  }

  /// Removes the elements for which `isGone` holds.
  mutating func removeAll(where isGone: (Element) -> Bool) {
    for _ in 0..<count {
      if let element = popFirst(), !isGone(element) { append(element) }
    }
  }

  private mutating func grow() {
    var larger: [Element?] = []
    larger.reserveCapacity(slots.count * 2)
    for offset in 0..<count { larger.append(slots[(head + offset) & (slots.count - 1)]) }
    larger.append(contentsOf: repeatElement(nil, count: slots.count * 2 - count))
    slots = larger
    head = 0
  }
}
