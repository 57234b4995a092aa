import RPC
import Testing

/// A good client beside a bad one: it must not notice anything.
final class Companion {
  private let client: RawClient
  private var count: UInt8 = 0

  init(_ server: TestServer, key: String = "k") throws {
    client = try RawClient(server, key: key)
    try expectEcho()
  }

  /// Makes a call and expects its answer.
  func expectEcho(sourceLocation: SourceLocation = #_sourceLocation) throws {
    count &+= 1
    let stream = try client.call("needletail.rpc.v1.Server/Echo", Proto.field(1, [count]))
    let answer = try client.receiveAnswer()
    #expect(answer?.name == "End", sourceLocation: sourceLocation)
    #expect(answer?.stream == stream, sourceLocation: sourceLocation)
    #expect(answer?.outcome == "OK", sourceLocation: sourceLocation)
    #expect(answer?.message == Proto.field(1, [count]), sourceLocation: sourceLocation)
  }
}
