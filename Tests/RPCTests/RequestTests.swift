import EventLoop
import Identity
import Messages
import Postgres
import Testing
import Registry
import Tracing
import Tracking
import Wire

@testable import RPC

@Suite("Requests that do not decode")
struct RequestTests {
  /// Takes every key, for everything.
  private struct Everybody: UnchangingKeys {
    func authenticate(
      _ apiKey: String, from peer: SocketAddress, database: Database, deadline: Instant
    ) async throws(CallError) -> Principal {
      Principal(
        organizationID: .zero, id: .zero, kind: "user", label: "", apiKeyID: .zero, role: "admin",
        permissions: Set(
          (IdentityMethods.all + RegistryMethods.all + TrackingMethods.all + TracingMethods.all)
            .map(\.permission)))
    }
  }

  private func makeServer() throws -> TestServer {
    try TestServer {
      $0.authenticator = Everybody()
      $0.methods =
        ServerState.ownMethods + IdentityService(permissions: []).methods
        + RegistryService().methods + TrackingService().methods
        + TracingService(TracingSettings()).methods
    }
  }

  private static let service = "needletail.tracking.v1.Tracking"

  @Test("Text that is not UTF-8, or holds U+0000, is refused by its path in every text field")
  func badText() throws {
    let server = try makeServer()
    let client = try RawClient(server)
    let texts = try TextField.all()
    #expect(texts.count >= 37)
    for text in texts {
      for (bytes, problem) in [
        ([0x61, 0xFF], "is not valid UTF-8"), ([0xC0, 0x80], "is not valid UTF-8"),
        ([0xED, 0xA0, 0x80], "is not valid UTF-8"), ([0x61, 0x00, 0x62], "contains U+0000"),
      ] as [([UInt8], String)] {
        let request = text.numbers.reversed().reduce(bytes) { Proto.field($1, $0) }
        try client.call(text.method, request)
        let answer = try client.receiveAnswer()
        #expect(
          answer?.outcome == "INVALID_ARGUMENT REQUEST_MALFORMED", "\(text.method) \(text.path)")
        #expect(
          answer?.status?.fieldViolations == [
            FieldViolation(field: text.path, description: problem)
          ])
      }
    }
  }

  @Test("A request of too many elements is refused before it takes memory")
  func elements() throws {
    let server = try makeServer()
    let companion = try RawClient(server)
    let client = try RawClient(server)
    for request in [
      [UInt8](repeating: 0, count: 20_001).flatMap { _ in Proto.field(3, []) },
      Proto.field(3, [UInt8](repeating: 0, count: 1_000_000).flatMap { _ in [0x12, 0x00] }),
    ] {
      try client.call("\(Self.service)/AppendMetrics", request)
      let answer = try client.receiveAnswer()
      #expect(answer?.outcome == "INVALID_ARGUMENT REQUEST_MALFORMED")
      #expect(
        answer?.status?.fieldViolations.first?.description
          == "has more than 20000 elements or 40000 columns of numbers in all")
    }
    try companion.call("needletail.rpc.v1.Server/Echo")
    #expect(try companion.receiveAnswer()?.outcome == "OK")
  }

  @Test(
    "A bomb of nested messages harms nothing: no known message nests, and unknown ones are skipped")
  func nesting() throws {
    let server = try makeServer()
    let client = try RawClient(server)
    for number in [3, 100] as [UInt64] {
      var request: [UInt8] = []
      while request.count < 40_000 { request = Proto.field(number, request) }
      try client.call("\(Self.service)/GetRun", request)
      let answer = try client.receiveAnswer()
      // It decodes, and has no id.
      #expect(answer?.outcome == "INVALID_ARGUMENT FIELD_INVALID")
    }
  }

  @Test("A field given twice, cut off, or of another type is refused by its path")
  func malformed() throws {
    let server = try makeServer()
    let client = try RawClient(server)
    for (request, problem) in [
      (Proto.field(1, text: "a") + Proto.field(1, text: "b"), "is given twice"),
      ([0x0A, 0x05, 0x61], "ends too early"),
      (Proto.field(1, varint: 1), "has the wire type of another field type"),
    ] {
      try client.call("\(Self.service)/GetRun", request)
      let answer = try client.receiveAnswer()
      #expect(answer?.outcome == "INVALID_ARGUMENT REQUEST_MALFORMED")
      #expect(
        answer?.status?.fieldViolations == [FieldViolation(field: "id", description: problem)])
    }
  }

  @Test("A message of a stream that does not decode ends the stream, and the connection goes on")
  func malformedData() throws {
    let server = try makeServer()
    let client = try RawClient(server)
    let stream = try client.call("\(Self.service)/AppendMetrics", endOfRequests: false) {
      $0.hasNoMessage = true
    }
    try client.data(stream, [0xFF])
    let answer = try client.receiveAnswer()
    #expect(answer?.outcome == "INVALID_ARGUMENT REQUEST_MALFORMED")
    try client.call("needletail.rpc.v1.Server/Echo")
    #expect(try client.receiveAnswer()?.outcome == "OK")
  }
}
