import CMessages
import CProtobufC
import TestSupport

/// Random wire bytes of any message, led by its descriptor: fields in any order, packed or not,
/// numbers in more bytes than they need, fields that nobody knows.
struct RandomWire {
  /// Whether fields that the message does not have are strewn in.
  var hasUnknownFields: Bool
  private var random: SplitMix

  init(seed: UInt64, hasUnknownFields: Bool) {
    random = SplitMix(seed: seed)
    self.hasUnknownFields = hasUnknownFields
  }

  mutating func message(_ shape: UnsafePointer<messages_shape>, depth: Int = 0) -> [UInt8] {
    if unsafe shape.pointee.is_timestamp { return timestamp() }
    var parts: [[UInt8]] = []
    var oneofs: Set<UInt8> = []
    for index in unsafe 0..<Int(shape.pointee.field_count) {
      let field = unsafe shape.pointee.fields[index]
      let type = unsafe shape.pointee.descriptor.pointee.fields[index].type
      guard !random.isOnce(in: 3) else { continue }
      if unsafe field.oneof != 0 {
        guard unsafe oneofs.insert(field.oneof).inserted else { continue }
      }
      unsafe parts += self.field(field, type, depth)
    }
    if hasUnknownFields { parts += unknownFields() }
    return parts.shuffled(using: &random).flatMap { $0 }
  }

  private mutating func field(
    _ field: messages_field, _ type: ProtobufCType, _ depth: Int
  ) -> [[UInt8]] {
    let number = unsafe field.number
    if unsafe field.label == UInt8(MESSAGES_SINGULAR.rawValue) {
      return unsafe [element(field, type, number, depth)]
    }
    let count = Int.random(in: 0...(depth == 0 ? 5 : 2), using: &random)
    if unsafe field.label == UInt8(MESSAGES_MAP.rawValue) {
      return (0..<count).map { entry in unsafe mapEntry(field, entry, depth) }
    }
    let isScalar = unsafe field.kind <= UInt8(MESSAGES_FIXED64.rawValue)
    if isScalar, random.isOnce(in: 2) {
      var packed = Wire()
      for _ in 0..<count { packed.raw(scalar(type)) }
      return [Wire.make { $0.contents(number, packed.bytes) }]
    }
    return (0..<count).map { _ in unsafe element(field, type, number, depth) }
  }

  private mutating func element(
    _ field: messages_field, _ type: ProtobufCType, _ number: UInt32, _ depth: Int
  ) -> [UInt8] {
    var wire = Wire()
    switch unsafe messages_kind(UInt32(field.kind)) {
    case MESSAGES_STRING: wire.text(number, text())
    case MESSAGES_BYTES: wire.contents(number, bytes())
    case MESSAGES_MESSAGE:
      unsafe wire.contents(number, message(field.message, depth: depth + 1))
    case MESSAGES_FIXED32:
      wire.tag(number, 5)
      wire.raw(scalar(type))
    case MESSAGES_FIXED64:
      wire.tag(number, 1)
      wire.raw(scalar(type))
    default:
      wire.tag(number, 0)
      wire.raw(scalar(type))
    }
    return wire.bytes
  }

  private mutating func mapEntry(
    _ map: messages_field, _ index: Int, _ depth: Int
  ) -> [UInt8] {
    let value = unsafe map.message.pointee.fields[1]
    let type = unsafe map.message.pointee.descriptor.pointee.fields[1].type
    var parts: [[UInt8]] = []
    let key = index == 0 && random.isOnce(in: 4) ? "" : "\(index)\(text())"
    if !key.isEmpty { parts.append(Wire.make { $0.text(1, key) }) }
    if !random.isOnce(in: 4) { unsafe parts.append(element(value, type, 2, depth + 1)) }
    let contents = parts.shuffled(using: &random).flatMap { $0 }
    return Wire.make { unsafe $0.contents(map.number, contents) }
  }

  /// Microseconds, since ours are.
  private mutating func timestamp() -> [UInt8] {
    let seconds = Int64.random(in: -62_135_596_800...253_402_300_799, using: &random)
    let micros = Int64.random(in: 0...999_999, using: &random)
    var parts: [[UInt8]] = []
    if !random.isOnce(in: 8) {
      parts.append(Wire.make { $0.varint(1, UInt64(bitPattern: seconds)) })
    }
    if !random.isOnce(in: 4) { parts.append(Wire.make { $0.varint(2, UInt64(micros * 1_000)) }) }
    return parts.shuffled(using: &random).flatMap { $0 }
  }

  private mutating func unknownFields() -> [[UInt8]] {
    (0..<Int.random(in: 0...2, using: &random)).map { index in
      let number = UInt32(600_000 + index)
      let contents = bytes()
      let value = random.next()
      return Wire.make { wire in
        switch value % 4 {
        case 0: wire.varint(number, value)
        case 1: wire.fixed64(number, value)
        case 2: wire.fixed32(number, UInt32(truncatingIfNeeded: value))
        default: wire.contents(number, contents)
        }
      }
    }
  }
}

// Values.
extension RandomWire {
  private mutating func scalar(_ type: ProtobufCType) -> [UInt8] {
    let bits = number()
    var wire = Wire()
    switch type {
    case PROTOBUF_C_TYPE_DOUBLE: wire.fixed(double().bitPattern)
    case PROTOBUF_C_TYPE_FLOAT: wire.fixed(Float(double()).bitPattern)
    case PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64: wire.fixed(bits)
    case PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32:
      wire.fixed(UInt32(truncatingIfNeeded: bits))
    case PROTOBUF_C_TYPE_BOOL: wire.varint(bits % 2)
    default: wire.raw(varint(bits))
    }
    return wire.bytes
  }

  /// Sometimes with more bytes than it needs.
  private mutating func varint(_ value: UInt64) -> [UInt8] {
    var bytes = Wire.make { $0.varint(value) }
    if bytes.count < 9, random.isOnce(in: 8) {
      bytes[bytes.count - 1] |= 0x80
      bytes.append(0)
    }
    return bytes
  }

  private mutating func number() -> UInt64 {
    switch Int.random(in: 0..<6, using: &random) {
    case 0: 0
    case 1: UInt64.random(in: 0..<300, using: &random)
    case 2: UInt64(bitPattern: Int64.random(in: -300..<0, using: &random))
    case 3: UInt64(bitPattern: one(of: [.min, .max, -1, 1 << 31, -(1 << 31)], else: 1))
    default: random.next()
    }
  }

  /// Never −0: it is written elsewhere than the peer writes it.
  private mutating func double() -> Double {
    switch Int.random(in: 0..<6, using: &random) {
    case 0: 0
    case 1: one(of: [.nan, .infinity, -.infinity, .leastNonzeroMagnitude], else: 1)
    default: Double(Float.random(in: -1_000...1_000, using: &random)) + 0.5
    }
  }

  private mutating func bytes() -> [UInt8] {
    (0..<Int.random(in: 0...20, using: &random)).map { _ in
      UInt8.random(in: 0...255, using: &random)
    }
  }

  private mutating func text() -> String {
    let letters = [
      "a", "Z", "7", " ", "é", "ß", "Ω", "…", "語", "🚀", "\u{1}", "\u{7F}", "\u{10FFFF}",
    ]
    let count = one(of: [0, 1, 3, 8, 9, 36], else: 0)
    return (0..<count).map { _ in one(of: letters, else: "") }.joined()
  }

  private mutating func one<Value>(of values: [Value], else none: Value) -> Value {
    values.randomElement(using: &random) ?? none
  }
}
