internal import Postgres

/// A word of a place in a watch's token, which statements take as it is.
enum WatchWord {
  /// The number of a transaction.
  case transaction
  /// The id of a row.
  case id
  /// The number of a line.
  case number

  /// Whether a word has the form.
  func accepts(_ word: String) -> Bool {
    switch self {
    case .transaction: UInt64(digits: word[...]) != nil
    case .id: UUID(word) != nil
    case .number: Int64(word).map { $0 >= 0 } ?? false
    }
  }
}

/// PostgreSQL's text of a snapshot: "10:20:10,14,15".
enum SnapshotText {
  /// Whether PostgreSQL reads it: the transactions between both ends, in ascending order.
  static func isValid(_ text: String) -> Bool {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, let least = UInt64(digits: parts[0]), least > 0,
      let end = UInt64(digits: parts[1]), end >= least
    else { return false }
    if parts[2].isEmpty { return true }
    var last = least
    for word in parts[2].split(separator: ",", omittingEmptySubsequences: false) {
      guard let number = UInt64(digits: word), number >= last, number < end else { return false }
      last = number
    }
    return true
  }
}

extension UInt64 {
  /// Reads digits, and no sign.
  fileprivate init?(digits text: Substring) {
    guard text.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else { return nil }
    self.init(text)
  }
}
