internal import Foundation

/// What `up` keeps between starts: certificates, the first key, the port.
struct DataFolder {
  let path: String

  /// Makes the folder if there is none.
  init(_ path: String) throws(ControlPlaneError) {
    self.path = URL(fileURLWithPath: path).standardizedFileURL.path
    do {
      try FileManager.default.createDirectory(
        atPath: self.path, withIntermediateDirectories: true)
    } catch {
      throw ControlPlaneError(
        "the data folder \(self.path) cannot be made: \(fileErrorText(error))")
    }
  }

  var certificates: String { path + "/certificates" }
  var artifacts: String { path + "/artifacts" }
  var keyFile: String { path + "/api-key" }
  private var portFile: String { path + "/port" }

  /// The administrator's key; nil before the first start.
  var key: String? { text(keyFile) }

  func keep(key: String) throws(ControlPlaneError) {
    try DataFolder.write(key + "\n", to: keyFile)
  }

  /// The port that the system chose at an earlier start.
  var port: UInt16? { text(portFile).flatMap { UInt16($0) } }

  func keep(port: UInt16) throws(ControlPlaneError) {
    try DataFolder.write("\(port)\n", to: portFile)
  }

  private func text(_ file: String) -> String? {
    guard let data = FileManager.default.contents(atPath: file) else { return nil }
    let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    return text.isEmpty ? nil : text
  }

  /// Writes a file that only its owner can read, whole or not at all.
  static func write(_ text: String, to file: String) throws(ControlPlaneError) {
    let draft = file + ".\(ProcessInfo.processInfo.processIdentifier)"
    // What a start with the same process id left behind may have another mode.
    _ = unsafe unlink(draft)
    let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw ControlPlaneError("the file \(file) cannot be written") }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    do {
      try handle.write(contentsOf: Data(text.utf8))
      try handle.synchronize()
      guard unsafe rename(draft, file) == 0 else { throw CocoaError(.fileWriteUnknown) }
    } catch {
      _ = unsafe unlink(draft)
      throw ControlPlaneError("the file \(file) cannot be written")
    }
  }
}

/// How to connect to a server, as one JSON object.
struct ConnectionFile: Codable {
  var address: String
  var port: UInt16
  var caFile: String
  var apiKey: String
  var organizationID: String
  var projectID: String

  enum CodingKeys: String, CodingKey {
    case address, port
    case caFile = "ca_file"
    case apiKey = "api_key"
    case organizationID = "organization_id"
    case projectID = "project_id"
  }

  /// Writes the object, mode 0600, by rename: a reader never sees half of it.
  func write(to file: String) throws(ControlPlaneError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(self) else {
      throw ControlPlaneError("the connection file \(file) cannot be encoded")
    }
    try DataFolder.write(String(decoding: data, as: UTF8.self) + "\n", to: file)
  }
}
