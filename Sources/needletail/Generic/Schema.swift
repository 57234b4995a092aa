internal import Messages

/// The messages, enums and services of a server, as its descriptors say.
struct Schema {
  /// By full name.
  fileprivate(set) var messages: [String: MessageType] = [:]
  /// By full name.
  fileprivate(set) var enums: [String: EnumType] = [:]
  /// In the order of the files.
  fileprivate(set) var services: [ServiceType] = []

  /// All methods, in the order of the files.
  var methods: [MethodType] { services.flatMap(\.methods) }

  /// What a name can mean: its full form, or the end of it from a dot or a slash on.
  func methods(named name: String) -> [MethodType] {
    let wanted = name.replacing(".", with: "/")
    let all = methods
    let exact = all.filter { $0.name.replacing(".", with: "/") == wanted }
    return exact.isEmpty
      ? all.filter { $0.name.replacing(".", with: "/").hasSuffix("/\(wanted)") } : exact
  }
}

/// A message type.
struct MessageType {
  var fullName: String
  var comment = ""
  var fields: [FieldType] = []
  var isMapEntry = false
  /// Names of the oneofs, by their index.
  var oneofs: [String] = []

  /// The field of a number.
  func field(_ number: Int) -> FieldType? { fields.first { $0.number == number } }

  /// The field of a name, as in the .proto or as in JSON.
  func field(named name: String) -> FieldType? {
    fields.first { $0.jsonName == name || $0.name == name }
  }
}

/// A field of a message.
struct FieldType {
  /// What a field holds, with descriptor.proto's numbers.
  enum Kind: Int {
    case double = 1
    case float, int64, uint64, int32, fixed64, fixed32, bool, string, group, message, bytes
    case uint32, `enum`, sfixed32, sfixed64, sint32, sint64

    /// The keyword in a .proto.
    var keyword: String { "\(self)" }

    /// The wire type of one value.
    var wireType: UInt64 {
      switch self {
      case .double, .fixed64, .sfixed64: 1
      case .float, .fixed32, .sfixed32: 5
      case .string, .bytes, .message, .group: 2
      default: 0
      }
    }
  }

  var name = ""
  var jsonName = ""
  var number = 0
  var kind = Kind.int32
  /// The full name of a message's or enum's type.
  var typeName = ""
  var isRepeated = false
  var isPacked = true
  /// proto3 `optional`: a default value that was set is told from none.
  var isOptional = false
  /// The index of the oneof that the field is in, those that `optional` makes apart.
  var oneof: Int?
  var comment = ""
}

/// An enum type.
struct EnumType {
  var fullName: String
  var comment = ""
  var values: [(name: String, number: Int32, comment: String)] = []

  func name(of number: Int32) -> String? { values.first { $0.number == number }?.name }
  func number(of name: String) -> Int32? { values.first { $0.name == name }?.number }
}

/// A service.
struct ServiceType {
  var fullName: String
  var comment = ""
  var methods: [MethodType] = []
}

/// A method of a service.
struct MethodType {
  /// `needletail.tracking.v1.Tracking/GetRun`.
  var name: String
  var request = ""
  var response = ""
  var comment = ""
  var permission = ""
  var isAudited = false
  var idempotency = MethodIdempotency.sequenced
  var streamsRequests = false
  var streamsResponses = false

  /// What the client library needs to know.
  var descriptor: MethodDescriptor {
    let kind: MethodKind =
      switch (streamsRequests, streamsResponses) {
      case (false, false): .unary
      case (false, true): .serverStreaming
      case (true, false): .clientStreaming
      case (true, true): .bidirectional
      }
    return MethodDescriptor(
      name: name, kind: kind, permission: permission, isAudited: isAudited,
      idempotency: idempotency)
  }
}

extension Schema {
  mutating func add(_ message: MessageType) { messages[message.fullName] = message }
  mutating func add(_ type: EnumType) { enums[type.fullName] = type }
  mutating func add(_ service: ServiceType) { services.append(service) }
}
