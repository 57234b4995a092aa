internal import CMessages

// What the generated code copies out of structs that were scanned and unpacked.

extension String {
  /// The scan has checked that the bytes are text.
  init(reading bytes: ProtobufCBinaryData) {
    let utf8 = unsafe UnsafeBufferPointer(start: bytes.data, count: bytes.len)
    self = unsafe String(decoding: utf8, as: UTF8.self)
  }
}

extension [UInt8] {
  init(reading bytes: ProtobufCBinaryData) {
    self = unsafe Array(UnsafeBufferPointer(start: bytes.data, count: bytes.len))
  }
}

extension Array {
  /// Numbers that C and Swift hold alike.
  init(reading values: UnsafeMutablePointer<Element>?, _ count: Int)
  where Element: BitwiseCopyable {
    self = unsafe Array(UnsafeBufferPointer(start: values, count: count))
  }

  /// Values made one by one.
  init<Value>(
    reading values: UnsafeMutablePointer<Value>?, _ count: Int, _ element: (Value) -> Element
  ) {
    self = unsafe UnsafeBufferPointer(start: values, count: count).map { element($0) }
  }

  /// Messages; protobuf-c leaves no gap among those it has unpacked.
  init(reading values: UnsafeMutablePointer<UnsafeMutablePointer<Element.Struct>?>?, _ count: Int)
  where Element: Bridged {
    let structures = unsafe UnsafeBufferPointer(start: values, count: count)
    self = unsafe structures.compactMap { unsafe Element?(reading: $0) }
  }
}

extension Optional where Wrapped: Bridged {
  /// Nil when protobuf-c has none.
  init(reading value: UnsafeMutablePointer<Wrapped.Struct>?) {
    self = unsafe value.map { unsafe Wrapped(reading: $0) }
  }
}

extension Bridged {
  /// All fields at their defaults when protobuf-c has none.
  init(readingOrDefault value: UnsafeMutablePointer<Struct>?) {
    self = unsafe value.map { unsafe Self(reading: $0) } ?? Self()
  }
}

extension MessageError {
  init(_ failure: messages_failure) {
    self.init(
      path: unsafe String(cString: failure.path), problem: unsafe Problem(failure.problem))
  }
}

extension MessageError.Problem {
  init(_ problem: messages_problem) {
    self =
      switch problem {
      case MESSAGES_TRUNCATED: .truncated
      case MESSAGES_VARINT_TOO_LONG: .varintTooLong
      case MESSAGES_FIELD_NUMBER_INVALID: .fieldNumberInvalid
      case MESSAGES_WIRE_TYPE_INVALID: .wireTypeInvalid
      case MESSAGES_WIRE_TYPE_MISMATCH: .wireTypeMismatch
      case MESSAGES_GIVEN_TWICE: .givenTwice
      case MESSAGES_NOT_UTF8: .notUTF8
      case MESSAGES_CONTAINS_NUL: .containsNUL
      case MESSAGES_NESTED_TOO_DEEP: .nestedTooDeep
      case MESSAGES_TOO_MANY_ELEMENTS: .tooManyElements
      case MESSAGES_KEY_GIVEN_TWICE: .keyGivenTwice
      case MESSAGES_TIME_OUT_OF_RANGE: .timeOutOfRange
      default: .tooMuchMemory
      }
  }
}
