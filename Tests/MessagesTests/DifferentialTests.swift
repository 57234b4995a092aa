@testable import Messages
import SwiftProtobuf
import SwiftProtobufMessages
import TestSupport
import Testing

/// Ours beside swift-protobuf: the same bytes have to mean the same.
@Suite struct DifferentialTests {
  @Test("Random messages mean the same to swift-protobuf", arguments: Peer.all)
  func random(peer: Peer) throws {
    for seed in 0..<UInt64(150) {
      let bytes = peer.randomBytes(seed, seed % 3 == 0)
      let ours = try peer.ours(bytes)
      #expect(try ours == peer.theirs(bytes), "seed \(seed): \(bytes)")
      #expect(try ours == peer.theirs(ours), "seed \(seed): \(bytes)")
      #expect(try ours == peer.ours(ours), "seed \(seed): \(bytes)")
    }
  }

  @Test(
    "Whatever is accepted of broken bytes means the same to swift-protobuf", arguments: Peer.all)
  func mutated(peer: Peer) throws {
    for seed in 0..<UInt64(400) {
      var random = SplitMix(seed: seed)
      let bytes = mutate(peer.randomBytes(seed / 4, false), &random)
      guard let ours = try? peer.ours(bytes) else { continue }  // refusing is always allowed
      let theirs = try peer.theirs(bytes)
      if try ours == peer.theirs(ours), ours == theirs { continue }
      // Ours cuts off nanoseconds and writes −0 elsewhere; neither changes what ours reads.
      #expect(try peer.ours(theirs) == ours, "seed \(seed): \(bytes)")
    }
  }

  private func mutate(_ original: [UInt8], _ random: inout SplitMix) -> [UInt8] {
    var bytes = original
    for _ in 0...Int.random(in: 0...3, using: &random) {
      guard !bytes.isEmpty else { return [UInt8.random(in: 0...255, using: &random)] }
      let index = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: bytes[index] = UInt8.random(in: 0...255, using: &random)
      case 2: bytes.remove(at: index)
      case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
      case 4: bytes.removeSubrange(index...)
      default:
        let end = Int.random(in: index...bytes.count, using: &random)
        bytes.append(contentsOf: bytes[index..<end])
      }
    }
    return bytes
  }

  @Test("Every message of the descriptors is compared")
  func table() throws {
    let set = try Google_Protobuf_FileDescriptorSet(
      serializedBytes: Descriptors.fileDescriptorSet)
    let declared = set.file.filter { $0.package.hasPrefix("needletail.") }.flatMap { file in
      file.messageType.map { "\(file.package).\($0.name)" }
    }
    let ofOptions: Set = ["needletail.rpc.v1.MethodRule", "needletail.rpc.v1.ReasonRule"]
    #expect(Set(declared).subtracting(ofOptions) == Set(Peer.served.map(\.name)))
  }
}
