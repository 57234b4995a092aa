/// Where a batch leaves the output of one of its statements.
public final class Slot<Output>: SlotFilling {
  private let query: Query<Output>
  private var stored: Output?

  init(_ query: Query<Output>) {
    self.query = query
  }

  /// The output; ask only after the batch has succeeded.
  public var value: Output {
    guard let stored else { preconditionFailure("the batch has not succeeded") }
    return stored
  }

  func fill(from reply: borrowing Reply) throws(PostgresError) {
    stored = try query.decode(reply)
  }
}

/// A slot of whatever output.
protocol SlotFilling: AnyObject {
  /// Decodes the output.
  func fill(from reply: borrowing Reply) throws(PostgresError)
}

/// Statements that go to the server together.
public struct Batch {
  private(set) var steps: [Step] = []
  private var slots: [any SlotFilling] = []

  /// Makes an empty batch.
  public init() {}

  /// How many statements it holds.
  public var count: Int { steps.count }

  /// Whether it holds no statement.
  public var isEmpty: Bool { steps.isEmpty }

  /// Adds a statement; its output is in the slot when the batch has succeeded.
  @discardableResult
  public mutating func add<Output>(_ query: Query<Output>) -> Slot<Output> {
    let slot = Slot(query)
    steps.append(Step(query))
    slots.append(slot)
    return slot
  }

  /// Fills the slots from the unit's results.
  func fillSlots(from unit: Unit) throws(PostgresError) {
    for index in slots.indices {
      try slots[index].fill(from: unit.takeReply(index))
    }
  }
}
