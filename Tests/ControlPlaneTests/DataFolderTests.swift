import Foundation
import Testing

@testable import ControlPlane

/// What is kept between starts, and how others learn to connect.
final class DataFolderTests {
  private let root = FileManager.default.temporaryDirectory
    .appendingPathComponent("needletail-folder-\(UUID().uuidString)").path

  deinit {
    try? FileManager.default.removeItem(atPath: root)
  }

  private func mode(_ file: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
  }

  private func names(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  @Test("A folder is made with everything above it, and found again")
  func folder() throws {
    let path = root + "/a/../b/c"
    let folder = try DataFolder(path)
    #expect(folder.path == root + "/b/c")
    #expect(folder.certificates == root + "/b/c/certificates")
    #expect(folder.key == nil && folder.port == nil)
    #expect(try DataFolder(root + "/b/c").path == folder.path)
  }

  @Test("A folder that cannot be made is named")
  func impossible() throws {
    _ = try DataFolder(root)
    try Data().write(to: URL(fileURLWithPath: root + "/file"))
    let error = #expect(throws: ControlPlaneError.self) { try DataFolder(self.root + "/file/x") }
    #expect(
      error?.description == "the data folder \(root)/file/x cannot be made: Not a directory")
  }

  @Test("Key and port are kept for the next start, readable by their owner alone")
  func keeps() throws {
    let folder = try DataFolder(root)
    try folder.keep(key: "ntl_first")
    try folder.keep(key: "ntl_second")
    try folder.keep(port: 65_535)
    let again = try DataFolder(root)
    #expect(again.key == "ntl_second")
    #expect(again.port == 65_535)
    #expect(try names(in: root) == ["api-key", "port"])
    for name in ["api-key", "port"] { #expect(try mode("\(root)/\(name)") == 0o600) }
  }

  @Test(
    "A port that is none is as good as no port",
    arguments: ["", "\n", "x", "65536", "-1", "7443 7444"])
  func port(text: String) throws {
    let folder = try DataFolder(root)
    try DataFolder.write(text, to: root + "/port")
    #expect(folder.port == nil)
  }

  @Test("A file is replaced by another, never changed: who reads the old one reads it whole")
  func rename() throws {
    _ = try DataFolder(root)
    let file = root + "/connection.json"
    try Data("old, and longer than the new one".utf8).write(to: URL(fileURLWithPath: file))
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
    let reader = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
    // What an earlier process with the same id left behind is in nobody's way.
    let draft = "\(file).\(ProcessInfo.processInfo.processIdentifier)"
    try Data("half".utf8).write(to: URL(fileURLWithPath: draft))
    try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: draft)
    try DataFolder.write("new", to: file)
    #expect(try mode(file) == 0o600)
    #expect(try String(contentsOfFile: file, encoding: .utf8) == "new")
    #expect(try reader.readToEnd() == Data("old, and longer than the new one".utf8))
    #expect(try names(in: root) == ["connection.json"])
  }

  @Test("A file that cannot be written is named, and nothing of it is left")
  func unwritable() throws {
    _ = try DataFolder(root)
    try FileManager.default.createDirectory(
      atPath: root + "/taken/x", withIntermediateDirectories: true)
    for file in [root + "/missing/file", root + "/taken"] {
      let error = #expect(throws: ControlPlaneError.self) {
        try DataFolder.write("text", to: file)
      }
      #expect(error?.description == "the file \(file) cannot be written")
    }
    #expect(try names(in: root) == ["taken"])
  }

  @Test("The connection file is one JSON object with everything that a client needs")
  func connection() throws {
    _ = try DataFolder(root)
    let file = root + "/connection.json"
    let connection = ConnectionFile(
      address: "tracking.example.org", port: 7_443, caFile: "/data/\"odd\" é/ca.pem",
      apiKey: "ntl_x", organizationID: "o", projectID: "")
    try connection.write(to: file)
    let data = try Data(contentsOf: URL(fileURLWithPath: file))
    let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(
      Set(object.keys)
        == ["address", "port", "ca_file", "api_key", "organization_id", "project_id"])
    #expect(object["address"] as? String == "tracking.example.org")
    #expect(object["port"] as? Int == 7_443)
    #expect(object["ca_file"] as? String == "/data/\"odd\" é/ca.pem")
    #expect(object["api_key"] as? String == "ntl_x")
    #expect(object["organization_id"] as? String == "o")
    #expect(object["project_id"] as? String == "")
    #expect(data.last == UInt8(ascii: "\n"))
    #expect(try mode(file) == 0o600)
    #expect(try JSONDecoder().decode(ConnectionFile.self, from: data).apiKey == "ntl_x")
  }
}
