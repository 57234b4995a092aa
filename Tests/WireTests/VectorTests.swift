internal import Testing
internal import Wire
internal import WireVectors

/// What `Frame.decode` and `splitFrame` make of bytes.
enum Reading: Equatable {
  case frame(JSON, Frame, Range<Int>)
  case incomplete
  case error(ProtocolError)

  init(_ bytes: [UInt8], frameBytesMax: UInt32) {
    do throws(ProtocolError) {
      switch try unsafe splitFrame(bytes.span.bytes, at: 0, frameBytesMax: frameBytesMax) {
      case .incomplete: self = .incomplete
      case .body(let range):
        let frame = try unsafe Frame.decode(bytes.span.bytes.extracting(range))
        self = .frame(meaning(of: frame, body: Array(bytes[range])), frame, range)
      }
    } catch {
      self = .error(error)
    }
  }
}

@Suite("Golden vectors of frames")
struct VectorTests {
  static let all = (try? JSON.vectors("frames.json")) ?? []

  @Test("The vectors are there")
  func present() { #expect(Self.all.count > 200) }

  @Test("A frame is read as the vector says", arguments: all)
  func reading(_ vector: JSON) {
    let bytes = vector["bytes"]?.bytes ?? []
    let limit = UInt32(vector["max_frame_bytes"]?.number ?? 4 << 20)
    let reading = Reading(bytes, frameBytesMax: limit)
    if let expected = vector["frame"] {
      guard case .frame(let meaning, let frame, let range) = reading else {
        Issue.record("\(reading)")
        return
      }
      #expect(meaning == expected)
      #expect(range.upperBound == bytes.count)
      if vector["canonical"]?.bool == true {
        #expect(hex(encode(frame, body: Array(bytes[range]))) == hex(bytes))
      }
    } else if let reason = vector["error"] {
      guard case .error(let error) = reading else {
        Issue.record("\(reading)")
        return
      }
      #expect(error.reason == reason.text)
      #expect(error.status.reason == reason.text && !error.message.isEmpty)
    } else {
      #expect(reading == .incomplete)
    }
  }

  @Test("A frame that is cut anywhere is incomplete, or malformed where its length agrees")
  func cuts() {
    for vector in Self.all where vector["frame"] != nil {
      let bytes = vector["bytes"]?.bytes ?? []
      guard bytes.count < 1_000 else { continue }
      for end in bytes.indices {
        #expect(Reading(Array(bytes[..<end]), frameBytesMax: 4 << 20) == .incomplete)
        guard end > 4 else { continue }
        // A shorter frame that claims to be whole: it must decode or be refused, never trap.
        let length = UInt8((end - 4) & 0xFF)
        let high = UInt8((end - 4) >> 8)
        let shorter = [0, 0, high, length] + bytes[4..<end]
        #expect(Reading(shorter, frameBytesMax: 4 << 20) != .incomplete)
      }
    }
  }

  @Test("A stream of frames splits alike wherever its reads are cut")
  func splitPoints() throws {
    let frames = Self.all.filter { $0["canonical"]?.bool == true }.map { $0["bytes"]?.bytes ?? [] }
      .filter { $0.count < 200 }
    let stream = frames.flatMap { $0 }
    for cut in 0...stream.count {
      var splitter = Reassembler()
      try splitter.feed(Array(stream[..<cut]))
      try splitter.feed(Array(stream[cut...]))
      if splitter.frames != frames { Issue.record("cut at \(cut)") }
    }
    var bytewise = Reassembler()
    for byte in stream { try bytewise.feed([byte]) }
    #expect(bytewise.frames == frames)
  }

  @Test(
    "The length is judged from its prefix alone",
    arguments: [
      (UInt32(1), UInt32(1), true), (2, 1, false), (4096, 4096, true), (4097, 4096, false),
      (.max, 4 << 20, false), (0, 4096, false),
    ])
  func prefixes(length: UInt32, max: UInt32, isAllowed: Bool) {
    let bytes = unsafe withUnsafeBytes(of: length.bigEndian) { unsafe Array($0) }
    let reading = Reading(bytes, frameBytesMax: max)
    #expect((reading == .incomplete) == isAllowed)
  }
}

/// Collects reads and takes whole frames out, as a session does.
struct Reassembler {
  private var buffer: [UInt8] = []
  private(set) var frames: [[UInt8]] = []

  mutating func feed(_ bytes: [UInt8]) throws(ProtocolError) {
    buffer += bytes
    var offset = 0
    while case .body(let range) = try unsafe splitFrame(
      buffer.span.bytes, at: offset, frameBytesMax: 4 << 20)
    {
      frames.append(Array(buffer[offset..<range.upperBound]))
      offset = range.upperBound
    }
    buffer.removeFirst(offset)
  }
}
