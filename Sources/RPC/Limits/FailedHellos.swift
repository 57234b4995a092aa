/// The addresses that were refused at their Hello of late: one that failed too often is answered
/// late.
struct FailedHellos {
  private static let period: UInt64 = 60_000_000_000
  private var table: FailureTable<AddressBlock>

  /// Makes an empty table.
  ///
  /// - Parameters:
  ///   - perMinute: Refusals in a minute after which an address is answered late.
  ///   - capacity: Addresses that are remembered at most; a multiple of four.
  init(perMinute: Int, capacity: Int = 8_192) {
    table = FailureTable(max: perMinute, period: FailedHellos.period, capacity: capacity)
  }

  /// Whether the address has failed too often of late.
  func isSuspect(_ block: AddressBlock, now: UInt64) -> Bool {
    table.wait(for: block, now: now) != nil
  }

  /// Counts a refusal.
  mutating func failed(_ block: AddressBlock, now: UInt64) { table.failed(block, now: now) }
}
