internal import CMessages

/// The calling thread's arena: the memory of one decode or encode.
@safe
struct Arena {
  private let raw: UnsafeMutablePointer<messages_arena>

  /// - Throws: `tooMuchMemory` when the machine has none left.
  static func ofThread() throws(MessageError) -> Arena {
    guard let raw = unsafe messages_arena_of_thread() else {
      throw MessageError(path: "", problem: .tooMuchMemory)
    }
    return unsafe Arena(raw: raw)
  }

  /// Encoding has nobody to tell: it stops the process, as Swift's own allocations do.
  static func ofThreadOrStop() -> Arena {
    guard let raw = unsafe messages_arena_of_thread() else { outOfMemory() }
    return unsafe Arena(raw: raw)
  }

  @unsafe
  func open(budgetBytes: Int) -> messages_mark {
    unsafe messages_arena_open(raw, budgetBytes)
  }

  @unsafe
  func close(_ mark: messages_mark) {
    unsafe messages_arena_close(raw, mark)
  }

  /// Scans `bytes` and unpacks them into the arena.
  @unsafe
  func unpack(
    _ bytes: RawSpan, _ shape: UnsafePointer<messages_shape>
  ) throws(MessageError) -> UnsafeMutablePointer<ProtobufCMessage> {
    let limits = messages_limits(
      nesting_max: UInt32(MessageLimits.nestingMax),
      elements_max: UInt32(MessageLimits.elementsMax),
      columns_max: UInt32(MessageLimits.columnsMax))
    var failure = unsafe messages_failure()
    let message = unsafe bytes.withUnsafeBytes { buffer in
      unsafe messages_decode(
        shape, buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), buffer.count, limits, raw,
        &failure)
    }
    guard let message = unsafe message else { throw unsafe MessageError(failure) }
    return unsafe message
  }

  /// Packs a filled struct into the arena.
  @unsafe
  func pack(_ value: UnsafeRawPointer) -> UnsafeRawBufferPointer {
    let message = unsafe value.assumingMemoryBound(to: ProtobufCMessage.self)
    let count = unsafe protobuf_c_message_get_packed_size(message)
    let bytes = unsafe allocate(count)
    unsafe protobuf_c_message_pack(message, bytes.assumingMemoryBound(to: UInt8.self))
    return unsafe UnsafeRawBufferPointer(start: bytes, count: count)
  }
}

// What the generated code fills structs with.
extension Arena {
  /// Uninitialized memory.
  ///
  /// Without a budget it ends only with the machine's.
  @unsafe
  private func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
    guard let memory = unsafe messages_arena_allocate(raw, byteCount) else { Self.outOfMemory() }
    return unsafe memory
  }

  private static func outOfMemory() -> Never {
    preconditionFailure("no memory is left to encode a message")
  }

  /// A filled struct.
  @unsafe
  func structure<Value: Bridged>(_ value: Value) -> UnsafeMutablePointer<Value.Struct> {
    let memory = unsafe allocate(MemoryLayout<Value.Struct>.size)
    unsafe messages_begin(memory, Value.shape)
    let structure = unsafe memory.assumingMemoryBound(to: Value.Struct.self)
    unsafe value.fill(structure, self)
    return unsafe structure
  }

  /// Pointers to filled structs; nil for none.
  @unsafe
  func structures<Value: Bridged>(
    _ values: [Value]
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Value.Struct>?>? {
    unsafe array(values) { unsafe structure($0) }
  }

  /// The UTF-8 of a text.
  @unsafe
  func text(_ text: String) -> ProtobufCBinaryData {
    let copied = unsafe text.utf8.withContiguousStorageIfAvailable { utf8 in
      unsafe copy(UnsafeRawBufferPointer(utf8))
    }
    return if let copied = unsafe copied { unsafe copied } else { unsafe bytes(Array(text.utf8)) }
  }

  /// A copy of bytes.
  @unsafe
  func bytes(_ bytes: [UInt8]) -> ProtobufCBinaryData {
    unsafe bytes.withUnsafeBytes { unsafe copy($0) }
  }

  @unsafe
  private func copy(_ bytes: UnsafeRawBufferPointer) -> ProtobufCBinaryData {
    guard let source = bytes.baseAddress, unsafe !bytes.isEmpty else {
      return unsafe ProtobufCBinaryData()
    }
    let memory = unsafe allocate(bytes.count)
    unsafe memory.copyMemory(from: source, byteCount: bytes.count)
    return unsafe ProtobufCBinaryData(
      len: bytes.count, data: memory.assumingMemoryBound(to: UInt8.self))
  }

  /// A copy of numbers that C and Swift hold alike; nil for none.
  @unsafe
  func numbers<Number: BitwiseCopyable>(_ numbers: [Number]) -> UnsafeMutablePointer<Number>? {
    unsafe numbers.withUnsafeBytes { source in
      unsafe copy(source).data.map {
        unsafe UnsafeMutableRawPointer($0).assumingMemoryBound(to: Number.self)
      }
    }
  }

  /// C values made one by one; nil for none.
  @unsafe
  func array<Value, Element>(
    _ values: [Value], _ element: (Value) -> Element
  ) -> UnsafeMutablePointer<Element>? {
    guard !values.isEmpty else { return nil }
    let memory = unsafe allocate(values.count * MemoryLayout<Element>.stride)
    let elements = unsafe memory.assumingMemoryBound(to: Element.self)
    for (index, value) in values.enumerated() {
      unsafe (elements + index).initialize(to: element(value))
    }
    return unsafe elements
  }

  /// Sends −0, which protobuf-c takes for the default and leaves out.
  ///
  /// The field travels as one that protobuf-c does not know, behind the others.
  @unsafe
  func keepSign(of number: Double, field: UInt32, in message: inout ProtobufCMessage) {
    guard number == 0, number.sign == .minus else { return }
    unsafe messages_add_negative_zero(raw, &message, field, 8)
  }

  /// As for a `Double`.
  @unsafe
  func keepSign(of number: Float, field: UInt32, in message: inout ProtobufCMessage) {
    guard number == 0, number.sign == .minus else { return }
    unsafe messages_add_negative_zero(raw, &message, field, 4)
  }
}
