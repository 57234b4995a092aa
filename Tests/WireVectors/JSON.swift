internal import Foundation
internal import Testing

/// A value of the golden vectors' files.
enum JSON: Decodable, Equatable, Sendable {
  case bool(Bool)
  case number(Int)
  case text(String)
  case list([JSON])
  case object([String: JSON])

  init(from decoder: any Decoder) throws {
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

  subscript(name: String) -> JSON? { object[name] }

  var object: [String: JSON] {
    if case .object(let value) = self { return value }
    return [:]
  }

  var list: [JSON] {
    if case .list(let value) = self { return value }
    return []
  }

  var text: String {
    if case .text(let value) = self { return value }
    return ""
  }

  var number: Int {
    switch self {
    case .number(let value): value
    case .text(let value): Int(value) ?? 0
    default: 0
    }
  }

  /// A 64-bit number, which the files hold as text.
  var unsigned: UInt64 {
    switch self {
    case .number(let value): UInt64(value)
    case .text(let value): UInt64(value) ?? 0
    default: 0
    }
  }

  var bool: Bool { self == .bool(true) }

  var bytes: [UInt8] {
    let digits = Array(text.utf8)
    return stride(from: 0, to: digits.count, by: 2).map { index in
      UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) ?? 0
    }
  }

  /// Reads a file of `Conformance/`.
  static func vectors(_ file: String) throws -> [JSON] {
    let folder = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let url = folder.appending(path: "Conformance").appending(path: file)
    return try JSONDecoder().decode([JSON].self, from: try Data(contentsOf: url))
  }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { byte in
    let digits = String(byte, radix: 16)
    return digits.count == 1 ? "0" + digits : digits
  }.joined()
}

extension JSON: CustomTestStringConvertible {
  var testDescription: String { self["name"]?.text ?? "\(self)" }
}
