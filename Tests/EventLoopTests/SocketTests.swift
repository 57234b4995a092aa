import EventLoop
import Glibc
import Synchronization
import Testing

/// Blocks a thread until another opens it.
final class Gate: Sendable {
  private let isOpen = Atomic<Bool>(false)

  func open() { isOpen.store(true, ordering: .releasing) }

  func waitUntilOpen() {
    while !isOpen.load(ordering: .acquiring) { sched_yield() }
  }
}

@Suite struct SocketTests {
  @Test("A connection is accepted with its peer's address, and bytes pass", .timeLimit(.minutes(1)))
  func connection() async throws {
    let harness = try LoopHarness()
    let received = await harness.run { loop -> [UInt8] in
      guard let listener = try? ListeningSocket(host: "127.0.0.1", port: 0),
        let client = try? Connecting.begin(host: "127.0.0.1", port: listener.address.port)
      else { return [] }
      let readiness = Readable()
      guard (try? loop.register(listener.descriptor.number, .read, readiness)) != nil else {
        return []
      }
      await readiness.signal.wait(unless: { false })
      loop.deregister(listener.descriptor.number)
      guard case .connection(let server, let peer) = listener.accept() else { return [] }
      #expect(peer.host == "127.0.0.1")
      #expect(client.takeError() == nil)
      var bytes: [UInt8] = [1, 2, 3]
      _ = unsafe write(client.number, bytes, 3)
      let arrived = Readable()
      guard (try? loop.register(server.number, .read, arrived)) != nil else { return [] }
      await arrived.signal.wait(unless: { false })
      loop.deregister(server.number)
      bytes = [0, 0, 0]
      _ = unsafe read(server.number, &bytes, 3)
      return bytes
    }
    #expect(received == [1, 2, 3])
    await harness.stop()
  }

  @Test("Input is thrown away up to a count, and its end is told", .timeLimit(.minutes(1)))
  func discardedInput() async throws {
    let harness = try LoopHarness()
    let outcomes = await harness.run { loop -> [Descriptor.Discarded] in
      guard let listener = try? ListeningSocket(host: "127.0.0.1", port: 0),
        let client = try? Connecting.begin(host: "127.0.0.1", port: listener.address.port)
      else { return [] }
      await untilReadable(listener.descriptor.number, loop)
      guard case .connection(let server, _) = listener.accept() else { return [] }
      var outcomes = [server.discardInput(upTo: 10)]
      _ = unsafe write(client.number, [1, 2, 3] as [UInt8], 3)
      await untilReadable(server.number, loop)
      outcomes.append(server.discardInput(upTo: 2))
      outcomes.append(server.discardInput(upTo: 10))
      client.finishWriting()
      await untilReadable(server.number, loop)
      outcomes.append(server.discardInput(upTo: 10))
      return outcomes
    }
    #expect(outcomes == [.bytes(0), .bytes(2), .bytes(1), .ended])
    await harness.stop()
  }

  private func untilReadable(_ number: Int32, _ loop: Loop) async {
    let readiness = Readable()
    guard (try? loop.register(number, .read, readiness)) != nil else { return }
    await readiness.signal.wait(unless: { false })
    loop.deregister(number)
  }

  @Test("A port in use is told as such")
  func portInUse() throws {
    let first = try ListeningSocket(host: "127.0.0.1", port: 0)
    do throws(SystemError) {
      _ = try ListeningSocket(host: "127.0.0.1", port: first.address.port)
      Issue.record("the port was taken twice")
    } catch {
      #expect(error.isAddressInUse)
      #expect(error.call == "bind")
    }
  }

  @Test("Nobody waiting is no error")
  func nobody() throws {
    let listener = try ListeningSocket(host: "127.0.0.1", port: 0)
    guard case .none = listener.accept() else {
      Issue.record("somebody connected")
      return
    }
  }

  @Test("A host that does not exist is an error that names it")
  func unknownHost() {
    do throws(SystemError) {
      _ = try ListeningSocket(host: "256.0.0.1", port: 0)
      Issue.record("an impossible address was found")
    } catch {
      #expect(error.call == "getaddrinfo 256.0.0.1")
    }
  }
}

private final class Readable: DescriptorHandler {
  let signal = Signal()
  func ready(_ readiness: Readiness) { signal.notify() }
}
