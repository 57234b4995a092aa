internal import Glibc

/// Curves of several runs in the characters of a terminal.
///
/// Takes any number of points and keeps the least and the greatest value of each column, so that
/// nothing that stands out is lost and millions of points cost no memory.
struct Plot {
  /// The least and the greatest value of one column of dots.
  private struct Extent {
    var low: Double
    var high: Double
  }

  /// Dots of a character of braille.
  private static let dotsAcross = 2
  private static let dotsDown = 4
  /// The bits of those dots, by row, then column.
  private static let bits: [[UInt32]] = [
    [0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80],
  ]
  /// The first of the 256 characters of braille, which has no dot.
  private static let blank: UInt32 = 0x2800
  private static let styles: [Console.Style] = [.cyan, .yellow, .green, .red]

  private let width: Int
  private let height: Int
  /// What the horizontal axis shows, and how its ends are labelled.
  private let axis: ClosedRange<Double>
  private let axisEnds: (first: String, last: String)
  private let isLogarithmic: Bool
  private var curves: [[Extent?]]
  /// Values that a logarithm cannot show.
  private(set) var leftOut = 0

  /// Room for `curves` curves over some steps, `width` by `height` characters.
  init(width: Int, height: Int, steps: ClosedRange<Int64>, curves: Int, isLogarithmic: Bool) {
    self.init(
      width: width, height: height,
      axis: Double(steps.lowerBound)...Double(steps.upperBound),
      ends: (String(steps.lowerBound), String(steps.upperBound)), curves: curves,
      isLogarithmic: isLogarithmic)
  }

  /// Room for `curves` curves over some finite numbers, whose ends are labelled by `ends`.
  init(
    width: Int, height: Int, axis: ClosedRange<Double>, ends: (first: String, last: String),
    curves: Int, isLogarithmic: Bool
  ) {
    precondition(width > 0 && height > 0, "a plot has room")
    self.width = width
    self.height = height
    self.axis = axis
    axisEnds = ends
    self.isLogarithmic = isLogarithmic
    self.curves = Array(
      repeating: Array(repeating: nil, count: width * Plot.dotsAcross), count: curves)
  }

  /// Adds a point at a step, or at microseconds since 1970, to a curve; what is no number leaves a
  /// gap.
  mutating func add(_ value: Double, at place: Int64, to curve: Int) {
    add(value, x: Double(place), to: curve)
  }

  /// Adds a point to a curve; what is no number leaves a gap.
  mutating func add(_ value: Double, x: Double, to curve: Int) {
    guard value.isFinite, axis.contains(x) else { return }
    if isLogarithmic, value <= 0 {
      leftOut += 1
      return
    }
    let scaled = isLogarithmic ? log10(value) : value
    let columns = width * Plot.dotsAcross
    // Of halves: the difference of two numbers may be more than a number holds.
    let length = axis.upperBound / 2 - axis.lowerBound / 2
    let place = length == 0 ? 0 : (x / 2 - axis.lowerBound / 2) / length
    let column = min(columns - 1, Int(place * Double(columns)))
    guard let before = curves[curve][column] else {
      curves[curve][column] = Extent(low: scaled, high: scaled)
      return
    }
    curves[curve][column] = Extent(
      low: min(before.low, scaled), high: max(before.high, scaled))
  }

  /// The mark and the style of a curve: where there are no colours, or not enough, letters tell
  /// the curves apart.
  static func mark(_ curve: Int) -> (letter: Character, style: Console.Style) {
    let letters = Array("abcdefghijklmnopqrstuvwxyz")
    return (letters[curve % letters.count], styles[curve % styles.count])
  }

  /// The plot with its axes; `isColored` where colours tell the curves apart.
  func text(isColored: Bool) -> String {
    let known = curves.joined().compactMap { $0 }
    guard let low = known.map(\.low).min(), let high = known.map(\.high).max() else {
      return "no points to show\n"
    }
    let usesLetters = curves.count > 1 && (!isColored || curves.count > Plot.styles.count)
    let cells = drawn(low, high)
    let labels = (top: label(high), bottom: label(low))
    let margin = max(labels.top.count, labels.bottom.count)
    var text = ""
    for (row, line) in cells.enumerated() {
      let label = row == 0 ? labels.top : row == height - 1 ? labels.bottom : ""
      text += String(repeating: " ", count: margin - label.count) + label
      text += label.isEmpty ? " │" : " ┤"
      text += line.map { character(of: $0, usesLetters, isColored) }.joined() + "\n"
    }
    let (first, last) = axisEnds
    let gap = max(1, width - first.count - last.count)
    let indent = String(repeating: " ", count: margin + 1)
    text += indent + "└" + String(repeating: "─", count: width) + "\n"
    text += indent + " " + first
    if first != last {
      text += String(repeating: " ", count: gap) + last
    }
    return text + "\n"
  }

  private typealias Cell = (dots: UInt32, curve: Int)

  private func character(of cell: Cell, _ usesLetters: Bool, _ isColored: Bool) -> String {
    guard cell.dots != 0, let braille = Unicode.Scalar(Plot.blank + cell.dots) else { return " " }
    let mark = Plot.mark(cell.curve)
    let text = usesLetters ? String(mark.letter) : String(Character(braille))
    return isColored && curves.count > 1 ? Console.styled(text, mark.style) : text
  }

  /// The characters from the top down; where curves meet, the later one is seen.
  private func drawn(_ low: Double, _ high: Double) -> [[Cell]] {
    var cells = Array(
      repeating: Array(repeating: Cell(dots: 0, curve: 0), count: width), count: height)
    let rows = height * Plot.dotsDown
    func row(_ value: Double) -> Int {
      guard high > low else { return rows / 2 }
      // Halved first: the difference of two large values may not be finite.
      let place = (high / 2 - value / 2) / (high / 2 - low / 2)
      return min(rows - 1, Int(place * Double(rows)))
    }
    for (index, curve) in curves.enumerated() {
      for (column, extent) in curve.enumerated() {
        guard let extent else { continue }
        for dot in row(extent.high)...row(extent.low) {
          let (down, across) = (dot / Plot.dotsDown, column / Plot.dotsAcross)
          if cells[down][across].curve != index { cells[down][across] = (0, index) }
          cells[down][across].dots |=
            Plot.bits[dot % Plot.dotsDown][column % Plot.dotsAcross]
        }
      }
    }
    return cells
  }

  private func label(_ value: Double) -> String {
    short(isLogarithmic ? pow(10, value) : value)
  }
}
