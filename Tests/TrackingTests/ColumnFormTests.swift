import TestSupport
import Testing

@testable import Tracking

/// How columns of whole numbers are stored.
struct ColumnFormTests {
  @Test(
    "A column takes the least form that tells every number exactly",
    arguments: [
      ([5], .regular(stride: 0)),
      ([.min], .regular(stride: 0)),
      ([7, 7, 7], .regular(stride: 0)),
      ([1, 2, 3], .regular(stride: 1)),
      ([3, 2, 1], .regular(stride: -1)),
      ([.max - 1, .max], .regular(stride: 1)),
      ([.min, .min + 1], .regular(stride: 1)),
      ([0, .max], .regular(stride: .max)),
      ([-1, .max - 1], .regular(stride: .max)),
      ([-1, .max], .wide([-1, .max])),
      ([.min, .max], .wide([.min, .max])),
      ([.max, .min], .wide([.max, .min])),
      ([0, .min], .regular(stride: .min)),
      ([1, .min], .wide([1, .min])),
      // Every stride fits and the span does not.
      ([.min, 0, .max - .max / 2], .wide([.min, 0, .max - .max / 2])),
      ([1, 2, 4], .offsets([0, 1, 3])),
      ([4, 2, 1], .offsets([0, -2, -3])),
      ([10, 10, 11], .offsets([0, 0, 1])),
      ([0, 1, Int64(Int32.max)], .offsets([0, 1, .max])),
      ([0, 1, Int64(Int32.min)], .offsets([0, 1, .min])),
      ([0, 1, Int64(Int32.max) + 1], .wide([0, 1, Int64(Int32.max) + 1])),
      ([0, 1, Int64(Int32.min) - 1], .wide([0, 1, Int64(Int32.min) - 1])),
      ([.max, .max, .max - 1], .offsets([0, 0, -1])),
      ([.max, .max, .min], .wide([.max, .max, .min])),
    ] as [([Int64], ColumnForm)])
  func form(numbers: [Int64], expected: ColumnForm) {
    #expect(ColumnForm(numbers) == expected)
    #expect(Self.stored(numbers) == numbers)
  }

  @Test("The forms have the numbers that the storing statement knows")
  func numbers() {
    #expect(ColumnForm.regular(stride: 1).number == 0)
    #expect(ColumnForm.offsets([]).number == 1)
    #expect(ColumnForm.wide([]).number == 2)
  }

  @Test("Random columns come back as they were", arguments: 1...40 as ClosedRange<UInt64>)
  func roundTrip(seed: UInt64) {
    var random = SplitMix(seed: seed)
    for _ in 0..<200 {
      let numbers = Self.column(&random)
      #expect(Self.stored(numbers) == numbers)
    }
  }

  /// What is read of a column that was stored.
  private static func stored(_ numbers: [Int64]) -> [Int64] {
    let first = numbers[0]
    let column =
      switch ColumnForm(numbers) {
      case .regular(let stride): ChunkColumn(first: first, stride: stride)
      case .offsets(let offsets): ChunkColumn(first: first, offsets: offsets)
      case .wide(let wide): ChunkColumn(first: first, wide: wide)
      }
    return column.numbers(numbers.count)
  }

  /// A column of one of the shapes that occur: regular, nearly regular, close, and anything.
  private static func column(_ random: inout SplitMix) -> [Int64] {
    let count = Int.random(in: 1...20, using: &random)
    let first = edge(&random)
    let stride = Int64.random(in: -3...3, using: &random)
    let shape = Int.random(in: 0..<4, using: &random)
    return (0..<Int64(count)).map { index in
      let regular = first &+ index &* stride
      switch shape {
      case 0: return regular
      case 1: return random.isOnce(in: 5) ? regular &+ 1 : regular
      case 2: return first &+ Int64(Int32(truncatingIfNeeded: random.next()))
      default: return edge(&random)
      }
    }
  }

  /// A number that is often at an edge of its range.
  private static func edge(_ random: inout SplitMix) -> Int64 {
    let edges: [Int64] = [.min, .max, 0, Int64(Int32.min), Int64(Int32.max)]
    if random.isOnce(in: 3) { return Int64(bitPattern: random.next()) }
    return edges[Int.random(in: 0..<edges.count, using: &random)]
      &+ Int64.random(in: -2...2, using: &random)
  }
}
