internal import Foundation

/// A value of the golden vectors' files.
public enum JSON: Decodable, Equatable, Sendable {
  /// True or false.
  case bool(Bool)
  /// A whole number.
  case number(Int)
  /// A text; bytes and 64-bit numbers are texts too.
  case text(String)
  /// Values in their order.
  case list([JSON])
  /// Values by name.
  case object([String: JSON])

  /// Reads what is there.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Int.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .text(value)
    } else if let value = try? container.decode([JSON].self) {
      self = .list(value)
    } else {
      self = .object(try container.decode([String: JSON].self))
    }
  }

  /// The value of a name, in an object that has it.
  public subscript(name: String) -> JSON? { object[name] }

  /// The values of an object; of anything else none.
  public var object: [String: JSON] {
    if case .object(let value) = self { return value }
    return [:]
  }

  /// The values of a list; of anything else none.
  public var list: [JSON] {
    if case .list(let value) = self { return value }
    return []
  }

  /// A text; of anything else the empty one.
  public var text: String {
    if case .text(let value) = self { return value }
    return ""
  }

  /// A number, or a text that is one; of anything else 0.
  public var number: Int {
    switch self {
    case .number(let value): value
    case .text(let value): Int(value) ?? 0
    default: 0
    }
  }

  /// A 64-bit number, which the files hold as text.
  public var unsigned: UInt64 {
    switch self {
    case .number(let value): UInt64(value)
    case .text(let value): UInt64(value) ?? 0
    default: 0
    }
  }

  /// Whether it is true.
  public var bool: Bool { self == .bool(true) }

  /// Bytes, which the files hold in hexadecimal.
  public var bytes: [UInt8] {
    let digits = Array(text.utf8)
    return stride(from: 0, to: digits.count, by: 2).map { index in
      UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) ?? 0
    }
  }

  /// Reads a file of `Conformance/`.
  public static func vectors(_ file: String) throws -> [JSON] {
    let folder = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let url = folder.appending(path: "Conformance").appending(path: file)
    return try JSONDecoder().decode([JSON].self, from: try Data(contentsOf: url))
  }
}

/// Bytes in hexadecimal.
public func hex(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { byte in
    let digits = String(byte, radix: 16)
    return digits.count == 1 ? "0" + digits : digits
  }.joined()
}
