/// Rows of RFC 4180.
enum CSV {
  /// One row, without its end.
  static func row(_ cells: [String]) -> String { cells.map(cell).joined(separator: ",") }

  private static func cell(_ text: String) -> String {
    let needsQuotes = text.utf8.contains { byte in ",\"\r\n".utf8.contains(byte) }
    return needsQuotes ? "\"\(text.replacing("\"", with: "\"\""))\"" : text
  }
}
