import Client
import Foundation
import Messages
import Testing

/// What the documentation shows is what is compiled here.
@Suite struct ExampleTests {
  @Test("The example of Docs/swift.md is the code of this file")
  func isDocumented() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(
      contentsOf: root.appendingPathComponent("Docs/swift.md"), encoding: .utf8)
    let source = try String(contentsOfFile: #filePath, encoding: .utf8)
    let lines = source.components(separatedBy: "\n")
    let begin = try #require(lines.firstIndex(of: "  // The example begins."))
    let end = try #require(lines.firstIndex(of: "  // The example ends."))
    let example = lines[(begin + 1)..<end].map { $0.hasPrefix("  ") ? $0.dropFirst(2) : $0[...] }
    #expect(page.contains("```swift\n\(example.joined(separator: "\n"))\n```"))
  }

  // The example begins.
  func followNewestRun() async throws {
    let found = try Endpoint.resolve(EndpointSettings(), in: .ofProcess())
    let connection = try Connection(to: found.endpoint)
    let tracking = TrackingClient(connection)

    var newest = ListRunsRequest()
    newest.pageSize = 1
    guard let run = try await tracking.listRuns(newest).runs.first else { return }

    var watch = WatchRunRequest()
    watch.runID = run.id
    do {
      let changes = try await tracking.watchRun(watch)
      while let change = try await changes.next() {
        for series in change.series { print(series.key, series.steps.count, "points") }
      }
    } catch {
      print(error.code, error.reason)
    }
    await connection.close()
  }
  // The example ends.
}
