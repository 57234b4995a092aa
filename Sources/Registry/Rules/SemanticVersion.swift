/// The grammar of Semantic Versioning 2.0.0.
enum SemanticVersion {
  /// Whether a text is a semantic version, such as `2.1.0-rc.1+build.5`.
  static func isValid(_ text: String) -> Bool {
    var rest = Substring(text)
    if let plus = rest.firstIndex(of: "+") {
      guard areIdentifiers(rest[rest.index(after: plus)...], areNumbersPlain: false) else {
        return false
      }
      rest = rest[..<plus]
    }
    if let dash = rest.firstIndex(of: "-") {
      guard areIdentifiers(rest[rest.index(after: dash)...], areNumbersPlain: true) else {
        return false
      }
      rest = rest[..<dash]
    }
    let numbers = rest.split(separator: ".", omittingEmptySubsequences: false)
    return numbers.count == 3 && numbers.allSatisfy { isNumber($0) && isPlain($0) }
  }

  private static func areIdentifiers(_ text: Substring, areNumbersPlain: Bool) -> Bool {
    text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { identifier in
      !identifier.isEmpty && identifier.utf8.allSatisfy(isWord)
        && (!areNumbersPlain || !isNumber(identifier) || isPlain(identifier))
    }
  }

  private static func isNumber(_ text: Substring) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { (48...57).contains($0) }
  }

  /// Whether a number has no zero before it.
  private static func isPlain(_ number: Substring) -> Bool {
    number.utf8.count == 1 || number.utf8.first != UInt8(ascii: "0")
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122, UInt8(ascii: "-"): true
    default: false
    }
  }
}
