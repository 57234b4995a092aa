/// What waits for its turn, in the order in which it came.
struct WaitingLine<Element> {
  /// How many places of those that have left may be held while the line never runs dry.
  private static var leftMax: Int { 64 }

  private var elements: [Element?] = []
  private var head = 0

  /// How many wait.
  var count: Int { elements.count - head }
  var isEmpty: Bool { count == 0 }
  /// Places that are held, those of elements that have left included.
  var placesCount: Int { elements.count }

  mutating func append(_ element: Element) { elements.append(element) }

  /// Takes the first one.
  mutating func popFirst() -> Element? {
    guard head < elements.count else { return nil }
    let element = elements[head]
    elements[head] = nil
    head += 1
    if head == elements.count {
      elements.removeAll(keepingCapacity: true)
      head = 0
    } else if head >= Self.leftMax, head * 2 >= elements.count {
      elements.removeFirst(head)
      head = 0
    }
    return element
  }
}
