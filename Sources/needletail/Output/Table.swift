/// Rows in aligned columns, for people.
struct Table {
  /// Where a column's text stands.
  enum Alignment {
    case left
    case right
  }

  private let titles: [String]
  private let alignments: [Alignment]
  private var rows: [[String]] = []

  init(_ columns: [(title: String, alignment: Alignment)]) {
    titles = columns.map(\.title)
    alignments = columns.map(\.alignment)
  }

  mutating func add(_ row: [String]) {
    precondition(row.count == titles.count, "a row has a cell for each column")
    rows.append(row.map(visible))
  }

  /// The whole table, with a line for the titles.
  var text: String {
    var widths = titles.map(\.count)
    for row in rows {
      for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) }
    }
    var lines = [Console.styled(line(titles, widths), .bold)]
    lines += rows.map { line($0, widths) }
    return lines.joined(separator: "\n") + "\n"
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    var line = ""
    for (index, cell) in cells.enumerated() {
      let gap = String(repeating: " ", count: widths[index] - cell.count)
      if index > 0 { line += "  " }
      line += alignments[index] == .left ? cell + gap : gap + cell
    }
    while line.hasSuffix(" ") { line.removeLast() }
    return line
  }
}

/// Text from a server without what a terminal would take for commands or new lines.
func visible(_ text: String) -> String {
  String(
    String.UnicodeScalarView(
      text.unicodeScalars.map { scalar in
        isHarmless(scalar) ? scalar : "\u{FFFD}"
      }))
}

/// Whether a terminal shows a scalar where it stands: no control character, no end of a line, and
/// nothing that turns the direction of what comes after it.
private func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0..<0x20, 0x7F..<0xA0, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: false
  default: true
  }
}

/// Names and values, one a line, aligned.
func fields(_ pairs: [(name: String, value: String)]) -> String {
  let width = pairs.map(\.name.count).max() ?? 0
  return pairs.map { pair in
    let gap = String(repeating: " ", count: width - pair.name.count)
    return "\(Console.styled(pair.name, .dim))\(gap)  \(visible(pair.value))\n"
  }.joined()
}
