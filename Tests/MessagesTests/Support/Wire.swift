/// Wire bytes, written by hand.
struct Wire {
  private(set) var bytes: [UInt8] = []

  static func make(_ write: (inout Wire) -> Void) -> [UInt8] {
    var wire = Wire()
    write(&wire)
    return wire.bytes
  }

  mutating func raw(_ bytes: [UInt8]) {
    self.bytes += bytes
  }

  mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  mutating func tag(_ number: UInt32, _ wireType: UInt32) {
    varint(UInt64(number) << 3 | UInt64(wireType))
  }

  mutating func varint(_ number: UInt32, _ value: UInt64) {
    tag(number, 0)
    varint(value)
  }

  mutating func fixed<Value: FixedWidthInteger>(_ value: Value) {
    for shift in stride(from: 0, to: Value.bitWidth, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> Value(shift)))
    }
  }

  mutating func fixed64(_ number: UInt32, _ value: UInt64) {
    tag(number, 1)
    fixed(value)
  }

  mutating func fixed32(_ number: UInt32, _ value: UInt32) {
    tag(number, 5)
    fixed(value)
  }

  mutating func contents(_ number: UInt32, _ contents: [UInt8]) {
    tag(number, 2)
    varint(UInt64(contents.count))
    bytes += contents
  }

  mutating func text(_ number: UInt32, _ text: String) {
    contents(number, Array(text.utf8))
  }

  mutating func message(_ number: UInt32, _ write: (inout Wire) -> Void) {
    contents(number, Wire.make(write))
  }
}
