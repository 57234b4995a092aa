import Messages
import SwiftProtobuf

/// A text field somewhere in the request of a method.
struct TextField {
  /// "needletail.tracking.v1.Tracking/AppendMetrics".
  var method: String
  /// As an error names it: "runs[0].series[0].key".
  var path: String
  /// The numbers that lead to it from the request.
  var numbers: [UInt64]

  /// Every text field of every request, by the descriptors that the server gives.
  static func all() throws -> [TextField] {
    let set = try Google_Protobuf_FileDescriptorSet(serializedBytes: Descriptors.fileDescriptorSet)
    var messages: [String: Google_Protobuf_DescriptorProto] = [:]
    for file in set.file {
      for message in file.messageType { messages[".\(file.package).\(message.name)"] = message }
    }
    func fields(of type: String) throws -> [(path: String, numbers: [UInt64])] {
      // Nested types, and so the entries of maps, are not looked for: a request that has one fails.
      guard let message = messages[type] else { throw Failure("no top-level message \(type)") }
      return try message.field.flatMap { field -> [(path: String, numbers: [UInt64])] in
        let path = field.name + (field.label == .repeated ? "[0]" : "")
        let number = UInt64(field.number)
        switch field.type {
        case .string: return [(path, [number])]
        case .message:
          return try fields(of: field.typeName).map {
            ("\(path).\($0.path)", [number] + $0.numbers)
          }
        default: return []
        }
      }
    }
    return try set.file.flatMap { file in
      try file.service.flatMap { service in
        try service.method.flatMap { method in
          try fields(of: method.inputType).map {
            TextField(
              method: "\(file.package).\(service.name)/\(method.name)", path: $0.path,
              numbers: $0.numbers)
          }
        }
      }
    }
  }
}
