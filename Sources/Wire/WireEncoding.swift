/// The wire types of protobuf that exist in proto3.
enum WireType: UInt8 {
  case varint = 0
  case fixed64 = 1
  case lengthDelimited = 2
  case fixed32 = 5
}

/// The field numbers of Frame's bodies.
enum BodyNumber: UInt8 {
  case hello = 2
  case welcome, call, data, end, cancel, credit, ping, pong, goaway
}

/// A message that is encoded from a Swift value.
///
/// Sizes and bytes agree exactly.
protocol WireMessage {
  var encodedBytes: Int { get }
  func encode(into out: inout OutputSpan<UInt8>)
}

// MARK: Sizes. Every field number of the protocol is below 16, so that a tag is one byte.

func varintBytes(_ value: UInt64) -> Int {
  let bits = UInt64.bitWidth - (value | 1).leadingZeroBitCount
  return (bits + 6) / 7
}

func varintFieldBytes(_ value: UInt64) -> Int { value == 0 ? 0 : 1 + varintBytes(value) }

/// A field of so many bytes that is written even where it is empty.
func lengthDelimitedBytes(_ byteCount: Int) -> Int {
  1 + varintBytes(UInt64(byteCount)) + byteCount
}

func bytesFieldBytes(_ byteCount: Int) -> Int {
  byteCount == 0 ? 0 : lengthDelimitedBytes(byteCount)
}

func textFieldBytes(_ text: String) -> Int { bytesFieldBytes(text.utf8.count) }

func messageFieldBytes(_ message: some WireMessage) -> Int {
  lengthDelimitedBytes(message.encodedBytes)
}

func mapFieldBytes(_ map: [String: String]) -> Int {
  var total = 0
  for (key, value) in map { total += messageFieldBytes(MapEntry(key: key, value: value)) }
  return total
}

// MARK: Bytes

extension OutputSpan<UInt8> {
  mutating func bigEndian(_ value: UInt32) {
    append(UInt8(truncatingIfNeeded: value >> 24))
    append(UInt8(truncatingIfNeeded: value >> 16))
    append(UInt8(truncatingIfNeeded: value >> 8))
    append(UInt8(truncatingIfNeeded: value))
  }

  mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(truncatingIfNeeded: rest))
  }

  mutating func tag(_ number: UInt8, _ type: WireType) { append(number << 3 | type.rawValue) }

  mutating func varintField(_ number: UInt8, _ value: UInt64) {
    guard value != 0 else { return }
    tag(number, .varint)
    varint(value)
  }

  mutating func boolField(_ number: UInt8, _ value: Bool) {
    guard value else { return }
    tag(number, .varint)
    append(1)
  }

  mutating func fixed64Field(_ number: UInt8, _ value: UInt64) {
    guard value != 0 else { return }
    tag(number, .fixed64)
    var rest = value
    for _ in 0..<8 {
      append(UInt8(truncatingIfNeeded: rest))
      rest >>= 8
    }
  }

  mutating func bytesField(_ number: UInt8, _ value: RawSpan) {
    guard !value.isEmpty else { return }
    tag(number, .lengthDelimited)
    varint(UInt64(value.byteCount))
    unsafe value.withUnsafeBytes { source in unsafe copy(source) }
  }

  mutating func textField(_ number: UInt8, _ text: String) {
    guard !text.utf8.isEmpty else { return }
    self.text(number, text)
  }

  /// A text field that is written even where it is empty.
  mutating func text(_ number: UInt8, _ text: String) {
    tag(number, .lengthDelimited)
    varint(UInt64(text.utf8.count))
    var text = text
    text.withUTF8 { source in unsafe copy(UnsafeRawBufferPointer(source)) }
  }

  mutating func messageField(_ number: UInt8, _ message: some WireMessage) {
    tag(number, .lengthDelimited)
    varint(UInt64(message.encodedBytes))
    message.encode(into: &self)
  }

  mutating func mapField(_ number: UInt8, _ map: [String: String]) {
    guard !map.isEmpty else { return }
    let entries = map.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    for entry in entries {
      messageField(number, MapEntry(key: entry.key, value: entry.value))
    }
  }

  private mutating func copy(_ source: UnsafeRawBufferPointer) {
    unsafe withUnsafeMutableBufferPointer { buffer, count in
      let free = unsafe UnsafeMutableRawBufferPointer(
        UnsafeMutableBufferPointer(rebasing: buffer[count...]))
      unsafe free.copyMemory(from: source)
      count += source.count
    }
  }
}

// MARK: Messages

/// One entry of a map; key and value are written even where they are empty.
struct MapEntry: WireMessage {
  var key: String
  var value: String

  var encodedBytes: Int {
    lengthDelimitedBytes(key.utf8.count) + lengthDelimitedBytes(value.utf8.count)
  }

  func encode(into out: inout OutputSpan<UInt8>) {
    out.text(1, key)
    out.text(2, value)
  }
}

extension Hello: WireMessage {
  var encodedBytes: Int {
    textFieldBytes(apiKey) + textFieldBytes(client) + varintFieldBytes(streamWindowBytes)
  }

  func encode(into out: inout OutputSpan<UInt8>) {
    out.textField(1, apiKey)
    out.textField(2, client)
    out.varintField(3, streamWindowBytes)
  }
}

extension Welcome: WireMessage {
  var encodedBytes: Int {
    textFieldBytes(server) + textFieldBytes(organizationID) + textFieldBytes(userID)
      + textFieldBytes(apiKeyID) + textFieldBytes(connectionID)
      + (limits.map { messageFieldBytes($0) } ?? 0)
  }

  func encode(into out: inout OutputSpan<UInt8>) {
    out.textField(1, server)
    out.textField(2, organizationID)
    out.textField(3, userID)
    out.textField(4, apiKeyID)
    out.textField(5, connectionID)
    if let limits { out.messageField(6, limits) }
  }
}

extension Limits: WireMessage {
  var encodedBytes: Int {
    varintFieldBytes(UInt64(frameBytesMax)) + varintFieldBytes(UInt64(openStreamsMax))
      + varintFieldBytes(streamWindowBytes) + varintFieldBytes(connectionWindowBytes)
      + varintFieldBytes(UInt64(idleTimeoutMilliseconds))
      + varintFieldBytes(UInt64(callTimeoutMaxMilliseconds))
  }

  func encode(into out: inout OutputSpan<UInt8>) {
    out.varintField(1, UInt64(frameBytesMax))
    out.varintField(2, UInt64(openStreamsMax))
    out.varintField(3, streamWindowBytes)
    out.varintField(4, connectionWindowBytes)
    out.varintField(5, UInt64(idleTimeoutMilliseconds))
    out.varintField(6, UInt64(callTimeoutMaxMilliseconds))
  }
}

extension Goaway: WireMessage {
  var encodedBytes: Int {
    varintFieldBytes(UInt64(lastStream)) + (status.map { messageFieldBytes($0) } ?? 0)
  }

  func encode(into out: inout OutputSpan<UInt8>) {
    out.varintField(1, UInt64(lastStream))
    if let status { out.messageField(2, status) }
  }
}

extension Status: WireMessage {
  /// The code as protobuf writes an enum: a negative number takes ten bytes.
  private var wireCode: UInt64 { UInt64(bitPattern: Int64(Int32(bitPattern: codeNumber))) }

  var encodedBytes: Int {
    var total = varintFieldBytes(wireCode) + textFieldBytes(message) + textFieldBytes(reason)
    for violation in fieldViolations { total += messageFieldBytes(violation) }
    return total + varintFieldBytes(UInt64(retryAfterMilliseconds)) + mapFieldBytes(details)
      + textFieldBytes(requestID)
  }

  func encode(into out: inout OutputSpan<UInt8>) {
    out.varintField(1, wireCode)
    out.textField(2, message)
    out.textField(3, reason)
    for violation in fieldViolations { out.messageField(4, violation) }
    out.varintField(5, UInt64(retryAfterMilliseconds))
    out.mapField(6, details)
    out.textField(7, requestID)
  }
}

extension FieldViolation: WireMessage {
  var encodedBytes: Int { textFieldBytes(field) + textFieldBytes(description) }

  func encode(into out: inout OutputSpan<UInt8>) {
    out.textField(1, field)
    out.textField(2, description)
  }
}
