/// Where every connection of a loop reads to, one at a time: idle connections own no buffer.
@safe final class ReadBuffer {
  /// How much one connection reads before its frames are taken.
  static let capacityBytes = 64 << 10

  private let memory: UnsafeMutableRawBufferPointer

  init() {
    unsafe memory = .allocate(byteCount: ReadBuffer.capacityBytes, alignment: 16)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { unsafe memory.deallocate() }

  /// Lends what lies behind the first `count` bytes.
  func withRest<Result, Failure: Error>(
    after count: Int, _ body: (inout MutableRawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var span = unsafe MutableRawSpan(
      _unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: memory[count...]))
    return try body(&span)
  }

  /// Puts `bytes`, which fit, at the beginning.
  func fill(_ bytes: [UInt8]) {
    unsafe memory.copyBytes(from: bytes)
  }

  /// Lends the first `count` bytes.
  func withBytes<Result>(_ count: Int, _ body: (RawSpan) -> Result) -> Result {
    body(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: memory[..<count])))
  }
}
