internal import Messages
internal import RPC

/// The bounds of a key's fields.
enum APIKeyBounds {
  static let nameBytes = 1...500
  static let scopesCount = 1...100
  static let rangesMax = 100
  static let overlapSecondsMax: UInt32 = 2_592_000
  static let pageSize = 100
  static let pageSizeMax = 1_000
}

extension Validator {
  /// Checks the scopes of a key: that there are some, and that each names something.
  mutating func scopes(_ field: String, _ scopes: [String], _ access: Access) {
    if !APIKeyBounds.scopesCount.contains(scopes.count) {
      refuse(field, "must be 1 to 100 scopes, are \(scopes.count)")
    }
    if let unknown = scopes.first(where: { !access.knows(scope: $0) }) {
      let shown = String(unknown.prefix(100))
      refuse(field, "must be \"*\", \"run.*\" or \"run.get\" of what there is, not \"\(shown)\"")
    }
  }

  /// Checks the ranges of addresses that a key is taken from.
  mutating func addressRanges(_ field: String, _ ranges: [String]) {
    if ranges.count > APIKeyBounds.rangesMax {
      refuse(field, "must be at most \(APIKeyBounds.rangesMax) ranges, are \(ranges.count)")
    }
    if let bad = ranges.first(where: { AddressRange($0) == nil }) {
      let shown = String(bad.prefix(100))
      refuse(
        field,
        "must be ranges like \"10.0.0.0/8\" or \"2001:db8::/32\", with no bit set beyond their "
          + "length, not \"\(shown)\"")
    }
  }

  /// Checks that a key stops working later than now.
  mutating func expiry(_ field: String, _ time: Timestamp?, now: Int64) {
    if let time, time.microseconds <= now { refuse(field, "must be in the future") }
  }
}

/// A point in time as the audit log has it: "2026-11-21T16:27:53Z".
func timeText(_ microseconds: Int64) -> String {
  func digits(_ number: Int64, _ count: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
  }
  let seconds = microseconds.flooredQuotient(by: 1_000_000)
  let day = seconds.flooredQuotient(by: 86_400)
  let second = seconds - day * 86_400
  // The proleptic Gregorian calendar, with years that begin in March.
  let shifted = day + 719_468
  let era = shifted.flooredQuotient(by: 146_097)
  let dayOfEra = shifted - era * 146_097
  let yearOfEra =
    (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let march = (5 * dayOfYear + 2) / 153
  let month = march < 10 ? march + 3 : march - 9
  let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  let dayOfMonth = dayOfYear - (153 * march + 2) / 5 + 1
  return "\(digits(year, 4))-\(digits(month, 2))-\(digits(dayOfMonth, 2))"
    + "T\(digits(second / 3_600, 2)):\(digits(second / 60 % 60, 2)):\(digits(second % 60, 2))Z"
}

extension Int64 {
  fileprivate func flooredQuotient(by divisor: Int64) -> Int64 {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }
}
