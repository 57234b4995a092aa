/// The form of e-mail addresses.
enum EmailAddress {
  /// Whether a text is shaped like one: a name, an @, and a domain of parts with dots between them,
  /// without white space, without what nobody sees or what turns the writing around.
  ///
  /// Letters of every script may be in it.
  static func isOne(_ text: String) -> Bool {
    let scalars = text.unicodeScalars
    guard scalars.allSatisfy(isVisible) else { return false }
    let parts = scalars.split(separator: "@", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty else { return false }
    return parts[1].split(separator: ".", omittingEmptySubsequences: false).allSatisfy {
      !$0.isEmpty
    }
  }

  private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.properties.isWhitespace || scalar.properties.isDefaultIgnorableCodePoint {
      return false
    }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
      .paragraphSeparator, .spaceSeparator:
      return false
    default:
      return true
    }
  }
}

extension String {
  /// Whether two addresses are the same byte for byte, as the database compares them: `==` takes an
  /// é of one scalar for an é of two.
  func isSameAddress(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}
