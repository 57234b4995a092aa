/// Whether the bytes are valid UTF-8 without U+0000.
///
/// The bytes are judged on the wire, before any library that ends text at a zero byte sees them.
public func isText(_ bytes: RawSpan, _ range: Range<Int>) -> Bool {
  var offset = range.lowerBound
  let end = range.upperBound
  while offset < end {
    if end - offset >= 8 {
      let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
      if isASCIIWithoutZero(word) {
        offset += 8
        continue
      }
    } else if end - range.lowerBound >= 8 {
      // The last word overlaps what was seen; where that was not ASCII, the slow path decides.
      let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: end - 8, as: UInt64.self)
      if isASCIIWithoutZero(word) { return true }
    }
    let length = scalarLength(bytes, at: offset, end: end)
    guard length > 0 else { return false }
    offset += length
  }
  return true
}

/// No high bit is set, and no byte is zero (subtracting one from each would set its high bit).
private func isASCIIWithoutZero(_ word: UInt64) -> Bool {
  let highs: UInt64 = 0x8080_8080_8080_8080
  let ones: UInt64 = 0x0101_0101_0101_0101
  return (word | (word &- ones)) & highs == 0
}

/// How many bytes the scalar at `offset` takes, or 0 where none is well formed or it is U+0000.
///
/// The ranges are table 3-7 of the Unicode Standard: no overlong form, no surrogate, nothing
/// above U+10FFFF.
private func scalarLength(_ bytes: RawSpan, at offset: Int, end: Int) -> Int {
  func byte(_ index: Int) -> UInt8 {
    unsafe bytes.unsafeLoad(fromByteOffset: offset + index, as: UInt8.self)
  }
  func isContinuation(_ index: Int) -> Bool { byte(index) & 0xC0 == 0x80 }

  let lead = byte(0)
  let available = end - offset
  switch lead {
  case 0x01...0x7F:
    return 1
  case 0xC2...0xDF:
    return available >= 2 && isContinuation(1) ? 2 : 0
  case 0xE0...0xEF:
    guard available >= 3, isContinuation(1), isContinuation(2) else { return 0 }
    if lead == 0xE0 && byte(1) < 0xA0 { return 0 }
    if lead == 0xED && byte(1) > 0x9F { return 0 }
    return 3
  case 0xF0...0xF4:
    guard available >= 4, isContinuation(1), isContinuation(2), isContinuation(3) else { return 0 }
    if lead == 0xF0 && byte(1) < 0x90 { return 0 }
    if lead == 0xF4 && byte(1) > 0x8F { return 0 }
    return 4
  default:
    return 0
  }
}
