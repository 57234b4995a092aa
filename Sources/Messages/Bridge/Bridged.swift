internal import CMessages

/// A value with a struct of protobuf-c behind it.
protocol Bridged {
  /// The struct, as protoc-c declares it.
  associatedtype Struct

  /// What the message looks like on the wire.
  static var shape: UnsafePointer<messages_shape> { get }

  /// All fields at their defaults.
  init()

  /// Copies everything out of a struct that was scanned and unpacked.
  init(reading value: UnsafePointer<Struct>)

  /// Sets the fields of a struct that is zeroed but for its descriptor.
  ///
  /// What it points at lies in `arena`.
  func fill(_ value: UnsafeMutablePointer<Struct>, _ arena: Arena)
}

extension Bridged {
  /// Scans, unpacks into the thread's arena and copies out.
  @inline(__always)
  static func bridgedDecode(_ bytes: RawSpan) throws(MessageError) -> Self {
    let arena = try Arena.ofThread()
    let mark = unsafe arena.open(
      budgetBytes: MessageLimits.arenaBytes(forByteCount: bytes.byteCount))
    defer { unsafe arena.close(mark) }
    let value = try unsafe arena.unpack(bytes, shape)
    return unsafe Self(reading: UnsafeRawPointer(value).assumingMemoryBound(to: Struct.self))
  }

  /// Fills a struct in the thread's arena, packs it there and lends the bytes.
  @inline(__always)
  func bridgedEncode<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    let arena = Arena.ofThreadOrStop()
    let mark = unsafe arena.open(budgetBytes: Int.max)
    defer { unsafe arena.close(mark) }
    let value = unsafe arena.structure(self)
    let bytes = unsafe arena.pack(UnsafeRawPointer(value))
    return try unsafe body(bytes.bytes)
  }
}
