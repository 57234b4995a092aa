import Testing

@testable import Client

@Suite struct WaitingLineTests {
  @Test("Everything leaves in the order in which it came")
  func order() {
    var line = WaitingLine<Int>()
    var left: [Int] = []
    for value in 0..<1_000 {
      line.append(value)
      if value.isMultiple(of: 3), let first = line.popFirst() { left.append(first) }
    }
    while let first = line.popFirst() { left.append(first) }
    #expect(left == Array(0..<1_000))
    #expect(line.isEmpty)
  }

  @Test("A line that never runs dry does not grow by those who have left")
  func bounded() {
    var line = WaitingLine<Int>()
    for value in 0..<10 { line.append(value) }
    for value in 10..<100_000 {
      line.append(value)
      #expect(line.popFirst() == value - 10)
    }
    #expect(line.count == 10)
    #expect(line.placesCount < 200)
  }
}
