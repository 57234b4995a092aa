/// A curve in one line of text.
///
/// Takes any number of values in order and keeps a bounded number of means, so that a metric of
/// millions of points costs no memory.
struct Sparkline {
  private static let levels = Array("▁▂▃▄▅▆▇█")

  /// Sum and number of the finite values of one cell.
  private struct Cell {
    var sum = 0.0
    var count = 0
    var values = 0
  }

  private let width: Int
  private var cells: [Cell] = []
  /// How many values a cell takes; doubles when the cells are full.
  private var valuesPerCell = 1

  /// A curve of at most `width` characters, at least 2.
  init(width: Int) {
    precondition(width >= 2, "a curve has at least two points")
    self.width = width
  }

  /// Adds the next value; NaN and infinities leave a gap where nothing else falls.
  mutating func add(_ value: Double) {
    if cells.last.map({ $0.values == valuesPerCell }) ?? true {
      if cells.count == width * 2 { merge() }
      cells.append(Cell())
    }
    cells[cells.count - 1].values += 1
    guard value.isFinite else { return }
    cells[cells.count - 1].sum += value
    cells[cells.count - 1].count += 1
  }

  private mutating func merge() {
    cells = stride(from: 0, to: cells.count, by: 2).map { index in
      let (left, right) = (cells[index], cells[index + 1])
      return Cell(
        sum: left.sum + right.sum, count: left.count + right.count,
        values: left.values + right.values)
    }
    valuesPerCell *= 2
  }

  /// The curve, between its own smallest and largest mean; empty without values.
  var text: String {
    let columns = min(width, cells.count)
    guard columns > 0 else { return "" }
    let means = (0..<columns).map { column -> Double? in
      let part = cells[cells.count * column / columns..<cells.count * (column + 1) / columns]
      let count = part.reduce(0) { $0 + $1.count }
      return count == 0 ? nil : part.reduce(0) { $0 + $1.sum / Double(count) }
    }
    let finite = means.compactMap { $0 }
    guard let low = finite.min(), let high = finite.max() else {
      return String(repeating: "·", count: columns)
    }
    return String(
      means.map { mean in
        guard let mean else { return "·" }
        guard high > low else { return Self.levels[3] }
        // Halved first: the difference of two large values may not be finite.
        let height = (mean / 2 - low / 2) / (high / 2 - low / 2)
        return Self.levels[min(7, Int(height * 8))]
      })
  }
}
