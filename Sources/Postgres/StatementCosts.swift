internal import EventLoop

/// What each statement has cost lately, for choosing whom a unit may keep waiting.
struct StatementCosts {
  /// Moving averages in microseconds, by the statements' index; nil before the first answer.
  private var averages: [UInt64?] = []

  /// A statement that takes longer makes others wait noticeably; microseconds.
  static let quickMax: UInt64 = 5_000

  /// Whether a statement is known to be quick.
  func isQuick(_ statement: Statement) -> Bool {
    guard let index = statement.index, index < averages.count, let average = averages[index]
    else { return false }
    return average <= StatementCosts.quickMax
  }

  /// Takes in how long a statement took this time.
  mutating func record(_ statement: Statement, _ duration: Duration) {
    guard let index = statement.index else { return }
    if index >= averages.count {
      averages.append(
        contentsOf: repeatElement(nil, count: max(64, index + 1) - averages.count))
    }
    let sample = duration.wholeNanoseconds / 1_000
    averages[index] = averages[index].map { ($0 * 7 + sample) / 8 } ?? sample
  }
}
