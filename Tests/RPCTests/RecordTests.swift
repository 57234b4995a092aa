import EventLoop
import Glibc
import Testing
import Wire

@testable import RPC

@Suite("TLS records")
struct RecordTests {
  @Test("Part of a TLS record costs nothing until the rest comes")
  func partialRecord() throws {
    let server = try TestServer()
    let companion = try Companion(server)
    for key in ["k", nil] {
      let client = try RawClient(server, key: key)
      try client.sendRecordPart([0x17, 0x03, 0x03, 0x01, 0x00, 1, 2, 3])
      server.settle()
      try companion.expectEcho()
    }
  }

  @Test("TCP gives up on a peer that acknowledges nothing")
  func acknowledgements() throws {
    let server = try TestServer { $0.settings.acknowledgementTimeout = .seconds(17) }
    let client = try RawClient(server)
    let milliseconds = server.perform { place in
      place.server.sessions.values.map { session in
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        _ = unsafe getsockopt(
          session.descriptor.number, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &value, &size)
        return value
      }
    }
    #expect(milliseconds == [17_000])
    _ = client
  }

  @Test("Of many Calls in one record a turn starts so many; the others' turn comes between")
  func callsPerTurn() throws {
    let server = try TestServer { $0.settings.callsPerTurnMax = 2 }
    let client = try RawClient(server)
    let before = server.perform { $0.server.loop.statistics.turns }
    try client.send { output in
      let header = CallHeader(method: "needletail.rpc.v1.Server/Echo", endOfRequests: true)
      for stream in 1...100 {
        unsafe output.call(stream: UInt32(stream), header, message: [UInt8]().span.bytes)
      }
    }
    var answered: Set<UInt32> = []
    for _ in 1...100 {
      let answer = try #require(try client.receiveAnswer())
      #expect(answer.outcome == "OK")
      answered.insert(answer.stream)
    }
    #expect(answered == Set(1...100))
    let turns = server.perform { $0.server.loop.statistics.turns } - before
    #expect(turns >= 49)
  }

  @Test("A flood of key updates ends its connection at the bound that is set, and no other")
  func keyUpdateFlood() throws {
    let server = try TestServer { $0.settings.keyUpdatesPerMinuteMax = 3 }
    let companion = try Companion(server)
    let client = try RawClient(server)
    for token in 1...10 {
      try client.updateKeys()
      try client.send { $0.ping(token: UInt64(token)) }
    }
    #expect(try client.receiveGoaway() == "RESOURCE_EXHAUSTED ENHANCE_YOUR_CALM")
    try companion.expectEcho()
  }
}
