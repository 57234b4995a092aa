/// A moment in the proleptic Gregorian calendar, UTC, as RFC 3339 writes it.
enum CalendarTime {
  /// Seconds since 1970 of the years 1 to 9999.
  static let secondsRange: ClosedRange<Int64> = -62_135_596_800...253_402_300_799

  /// "2026-01-02T03:04:05.678Z", with 0, 3, 6 or 9 digits of a second.
  static func format(seconds: Int64, nanoseconds: Int32) -> String {
    let (year, month, day) = date(ofDay: floorDivide(seconds, 86_400))
    let second = seconds - floorDivide(seconds, 86_400) * 86_400
    var fraction = ""
    if nanoseconds != 0 {
      fraction = padded(Int64(nanoseconds), 9)
      while fraction.hasSuffix("000") { fraction.removeLast(3) }
      fraction = ".\(fraction)"
    }
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T"
      + "\(padded(second / 3_600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2))"
      + "\(fraction)Z"
  }

  /// Reads RFC 3339 with Z or an offset; nil for anything else, and outside of the years 1 to 9999.
  static func parse(_ text: String) -> (seconds: Int64, nanoseconds: Int32)? {
    var rest = Array(text.utf8)[...]
    func digits(_ count: Int) -> Int64? {
      guard rest.count >= count else { return nil }
      var value: Int64 = 0
      for digit in rest.prefix(count) {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
        value = value * 10 + Int64(digit - UInt8(ascii: "0"))
      }
      rest = rest.dropFirst(count)
      return value
    }
    func take(_ characters: String) -> Bool {
      guard let first = rest.first, characters.utf8.contains(first) else { return false }
      rest = rest.dropFirst()
      return true
    }
    guard let year = digits(4), take("-"), let month = digits(2), take("-"), let day = digits(2),
      take("Tt"), let hour = digits(2), take(":"), let minute = digits(2), take(":"),
      let second = digits(2), hour < 24, minute < 60, second < 60
    else { return nil }
    var nanoseconds: Int64 = 0
    if take(".") {
      var count = 0
      while count < 9, let digit = digits(1) {
        nanoseconds = nanoseconds * 10 + digit
        count += 1
      }
      guard count > 0 else { return nil }
      for _ in count..<9 { nanoseconds *= 10 }
    }
    var offset: Int64 = 0
    if !take("Zz") {
      let isWest = rest.first == UInt8(ascii: "-")
      guard take("+-"), let hours = digits(2), take(":"), let minutes = digits(2), hours < 24,
        minutes < 60
      else { return nil }
      offset = (hours * 60 + minutes) * (isWest ? -60 : 60)
    }
    guard rest.isEmpty, let start = day0(year, month, day) else { return nil }
    let seconds = start * 86_400 + hour * 3_600 + minute * 60 + second - offset
    guard secondsRange.contains(seconds) else { return nil }
    return (seconds, Int32(nanoseconds))
  }

  /// The day's number, from 1970-01-01; nil when the month has no such day.
  private static func day0(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64? {
    guard (1...9_999).contains(year), (1...12).contains(month), day >= 1 else { return nil }
    // Counted in years that begin in March, so that the leap day is the last.
    let shifted = month <= 2 ? year - 1 : year
    let era = floorDivide(shifted, 400)
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let yearOfEra = shifted - era * 400
    let number =
      era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    let back = date(ofDay: number)
    return back == (year, month, day) ? number : nil
  }

  private static func date(ofDay day: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = day + 719_468
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (
      yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
      dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    )
  }

  private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    value >= 0 ? value / divisor : -((-value + divisor - 1) / divisor)
  }

  private static func padded(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
