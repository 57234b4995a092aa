/// Text as it stands in a URI.
enum URIText {
  private static let digits = Array("0123456789ABCDEF".utf8)

  /// Whether a byte stands for itself: a letter, a digit, or one of `-._~`.
  static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "_"), UInt8(ascii: "~"):
      true
    default: false
    }
  }

  /// Escapes all that does not stand for itself; in a path slashes do.
  static func escaped(_ text: String, isPath: Bool) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      if isPlain(byte) || (isPath && byte == UInt8(ascii: "/")) {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Bytes in base 64.
enum Base64 {
  private static let digits = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func text(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let count = min(3, bytes.count - start)
      var word = 0
      for index in 0..<3 { word = word << 8 | (index < count ? Int(bytes[start + index]) : 0) }
      for index in 0..<4 {
        text.append(index <= count ? digits[word >> (18 - 6 * index) & 63] : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}

/// Times as S3 writes them, in seconds since 1970, UTC.
enum S3Time {
  /// Like `20130524T000000Z`.
  static func basic(_ seconds: Int64) -> String {
    let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
    let rest = Int(seconds - days * 86_400)
    let (year, month, day) = date(days)
    return padded(year, 4) + padded(month, 2) + padded(day, 2) + "T" + padded(rest / 3_600, 2)
      + padded(rest / 60 % 60, 2) + padded(rest % 60, 2) + "Z"
  }

  /// Reads `2026-11-21T21:34:44.000Z`, with or without a fraction.
  static func read(_ text: Substring) -> Int64? {
    let fields = text.split { !$0.isNumber }.prefix(6).compactMap { Int64($0) }
    guard fields.count == 6, text.utf8.count >= 20, text.hasSuffix("Z") else { return nil }
    let (year, month) = fields[1] <= 2 ? (fields[0] - 1, fields[1] + 9) : (fields[0], fields[1] - 3)
    guard (0...11).contains(month), (0...9_999).contains(year) else { return nil }
    // Years begin in March, so that the leap day is their last.
    let days =
      year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + fields[2] - 1
      - 719_468
    return days * 86_400 + fields[3] * 3_600 + fields[4] * 60 + fields[5]
  }

  private static func date(_ daysSince1970: Int64) -> (year: Int, month: Int, day: Int) {
    let days = daysSince1970 + 719_468
    let era = days / 146_097
    let dayOfEra = days % 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    let day = Int(dayOfYear - (153 * month + 2) / 5 + 1)
    let year = Int(yearOfEra + era * 400)
    return month < 10 ? (year, Int(month) + 3, day) : (year + 1, Int(month) - 9, day)
  }

  private static func padded(_ number: Int, _ count: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
  }
}
