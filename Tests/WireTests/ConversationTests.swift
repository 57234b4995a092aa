public import Testing
public import WireVectors

@Suite("Golden conversations with a server")
struct ConversationTests {
  static let all = (try? JSON.vectors("conversations.json")) ?? []

  @Test("The conversations are there")
  func present() { #expect(Self.all.count > 60) }

  @Test("A server does what the conversation says", arguments: all)
  func conversation(_ vector: JSON) {
    var server = ScriptedServer(limits: vector["limits"] ?? .object([:]))
    for (index, step) in (vector["steps"]?.list ?? []).enumerated() {
      for _ in 0..<(step["repeat"]?.number ?? 1) {
        let events = server.perform(step)
        let expected = step["expect"]?.list ?? []
        let isExpected =
          events.count == expected.count && zip(events, expected).allSatisfy(matches)
        if !isExpected {
          Issue.record("\(vector["name"]?.text ?? "") step \(index): \(events) not \(expected)")
          return
        }
      }
    }
  }
}

extension JSON: CustomTestStringConvertible {
  /// The vector's name.
  public var testDescription: String { self["name"]?.text ?? "\(self)" }
}
