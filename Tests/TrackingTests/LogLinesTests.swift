import Messages
import Postgres
import RPC
import Testing

@testable import Tracking

/// Reading batches of log lines, joining them, and choosing among them.
struct LogLinesTests {
  private static let run = "0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50"

  private func request(_ texts: [String], rank: UInt32 = 0) -> AppendLogsRequest {
    var run = RunLogs()
    run.runID = Self.run
    run.rank = rank
    run.text = texts.joined()
    run.textBytes = texts.map { UInt32($0.utf8.count) }
    var request = AppendLogsRequest()
    request.runs = [run]
    return request
  }

  @Test("Lines are cut where their lengths say")
  func cut() throws {
    let texts = ["", "é", "\u{1b}[0m\r", "😀", ""]
    let lines = try LogLines.read(request(texts), receivedAt: 7)
    #expect(lines.count == 1)
    #expect(lines.first?.texts == texts)
    #expect(lines.first?.timesUs == [7, 7, 7, 7, 7])
    #expect(lines.first?.streams == Array(repeating: "stdout", count: 5))
    #expect(lines.first?.levelMask == 1)
    #expect(lines.first?.textBytes == texts.joined().utf8.count)
  }

  @Test("A length that ends within a character is refused", arguments: [1, 2, 3])
  func cutCharacter(length: UInt32) {
    var bad = request(["😀"])
    bad.runs[0].textBytes = [length, 4 - length]
    #expect(throws: CallError.self) { try LogLines.read(bad, receivedAt: 0) }
  }

  @Test("Lines of one process are joined up to what a chunk takes")
  func join() throws {
    let half = Array(repeating: "x", count: LogBounds.batchLinesMax / 2)
    let one = try LogLines.read(request(half), receivedAt: 0)
    let other = try LogLines.read(request(["y"], rank: 1), receivedAt: 0)
    let joined = LogLines.joined(one + other + one + other + one)
    #expect(joined.map(\.texts.count) == [LogBounds.batchLinesMax, 2, LogBounds.batchLinesMax / 2])
    #expect(joined.map(\.rank) == [0, 1, 0])
  }

  @Test("Long lines are joined up to what a chunk takes")
  func joinLong() throws {
    let line = String(repeating: "x", count: LogBounds.lineBytesMax)
    let lines = try LogLines.read(
      request(Array(repeating: line, count: 9)), receivedAt: 0)
    #expect(LogLines.joined(lines + lines).map(\.texts.count) == [9, 9])
  }

  @Test("Two filters that differ are told apart")
  func fingerprints() {
    var filters = Array(repeating: LogFilter(), count: 9)
    filters[1].streams = ["a", "b"]
    filters[2].streams = ["a"]
    filters[3].contains = "a"
    filters[4].levels = [.unspecified]
    filters[5].levels = [.error]
    filters[6].ranks = [1, 2]
    filters[7].fromUs = 1
    filters[8].untilUs = 1
    var validator = Validator()
    let all = filters.map { LogChoice.read($0, &validator).fingerprint }
    #expect(Set(all).count == filters.count)
  }

  @Test("Positions sort as text in the order of the log")
  func positions() {
    let first = LogPosition(chunkID: .zero, lineNumber: 9)
    let second = LogPosition(chunkID: .zero, lineNumber: 10_000)
    let third = LogPosition(chunkID: LogPosition.end.chunkID, lineNumber: 1)
    #expect(first.text < second.text)
    #expect(second.text < third.text)
  }
}
