import COpenSSL
import Glibc
import TLS
import Testing

@Suite("An established connection")
struct TransferTests {
  private func connected() throws -> MemoryPair {
    let authority = try TestAuthority()
    let pair = try MemoryPair(client: authority.client(), server: authority.server())
    try pair.shakeHands()
    #expect(try pair.client.read().result == .wantRead)
    return pair
  }

  @Test("carries bytes both ways")
  func carries() throws {
    let pair = try connected()
    #expect(try pair.client.write(Array("ping".utf8)) == .bytes(4))
    try pair.carry()
    #expect(try pair.server.read().bytes == Array("ping".utf8))
    #expect(try pair.server.read().result == .wantRead)
    #expect(try pair.server.write(Array("pong".utf8)) == .bytes(4))
    try pair.carry()
    #expect(try pair.client.read().bytes == Array("pong".utf8))
  }

  @Test("waits for more as ever after something else of its thread left an error behind")
  func strayError() throws {
    let pair = try connected()
    ERR_clear_error()
    #expect(unsafe OBJ_txt2obj("not an object", 0) == nil)
    #expect(ERR_peek_error() != 0)
    #expect(try pair.server.read().result == .wantRead)
    #expect(try pair.client.write(Array("ping".utf8)) == .bytes(4))
    try pair.carry()
    #expect(try pair.server.read().bytes == Array("ping".utf8))
    ERR_clear_error()
  }

  @Test("tells of bytes that it fetched and has not yet given")
  func buffered() throws {
    let pair = try connected()
    #expect(try pair.client.write(Array("pingpong".utf8)) == .bytes(8))
    try pair.carry()
    #expect(try pair.server.read(max: 4).result == .bytes(4))
    #expect(pair.server.hasBufferedInput)
    #expect(try pair.server.read(max: 4).result == .bytes(4))
    #expect(!pair.server.hasBufferedInput)
  }

  @Test("tells a clean end from a truncated one", arguments: [true, false])
  func ends(isClean: Bool) throws {
    let pair = try connected()
    #expect(try pair.client.write(Array("last".utf8)) == .bytes(4))
    if isClean { #expect(try pair.client.shutdown() == .done) }
    try pair.carry()
    pair.server.receiveEnd()
    #expect(try pair.server.read().bytes == Array("last".utf8))
    #expect(try pair.server.read().result == .closed(clean: isClean))
    #expect(try pair.server.read().result == .closed(clean: isClean))
    #expect(try pair.server.shutdown() == .done)
  }

  @Test("goes on receiving after it said close_notify")
  func halfClosed() throws {
    let pair = try connected()
    #expect(try pair.server.shutdown() == .done)
    #expect(try pair.client.write(Array("late".utf8)) == .bytes(4))
    try pair.carry()
    #expect(try pair.server.read().bytes == Array("late".utf8))
    #expect(try pair.client.read().result == .closed(clean: true))
  }

  @Test("refuses a record that was tampered with")
  func tampered() throws {
    let pair = try connected()
    #expect(try pair.client.write(Array("secret".utf8)) == .bytes(6))
    var record = pair.client.takeOutput()
    record[record.count - 1] ^= 1
    try pair.server.receive(record)
    let error = #expect(throws: TLSError.self) {
      _ = try pair.server.read()
    }
    #expect(error?.reason == .protocolViolation)
    #expect(pair.server.alertSent == "bad record mac")
  }

  @Test("counts the peer's key updates and goes on")
  func keyUpdates() throws {
    let pair = try connected()
    for round in 1...12 {
      try pair.client.connection.requestKeyUpdate()
      #expect(try pair.client.write([UInt8(round)]) == .bytes(1))
      try pair.carry()
      #expect(try pair.server.read().bytes == [UInt8(round)])
      #expect(pair.server.keyUpdateCount == round)
      #expect(try pair.server.write([1]) == .bytes(1))
      try pair.carry()
      #expect(try pair.client.read().bytes == [1])
    }
  }

  @Test("reads nothing behind one key update too many, however many came at once")
  func keyUpdatesEndInput() throws {
    let pair = try connected()
    pair.server.connection.endInput(afterKeyUpdates: 3)
    for round in 1...50 {
      try pair.client.connection.requestKeyUpdate()
      #expect(try pair.client.write([UInt8(round)]) == .bytes(1))
    }
    try pair.carry()
    var seen: [UInt8] = []
    for _ in 1...100 {
      let read = try pair.server.read()
      seen += read.bytes
      if case .closed = read.result { break }
    }
    #expect(pair.server.keyUpdateCount == 4)
    #expect(seen.count <= 4)
    #expect(try pair.server.write([1]) == .bytes(1))
  }

  @Test("outlives the context it was made by, beside connections of a renewed one")
  func renewal() throws {
    let authority = try TestAuthority()
    let client = try authority.client()
    let old = try MemoryPair(client: client, server: authority.server())
    try old.shakeHands()
    let new = try MemoryPair(client: client, server: authority.server())
    try new.shakeHands()
    #expect(old.client.certificate != new.client.certificate)
    #expect(try old.client.write(Array("on".utf8)) == .bytes(2))
    try old.carry()
    #expect(try old.server.read().bytes == Array("on".utf8))
  }

  @Test("moves 8 MiB through small socket buffers, byte for byte")
  func smallBuffers() throws {
    let authority = try TestAuthority()
    let sockets = try SocketPair(bufferBytes: 4096)
    let client = Peer(
      try .connecting(on: sockets.first, to: localhost, context: authority.client()))
    let server = Peer(try .accepting(on: sockets.second, context: authority.server()))
    shakeHands(client, server)
    let sent = randomBytes(count: 8 << 20)
    var received: [UInt8] = []
    received.reserveCapacity(sent.count)
    var (offset, waits) = (0, 0)
    while received.count < sent.count {
      if offset < sent.count {
        let rest = Array(sent[offset..<min(sent.count, offset + 100_000)])
        switch try client.write(rest) {
        case .bytes(let count): offset += count
        case .wantWrite: waits += 1
        case let other: Issue.record("unexpected \(other)")
        }
      }
      while true {
        let (result, bytes) = try server.read()
        guard case .bytes = result else { break }
        received += bytes
      }
    }
    #expect(waits > 0)
    #expect(received == sent)
  }

  @Test("survives a peer that vanishes, without a signal")
  func vanished() throws {
    let authority = try TestAuthority()
    let sockets = try SocketPair(bufferBytes: nil)
    let client = Peer(
      try .connecting(on: sockets.first, to: localhost, context: authority.client()))
    let server = Peer(try .accepting(on: sockets.second, context: authority.server()))
    shakeHands(client, server)
    sockets.closeFirst()
    #expect(try server.write([1]) == .closed(clean: false))
    #expect(try server.shutdown() == .done)
  }

  private func shakeHands(_ client: Peer, _ server: Peer) {
    while (!client.isDone || !server.isDone) && client.error == nil && server.error == nil {
      client.shakeHands()
      server.shakeHands()
    }
    #expect(client.isDone && server.isDone)
  }
}

/// Two connected sockets that never block.
final class SocketPair {
  let first: Int32
  let second: Int32
  private var isFirstOpen = true

  init(bufferBytes: Int32?) throws {
    var descriptors: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    try #require(unsafe socketpair(AF_UNIX, type, 0, &descriptors) == 0)
    (first, second) = (descriptors[0], descriptors[1])
    guard var bufferBytes else { return }
    for descriptor in descriptors {
      unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &bufferBytes, 4)
    }
  }

  func closeFirst() {
    close(first)
    isFirstOpen = false
  }

  deinit {
    if isFirstOpen { close(first) }
    close(second)
  }
}
